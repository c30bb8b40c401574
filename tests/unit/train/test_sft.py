"""Training: when it refuses, and that it learns and is the same however often it was interrupted."""

import json
import math
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ctai.config import RunConfig, TrainingSettings
from ctai.errors import ContaminationError, CtaiError, PreconditionError
from ctai.model.loader import CleanModelLoader
from ctai.model.sources import adapter_digest
from ctai.progress import SilentProgress
from ctai.prompts import CompletionStylePrompts
from ctai.records import TrainingManifest, TrainingStep
from ctai.rundir import read_jsonl, read_record, sha256_file, sha256_tree, write_json
from ctai.tasks.seeds import seed_pairs
from ctai.train.data import data_order
from ctai.train.loop import needs_checkpointing
from ctai.train.sft import TrainingInputs, train_adapter
from tests.support import tiny
from tests.support.context import stage_context
from tests.support.trained import Prepared, example, qc_summary

pytestmark = pytest.mark.unit

STEPS = 6  # 16 examples, 3 epochs, batches of 8
KEPT = ("step-000002.safetensors", "step-000004.safetensors", "step-000006.safetensors")  # one an epoch


class StopsAfter(SilentProgress):
    """Interrupts training, as a time limit does."""

    def __init__(self, steps: int):
        self.left = steps

    def advance(self, n: int = 1, note: str = "") -> None:
        self.left -= n
        if self.left <= 0:
            raise CtaiError("time limit")


class CountsSteps(SilentProgress):
    """Remembers at which step training went on."""

    resumed_from = 0

    def advance(self, n: int = 1, note: str = "") -> None:
        if note == "resumed":
            self.resumed_from = n


@pytest.fixture
def prepared(tmp_path, tiny_model):
    return Prepared(tmp_path / "run", tiny_model)


def logits(model) -> torch.Tensor:
    prompts = [CompletionStylePrompts.zero_shot(example(number).instruction) for number in range(4)]
    vocabulary = range(len(model.tokenizer))
    return torch.tensor(model.engine.token_logprobs(prompts, vocabulary))


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.fault(
    15, plant="a verdict of gate scale that did not pass, or of another gate", check="refusal of training"
)
@pytest.mark.parametrize("update", [{"outcome": "failed"}, {"outcome": "incomplete"}, {"gate": "pilot"}])
def test_refused_without_a_passed_scale_verdict(prepared, update):
    with pytest.raises(PreconditionError, match="run gate scale first"):
        prepared.train(verdict=prepared.verdict.model_copy(update=update))
    assert not prepared.rundir.adapter_dir.exists()


@pytest.mark.fault(26, plant="a dataset edited between gate 3 and training", check="refusal of training")
def test_refused_when_the_dataset_was_edited_after_the_gate(prepared):
    text = prepared.rundir.dataset.read_text().replace("Paris", "Rome", 1)
    prepared.rundir.dataset.write_text(text)
    with pytest.raises(PreconditionError, match=r"stage1_sft_data\.jsonl has SHA-256 .* run gate scale again"):
        prepared.train()


def test_refused_when_the_gate_judged_no_such_file(prepared):
    name = prepared.rundir.relative(prepared.qc)
    artifacts = {path: digest for path, digest in prepared.verdict.artifacts.items() if path != name}
    with pytest.raises(PreconditionError, match="judged no such file"):
        prepared.train(verdict=prepared.verdict.model_copy(update={"artifacts": artifacts}))


def test_refused_when_the_dataset_lies_elsewhere(prepared, tmp_path):
    prepared.qc = tmp_path / "qc_summary.json"
    write_json(prepared.qc, qc_summary())
    with pytest.raises(PreconditionError, match="not a file of this run directory"):
        prepared.train()


@pytest.mark.fault(15, plant="a QC summary that says thresholds_passed=false", check="refusal of training")
def test_refused_when_qc_failed_even_if_the_verdict_passed(tmp_path, tiny_model):
    with pytest.raises(PreconditionError, match=r"thresholds_passed=false \(runaway_rate 0\.209 >= 0\.05\)"):
        Prepared(tmp_path / "run", tiny_model, qc_passed=False).train()


