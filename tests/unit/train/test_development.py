"""Development split in training: loss on held-out pairs, early stop, the adapter that is kept, and resumption."""

import pytest
import torch

from ctai.config import TrainingSettings
from ctai.errors import CtaiError
from ctai.prompts import CompletionStylePrompts, Pair
from ctai.records import DevEvaluation, Example
from ctai.rundir import read_jsonl, sha256_file, sha256_tree, write_jsonl
from ctai.train.split import split_pairs
from ctai.verification.development import development_differences
from tests.support.trained import CountsSteps, Prepared, StopsAfter

pytestmark = pytest.mark.unit

EXAMPLES, DEV = 64, 16
STEPS = 12  # 48 examples, 2 epochs, batches of 8; evaluated after every second step
SPLIT = {"dev_fraction": 0.25, "dev_evaluations_per_epoch": 3, "early_stop_patience": 2, "epochs": 2}
# Training on the other pairs makes these words less likely, so the loss on the split rises.
UNLIKE = "What is water made of? hydrogen and oxygen, return x, First. Second: def f(x)"


def make(folder, model) -> Prepared:
    return Prepared(folder, model, examples=EXAMPLES)


def with_unlike_split(folder, model, response: str = UNLIKE) -> Prepared:
    """A run directory in which the pairs of the split have another response than all others."""
    prepared = make(folder, model)
    examples = read_jsonl(prepared.rundir.dataset, Example)
    pairs = [Pair(e.instruction, e.response) for e in examples]
    dev = {pair.instruction for pair in split_pairs(pairs, TrainingSettings(dev_fraction=0.25), 0).dev}
    changed = [e.model_copy(update={"response": response}) if e.instruction in dev else e for e in examples]
    write_jsonl(prepared.rundir.dataset, changed)
    name = prepared.rundir.relative(prepared.rundir.dataset)
    artifacts = {**prepared.verdict.artifacts, name: sha256_file(prepared.rundir.dataset)}
    prepared.verdict = prepared.verdict.model_copy(update={"artifacts": artifacts})
    return prepared


@pytest.fixture
def prepared(tmp_path, tiny_model) -> Prepared:
    return make(tmp_path / "run", tiny_model)


def evaluations(prepared: Prepared) -> list[DevEvaluation]:
    return read_jsonl(prepared.rundir.adapter_dir / "dev_loss.jsonl", DevEvaluation)


def differences(prepared: Prepared, manifest) -> list[str]:
    folder = prepared.rundir.relative(prepared.rundir.adapter_dir)
    return list(development_differences(prepared.rundir, folder, manifest, prepared.config))


def split_of(prepared: Prepared):
    pairs = [Pair(e.instruction, e.response) for e in read_jsonl(prepared.rundir.dataset, Example)]
    return split_pairs(pairs, prepared.config.training, prepared.config.seed)


def dev_loss_of_the_adapter(prepared: Prepared) -> float:
    """Mean loss per supervised token of the adapter that was written, one pair at a time."""
    total, tokens = 0.0, 0
    with prepared.model.with_adapter(prepared.rundir.adapter_dir) as adapted:
        for pair in split_of(prepared).dev:
            prompt = adapted.engine.encode(CompletionStylePrompts.zero_shot(pair.instruction))
            completion = [*adapted.engine.encode(f" {pair.response}"), adapted.tokenizer.eos_token_id]
            with torch.no_grad():
                scores = adapted.module(torch.tensor([[*prompt, *completion]])).logits[0].log_softmax(-1)
            total -= sum(scores[len(prompt) + i - 1, token].item() for i, token in enumerate(completion))
            tokens += len(completion)
    return total / tokens


def test_the_loss_on_the_split_ends_the_training_and_chooses_the_adapter(tmp_path, tiny_model):
    prepared = with_unlike_split(tmp_path / "run", tiny_model)
    manifest = prepared.train(**SPLIT, dropout=0.5)
    logged = evaluations(prepared)
    assert manifest.stopped_early
    assert manifest.steps == logged[-1].step < manifest.planned_steps == STEPS
    assert manifest.kept_step == logged[-3].step
    assert (manifest.examples, manifest.dev_examples, manifest.dev_note) == (EXAMPLES - DEV, DEV, "")
    assert manifest.dev_losses == tuple(evaluation.loss for evaluation in logged)
    assert dev_loss_of_the_adapter(prepared) == pytest.approx(min(manifest.dev_losses), rel=1e-4)
    assert min(manifest.dev_losses) < manifest.dev_losses[-1]
    assert differences(prepared, manifest) == []


