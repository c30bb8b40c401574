"""Training as a stage: refusals, reuse, manifest and controls."""

import json
from pathlib import Path

import pytest
import torch

from ctai.config import RunConfig, TrainingSettings
from ctai.errors import ContaminationError, CtaiError, PreconditionError
from ctai.model.sources import adapter_digest
from ctai.records import TrainingManifest, TrainingStep
from ctai.rundir import read_jsonl, read_record, sha256_file, write_json
from ctai.tasks.seeds import seed_pairs
from ctai.train.sft import TrainingInputs, train_adapter
from tests.support.context import MADE_BY, stage_context
from tests.support.trained import RETAINED, STEPS, Prepared, StopsAfter, logits, qc_summary

pytestmark = pytest.mark.unit


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.fault(
    15, plant="a verdict of gate scale that did not pass, or of another gate", check="refusal of training"
)
@pytest.mark.parametrize("update", [{"outcome": "failed"}, {"outcome": "incomplete"}, {"gate": "pilot"}])
def test_refused_without_a_passed_scale_verdict(prepared, update):
    with pytest.raises(PreconditionError, match="run gate scale first"):
        prepared.train(verdict=prepared.verdict.model_copy(update=update))
    assert not prepared.rundir.adapter_dir.exists()


@pytest.mark.fault(26, plant="a dataset edited between gate scale and training", check="refusal of training")
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


@pytest.mark.fault(15, plant="a QC summary that has thresholds_passed=false", check="refusal of training")
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


def test_manifest_and_success_marker(prepared):
    manifest = prepared.train()
    folder = prepared.rundir.adapter_dir
    assert manifest == read_record(folder / "training_manifest.json", TrainingManifest)
    assert manifest.dataset_digest == sha256_file(prepared.rundir.dataset)
    assert manifest.adapter_digest == adapter_digest(folder)
    assert json.loads((folder / "TRAINING_SUCCESS").read_text()) == {
        "adapter": "checkpoints/stage1_sft",
        "sha256": manifest.adapter_digest,
        "git_commit": MADE_BY.git_commit,
    }
    assert manifest.made_by == MADE_BY
    assert manifest.evaluation == "results/sft_eval/evaluation.json"
    assert (manifest.examples, manifest.steps, manifest.epochs) == (16, STEPS, 3.0)
    assert manifest.supervised_tokens > 16
    assert [Path(path).name for path in manifest.checkpoints] == list(RETAINED)
    assert manifest.losses == tuple(s.loss for s in read_jsonl(folder / "loss.jsonl", TrainingStep))
    assert manifest.hyperparameters["resolved_learning_rate"] == 1e-2
    assert manifest.hyperparameters["resolved_target_modules"] == sorted(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    )


def test_a_retry_has_its_own_folder_and_names_its_own_evaluation(prepared):
    prepared.train()
    inputs = TrainingInputs(prepared.rundir.dataset, prepared.qc, prepared.verdict)
    settings = TrainingSettings(rank=4, batch_size=8, device_batch_size=4, gradient_checkpointing=False)
    context = stage_context(prepared.rundir, RunConfig(training=settings))
    manifest = train_adapter(prepared.model, context, inputs, attempt=1)
    assert manifest.adapter == "checkpoints/stage1_sft-retry-1"
    assert manifest.evaluation == "results/sft_eval-retry-1/evaluation.json"
    assert (prepared.rundir.adapter_dir_of(1) / "TRAINING_SUCCESS").is_file()


def test_target_modules_can_be_named(prepared):
    manifest = prepared.train(target_modules=("v_proj", "q_proj"))
    assert manifest.hyperparameters["resolved_target_modules"] == ["q_proj", "v_proj"]


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
