"""Threshold changes on a finished run: verdicts are decided again, generation, training and answers are reused."""

import shutil
from pathlib import Path

import pytest

from ctai.config import RunConfig, setting_value
from ctai.evaluate import arms
from ctai.gates import evaluation, instruments
from ctai.generate.round import RoundGenerator
from ctai.model.clean_model import CleanModel
from ctai.records import StageManifest
from ctai.registry import relaxable_settings
from ctai.rundir import RunDir, read_record
from ctai.train import sft
from tests.support.finished import CONFIG, first_difference, make_finished_run

pytestmark = pytest.mark.unit

# Settings that change what a stage makes, besides what is judged: another value is another stage.
_OF_THE_OUTPUT = {
    "critic.confident_margin", "generation.filter_with_critic", "scale.near_duplicate_jaccard",
}  # fmt: skip
# Stages whose manifests stay byte for byte; the others are cheap and follow from files.
_EXPENSIVE = (
    "artifacts/pilot", "artifacts/shards/shard-000", "checkpoints/stage1_sft", "results/sft_eval/arms/sft",
    "results/sft_eval/arm_check", "results/headroom/base", "evidence/instruments/critic_pairs",
)  # fmt: skip


def looser(value: float | bool, direction: str) -> float | bool:
    """Return a slightly looser value of a threshold."""
    if isinstance(value, bool):
        return not value
    sign = 1 if direction == "higher" else -1
    return value + sign * (1 if isinstance(value, int) else abs(value) * 0.001 or 0.001)


def changed(config: RunConfig) -> RunConfig:
    """Return a configuration with other values of all thresholds."""
    values = config.model_dump()
    for key, direction, _ in relaxable_settings():
        if key not in _OF_THE_OUTPUT:
            section, name = key.split(".")
            values[section][name] = looser(setting_value(config, key), direction)
    return RunConfig.model_validate(values)


def thresholds() -> list[str]:
    return [setting.key for setting in relaxable_settings() if setting.key not in _OF_THE_OUTPUT]


def test_no_threshold_trains_or_generates_again(
    finished: Path, tiny_model: CleanModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rundir = RunDir(shutil.copytree(finished, tmp_path / "run"))
    before = {name: rundir.path(name, "manifest.json").read_bytes() for name in _EXPENSIVE}

    def refuse(*_arguments: object, **_more: object) -> None:
        raise AssertionError("a changed threshold needs no model")

    monkeypatch.setattr(sft, "fit", refuse)
    monkeypatch.setattr(RoundGenerator, "generate", refuse)
    monkeypatch.setattr(arms, "_answer", refuse)
    monkeypatch.setattr(evaluation, "next_token_logprobs", refuse)
    monkeypatch.setattr(instruments, "judge_probes", refuse)
    config = changed(CONFIG)
    assert all(setting_value(config, key) != setting_value(CONFIG, key) for key in thresholds())
    make_finished_run(rundir.root, tiny_model, config, model_id="someone/base", revision="abc123")
    assert {name: rundir.path(name, "manifest.json").read_bytes() for name in _EXPENSIVE} == before
    assert first_difference(rundir) == ""


def test_the_factors_of_the_retry_train_nothing_again(
    finished: Path, tiny_model: CleanModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rundir = RunDir(shutil.copytree(finished, tmp_path / "run"))
    monkeypatch.setattr(sft, "fit", None)
    training = CONFIG.training.model_copy(update={"retry_epochs_factor": 2.0})
    config = CONFIG.model_copy(update={"training": training})
    make_finished_run(rundir.root, tiny_model, config, model_id="someone/base", revision="abc123")
    assert first_difference(rundir) == ""


@pytest.mark.parametrize("folder", _EXPENSIVE)
def test_no_threshold_is_part_of_a_key(finished: Path, folder: str) -> None:
    parameters = read_record(finished / folder / "manifest.json", StageManifest).parameters
    names = {key.split(".")[1] for key in thresholds()} - {"alpha"}  # in the key of a training it is that of LoRA
    sections = [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    assert not names & {name for section in sections for name in section}