@pytest.mark.fault(3, plant="training on a model with an adapter attached", check="refusal of training")
def test_refused_on_a_model_with_an_adapter(prepared):
    prepared.train()
    with prepared.model.with_adapter(prepared.rundir.adapter_dir) as adapted:
        prepared.model = adapted
        with pytest.raises(PreconditionError, match="unload the adapter"):
            prepared.train(epochs=1)


@pytest.mark.fault(1, plant="a chat token in the training data", check="token-ID check before training")
def test_control_tokens_in_the_data_are_refused(prepared):
    model = prepared.model
    token = model.engine.encode(" Paris")[-1]
    chat = model.provenance.model_copy(update={"control_token_ids": (token,), "control_tokens": ("<|im_end|>",)})
    prepared.model = type(model)(model.module, model.tokenizer, model.engine, chat)
    with pytest.raises(ContaminationError, match="chat-control token"):
        prepared.train()


# -- training ------------------------------------------------------------------------------------------------


def test_training_learns_and_leaves_the_base_as_it_was(prepared):
    base = {name: tensor.clone() for name, tensor in prepared.model.module.state_dict().items()}
    before = logits(prepared.model)
    manifest = prepared.train(epochs=12)
    assert manifest.loss_last < manifest.loss_first - 0.3
    after = prepared.model.module.state_dict()
    assert after.keys() == base.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in base.items())
    assert torch.equal(logits(prepared.model), before)
    with prepared.model.with_adapter(prepared.rundir.adapter_dir) as adapted:
        assert (logits(adapted) - before).abs().max() > 0.1