def test_a_loss_that_falls_to_the_end_changes_nothing_but_the_log(prepared):
    manifest = prepared.train(**SPLIT)
    assert not manifest.stopped_early
    assert manifest.steps == manifest.planned_steps == manifest.kept_step == STEPS
    assert [evaluation.step for evaluation in evaluations(prepared)] == [2, 4, 6, 8, 10, 12]
    assert dev_loss_of_the_adapter(prepared) == pytest.approx(manifest.dev_losses[-1], rel=1e-4)
    assert differences(prepared, manifest) == []


def test_no_pair_of_the_split_is_trained_on(tmp_path, prepared):
    """Other responses to the pairs of the split change the loss on it, and no loss of training."""
    manifest = prepared.train(**SPLIT)
    again = with_unlike_split(tmp_path / "other", prepared.model).train(**{**SPLIT, "early_stop_patience": 0})
    assert again.losses == manifest.losses
    assert again.dev_losses != manifest.dev_losses


@pytest.mark.parametrize("seconds", [0, 1e9])
@pytest.mark.parametrize("interrupted_at", [3, -1])
def test_an_interrupted_training_stops_early_at_the_same_step(tmp_path, tiny_model, interrupted_at, seconds):
    whole = with_unlike_split(tmp_path / "whole", tiny_model)
    manifest = whole.train(**SPLIT)
    assert manifest.stopped_early
    steps = interrupted_at if interrupted_at > 0 else manifest.steps
    resumed = with_unlike_split(tmp_path / "resumed", tiny_model)
    with pytest.raises(CtaiError, match="time limit"):
        resumed.train(progress=StopsAfter(steps), checkpoint_seconds=seconds, **SPLIT)
    seen = CountsSteps()
    assert resumed.train(progress=seen, checkpoint_seconds=seconds, **SPLIT) == manifest
    assert seen.resumed_from == (steps if not seconds or steps == manifest.steps else 0)
    assert sha256_tree(resumed.rundir.adapter_dir) == sha256_tree(whole.rundir.adapter_dir)


@pytest.mark.parametrize("control", ["shuffled", "untrained", "seeds-only"])
def test_a_control_of_the_data_trains_to_the_end_and_keeps_the_last_adapter(tmp_path, tiny_model, control):
    prepared = with_unlike_split(tmp_path / "run", tiny_model)
    manifest = prepared.train(control=control, **SPLIT)
    assert not manifest.stopped_early
    assert manifest.steps == manifest.kept_step == STEPS
    assert manifest.dev_examples == DEV
    assert dev_loss_of_the_adapter(prepared) == pytest.approx(manifest.dev_losses[-1], rel=1e-4)
    assert differences(prepared, manifest) == []


def test_too_few_pairs_are_not_split(prepared):
    manifest = prepared.train(dev_fraction=0.2, epochs=1)
    assert (manifest.examples, manifest.dev_examples, manifest.dev_losses) == (EXAMPLES, 0, ())
    assert manifest.dev_note == "13 pairs, fewer than 16"
    assert manifest.kept_step == manifest.steps == manifest.planned_steps
    assert differences(prepared, manifest) == []


@pytest.mark.parametrize(
    ("update", "problem"),
    [
        ({"kept_step": 2}, "kept_step: is 2"),
        ({"stopped_early": True}, "stopped_early: is True"),
        ({"planned_steps": 99}, "planned_steps: is 99"),
        ({"examples": 64}, "counts 64 training pairs, but the dataset gives 48"),
        ({"dev_examples": 15}, "counts 15 pairs in the development split, but the dataset gives 16"),
        ({"dev_losses": ()}, "dev_losses"),
    ],
)
def test_verification_names_what_does_not_follow(prepared, update, problem):
    manifest = prepared.train(**SPLIT)
    assert any(problem in text for text in differences(prepared, manifest.model_copy(update=update)))


def test_verification_finds_an_edited_log_of_losses(prepared):
    manifest = prepared.train(**SPLIT)
    path = prepared.rundir.adapter_dir / "dev_loss.jsonl"
    logged = evaluations(prepared)
    write_jsonl(path, [*logged[:1], logged[1].model_copy(update={"loss": 0.0}), *logged[2:]])
    problems = differences(prepared, manifest)
    assert any("kept_step: is 12, but 4" in text for text in problems)
    assert any("stopped_early: is False, but True" in text for text in problems)
