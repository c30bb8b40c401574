"""Faults in the model of a run: other weights, other tokens, a critic that cannot judge."""

import shutil
from pathlib import Path

import pytest

from scripts.build_embedded.controls import build_control
from tests.faults import models
from tests.faults.runs import RunCopy, checkout, refused, said_by, stopped

pytestmark = pytest.mark.faults


@pytest.mark.fault(2, plant="a run with the instruct twin as its model", check="gate contamination: sentinels")
@pytest.mark.fault(4, plant="the same run; the dataset of the run before it is there", check="gate contamination")
def test_instruct_weights_stop_the_run_and_no_data_stays_in_place(copy: RunCopy, request, says) -> None:
    twin = build_control("instruct", request.config.cache.mkdir("ctai-controls"))
    done = copy.gates("--model", str(twin))
    stopped(copy, done, "contamination", "instruct_weights_findings")
    sentence = said_by(done, "contamination", "instruct_weights_findings")
    assert "these are instruct or chat weights" in sentence
    assert not copy.rundir.dataset.exists()
    assert list((copy.root / "superseded").rglob("stage1_sft_data.jsonl"))
    says(sentence)


# ------------------------------------------------------------------------------------------------------- adapters


@pytest.mark.fault(3, plant="the trained adapter beside the base weights", check="gate contamination: adapter files")
def test_an_adapter_beside_the_weights_stops_the_run(copy: RunCopy, base_copy: Path, says) -> None:
    for file in copy.rundir.adapter_dir.glob("adapter_*"):
        shutil.copy(file, base_copy)
    done = copy.gates("--model", str(base_copy))
    stopped(copy, done, "contamination", "adapter_files_findings")
    sentence = said_by(done, "contamination", "adapter_files_findings")
    assert "adapter files lie beside the base weights" in sentence
    says(sentence)


@pytest.mark.fault(
    3, plant="the trained adapter merged into the weights of the package", check="loader: digest of the build"
)
def test_an_adapter_merged_into_the_package_is_refused(copy: RunCopy, merged_model: Path, tmp_path: Path, says) -> None:
    spoiled = checkout(tmp_path / "checkout")
    shutil.copy(merged_model / "model.safetensors", spoiled / "ctai" / "model" / "embedded")
    sentence = "model.safetensors of the embedded model has changed"
    refused(copy, copy.gates(code=spoiled), sentence)
    says(sentence)


@pytest.mark.fault(
    3,
    plant="the trained adapter merged into the model's folder after gate contamination passed",
    check="loader: weights digest",
)
def test_an_adapter_merged_after_gate_1_is_refused(copy: RunCopy, base_copy: Path, merged_model: Path, says) -> None:
    first = copy.gates("--model", str(base_copy), "-k", "contamination")
    assert first.code == 0, first.output
    copy.settle()
    shutil.copy(merged_model / "model.safetensors", base_copy)
    sentence = "the verdict of gate contamination is stale: the weights of the model have changed"
    refused(copy, copy.gates("--model", str(base_copy), "-k", "instruments"), sentence)
    says(sentence)


@pytest.mark.fault(
    3, plant="a run on a model with the trained adapter merged into it", check="gate contamination: sentinels"
)
def test_an_adapter_merged_before_gate_1_stops_the_run(copy: RunCopy, merged_model: Path, says) -> None:
    done = copy.gates("--model", str(merged_model))
    stopped(copy, done, "contamination", "instruct_weights_findings")
    says(said_by(done, "contamination", "instruct_weights_findings"))


@pytest.mark.fault(20, plant="a base that answers more items rightly than headroom.max_base", check="gate headroom")
def test_a_base_that_can_do_the_task_is_stopped_before_training(copy: RunCopy, says) -> None:
    done = copy.gates("--set", "headroom.max_base=0.5")
    says(stopped(copy, done, "headroom", "base_formatted_content"))
    assert not copy.rundir.adapter_dir.exists()


# --------------------------------------------------------------------------------------------------------- tokens


@pytest.mark.fault(
    1, plant="a tokenizer that opens every text with a chat token, allowed as BOS", check="gate contamination: tokens"
)
def test_a_chat_token_before_every_prompt_stops_the_run(copy: RunCopy, base_copy: Path, says) -> None:
    models.adds("<|im_start|>", base_copy)
    done = copy.gates("--model", str(base_copy), "--set", "model.allow_bos=true")
    stopped(copy, done, "contamination", "special_tokens_findings")
    sentence = said_by(done, "contamination", "special_tokens_findings")
    assert "is a chat-control token, so allow_bos cannot allow it" in sentence
    says(sentence)


@pytest.mark.fault(6, plant="a tokenizer that adds a token to every text", check="gate contamination: special tokens")
def test_a_special_token_before_every_prompt_stops_the_run(copy: RunCopy, base_copy: Path, says) -> None:
    models.adds("<|endoftext|>", base_copy)
    done = copy.gates("--model", str(base_copy))
    stopped(copy, done, "contamination", "special_tokens_findings")
    sentence = said_by(done, "contamination", "special_tokens_findings")
    assert "the tokenizer adds 1 special token(s) to a text" in sentence
    says(sentence)


# --------------------------------------------------------------------------------------------------------- critic


@pytest.mark.fault(
    14, plant="a model for which the labels A and B are one token", check="gate instruments: calibration"
)
def test_a_critic_that_cannot_judge_stops_the_run_before_any_data(copy: RunCopy, tmp_path: Path, says) -> None:
    blind = models.blind_to_labels(tmp_path / "weights")
    done = copy.gates("--model", str(blind))
    metrics = ("instruction_critic_balanced_accuracy", "pair_critic_balanced_accuracy")
    says(stopped(copy, done, "instruments", *metrics))