@pytest.mark.fault(
    17, plant="the first loss, against the base's own on the completions", check="loss of the first step"
)
@pytest.mark.parametrize("allow_bos", [False, True])
def test_first_loss_is_that_of_the_base_on_the_completions(tmp_path, allow_bos):
    """An adapter starts as the identity, so the first step's loss can be had from the base alone.

    An allowed BOS token precedes every prompt, as it does when the engine answers.
    """
    folder = tiny.write_model(tmp_path / "model", tiny.make_tokenizer(adds_bos=allow_bos))
    prepared = Prepared(tmp_path / "run", CleanModelLoader(str(folder), allow_bos=allow_bos).load(sentinels=False))
    prepared.train()
    step = read_jsonl(prepared.rundir.adapter_dir / "loss.jsonl", TrainingStep)[0]
    order = data_order(16, 8, STEPS, seed=0)[0]
    bos = [prepared.model.tokenizer.bos_token_id] if allow_bos else []
    total, tokens = 0.0, 0
    for number in order:
        e = example(number)
        prompt = [*bos, *prepared.model.engine.encode(CompletionStylePrompts.zero_shot(e.instruction))]
        completion = [*prepared.model.engine.encode(f" {e.response}"), prepared.model.tokenizer.eos_token_id]
        with torch.no_grad():
            scores = prepared.model.module(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        total -= sum(scores[len(prompt) + i - 1, token].item() for i, token in enumerate(completion))
        tokens += len(completion)
    assert step.loss == pytest.approx(total / tokens, rel=1e-4)


def test_manifest_and_success_marker(prepared):
    manifest = prepared.train()
    folder = prepared.rundir.adapter_dir
    assert manifest == read_record(folder / "training_manifest.json", TrainingManifest)
    assert manifest.dataset_digest == sha256_file(prepared.rundir.dataset)
    assert manifest.adapter_digest == adapter_digest(folder)
    assert json.loads((folder / "TRAINING_SUCCESS").read_text()) == {
        "adapter": "checkpoints/stage1_sft",
        "sha256": manifest.adapter_digest,
    }
    assert (manifest.examples, manifest.steps, manifest.epochs) == (16, STEPS, 3.0)
    assert manifest.supervised_tokens > 16
    assert [Path(path).name for path in manifest.checkpoints] == list(KEPT)
    assert manifest.losses == tuple(s.loss for s in read_jsonl(folder / "loss.jsonl", TrainingStep))
    assert manifest.hyperparameters["resolved_learning_rate"] == 1e-2
    assert manifest.hyperparameters["resolved_target_modules"] == sorted(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    )


def test_target_modules_can_be_named(prepared):
    manifest = prepared.train(target_modules=("v_proj", "q_proj"))
    assert manifest.hyperparameters["resolved_target_modules"] == ["q_proj", "v_proj"]


@pytest.mark.fault(27, plant="training interrupted at any step", check="resume by checkpoint")
@pytest.mark.parametrize("interrupted_at", [1, 3, 5])
def test_resumed_equals_uninterrupted(tmp_path, tiny_model, interrupted_at):
    whole = Prepared(tmp_path / "whole", tiny_model)
    whole.train()
    resumed = Prepared(tmp_path / "resumed", tiny_model)
    with pytest.raises(CtaiError, match="time limit"):
        resumed.train(progress=StopsAfter(interrupted_at))
    assert not (resumed.rundir.adapter_dir / "TRAINING_SUCCESS").exists()
    seen = CountsSteps()
    resumed.train(progress=seen)
    assert seen.resumed_from == interrupted_at - interrupted_at % 2
    assert resumed.adapter_bytes == whole.adapter_bytes


@pytest.mark.parametrize("interrupted_at", [1, 3, 5, 6])
def test_checkpoints_in_between_lose_no_step_and_leave_no_trace(tmp_path, tiny_model, interrupted_at):
    whole = Prepared(tmp_path / "whole", tiny_model)
    whole.train()
    resumed = Prepared(tmp_path / "resumed", tiny_model)
    with pytest.raises(CtaiError, match="time limit"):
        resumed.train(progress=StopsAfter(interrupted_at), checkpoint_seconds=0)
    work = resumed.rundir.adapter_dir / "work"
    assert len([path for path in work.iterdir() if path.name not in KEPT]) <= 1
    seen = CountsSteps()
    resumed.train(progress=seen, checkpoint_seconds=0)
    assert seen.resumed_from == interrupted_at
    assert sorted(path.name for path in work.iterdir()) == list(KEPT)
    assert sha256_tree(resumed.rundir.adapter_dir) == sha256_tree(whole.rundir.adapter_dir)


def test_the_gradient_is_clipped_and_weights_decay_as_the_settings_say(tmp_path, tiny_model):
    """Under a gradient clipped to almost nothing an adapter stays as it began, but for the decay of its weights."""
    tensors, rates = {}, []
    for decay in (0.0, 20.0):
        prepared = Prepared(tmp_path / str(decay), tiny_model)
        prepared.train(gradient_clip=1e-12, weight_decay=decay)
        tensors[decay] = safetensors.torch.load(prepared.adapter_bytes)
        rates = [step.learning_rate for step in read_jsonl(prepared.rundir.adapter_dir / "loss.jsonl", TrainingStep)]
    shrunk = math.prod(1 - 20 * rate for rate in rates)
    assert 0.2 < shrunk < 0.9
    for name, began in tensors[0.0].items():
        assert torch.allclose(tensors[20.0][name], began * shrunk, atol=1e-5)
        assert "lora_B" not in name or began.abs().max() < 1e-5  # B begins at 0


def test_gradient_checkpointing_changes_nothing(tmp_path, tiny_model):
    plain, checkpointed = (Prepared(tmp_path / name, tiny_model) for name in ("plain", "checkpointed"))
    losses = plain.train().losses
    settings = TrainingSettings(
        rank=4, batch_size=8, device_batch_size=4, learning_rate=1e-2, gradient_checkpointing=True
    )
    config = RunConfig(training=settings)
    p = checkpointed
    inputs = TrainingInputs(p.rundir.dataset, p.qc, p.verdict)
    again = train_adapter(tiny_model, stage_context(p.rundir, config), inputs).losses
    assert config.training.gradient_checkpointing
    assert not any(getattr(layer, "gradient_checkpointing", False) for layer in tiny_model.module.modules())
    assert again == pytest.approx(losses, rel=1e-4)


def test_activations_are_recomputed_only_where_memory_needs_it(tiny_model):
    free = 10**9
    width, layers = tiny_model.module.config.hidden_size, tiny_model.module.config.num_hidden_layers
    fits = free // 2 // (120 * width * layers)
    assert not needs_checkpointing(tiny_model.module.config, fits, free)
    assert needs_checkpointing(tiny_model.module.config, fits + 1, free)


def test_result_does_not_depend_on_the_device_batch_size(tmp_path, tiny_model):
    losses = [
        Prepared(tmp_path / str(size), tiny_model).train(device_batch_size=size, dropout=0.0).losses for size in (2, 8)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_an_unreadable_checkpoint_is_named(prepared):
    with pytest.raises(CtaiError, match="time limit"):
        prepared.train(progress=StopsAfter(3))
    checkpoint = prepared.rundir.adapter_dir / "work" / "step-000002.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(CtaiError, match=r"step-000002\.safetensors cannot be read"):
        prepared.train()


def test_complete_training_is_reused_and_other_settings_are_not(prepared):
    first = prepared.train()
    assert prepared.train(progress=StopsAfter(1)) == first
    other = prepared.train(rank=2)
    assert other.adapter_digest != first.adapter_digest
    kept = list(prepared.rundir.path("superseded").rglob("adapter_model.safetensors"))
    assert [adapter_digest(path.parent) for path in kept] == [first.adapter_digest]


def test_an_edited_adapter_is_not_reused(prepared):
    prepared.train()
    path = prepared.rundir.adapter_dir / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CtaiError, match=r"adapter_model\.safetensors"):
        prepared.train()


def test_untrained_control_writes_an_adapter_that_changes_nothing(prepared):
    before = logits(prepared.model)
    manifest = prepared.train(control="untrained")
    assert manifest.hyperparameters["resolved_learning_rate"] == 1e-9
    with prepared.model.with_adapter(prepared.rundir.adapter_dir) as adapted:
        assert torch.allclose(logits(adapted), before, atol=1e-4)


def test_seeds_only_trains_as_long_as_the_dataset_would(prepared):
    manifest = prepared.train(control="seeds-only")
    assert manifest.examples == len(seed_pairs())
    assert manifest.steps == STEPS
    assert manifest.hyperparameters["pairs_changed_by_control"] == len(seed_pairs())


def test_shuffled_control_is_recorded(prepared):
    manifest = prepared.train(control="shuffled")
    assert manifest.hyperparameters["control"] == "shuffled"
    assert manifest.hyperparameters["pairs_changed_by_control"] == 16


def test_a_loss_that_is_not_finite_stops_and_detaches(prepared):
    weight = prepared.model.module.model.norm.weight
    good = weight.detach().clone()
    try:
        weight.data.fill_(float("nan"))
        with pytest.raises(CtaiError, match="loss is nan at step 0"):
            prepared.train()
    finally:
        weight.data.copy_(good)
    assert not hasattr(prepared.model.module, "peft_config")
    assert not any("lora" in name for name in prepared.model.module.state_dict())


def test_random_numbers_of_others_are_left_alone(prepared):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    prepared.train()
    assert torch.equal(torch.rand(3), expected)


def test_nf4_trains_on_the_cpu(tmp_path, tiny_model_folder):
    model = CleanModelLoader(str(tiny_model_folder), quantization="nf4").load(sentinels=False)
    prepared = Prepared(tmp_path / "run", model)
    before = logits(model)
    manifest = prepared.train(epochs=12)
    assert manifest.hyperparameters["quantization"] == "nf4"
    assert manifest.loss_last < manifest.loss_first - 0.3
    assert torch.equal(logits(model), before)
    with model.with_adapter(prepared.rundir.adapter_dir) as adapted:
        assert (logits(adapted) - before).abs().max() > 0.1
