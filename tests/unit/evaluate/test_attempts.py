"""Comparisons on the test set: their record, and the correction of alpha for retries and later sessions."""

import shutil

import pytest

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.attempts import comparison_number, record_comparison, retry_config, with_corrected_alpha
from ctai.records import Verdict
from ctai.registry import gate_named
from ctai.rundir import RunDir, read_record
from tests.support.finished import CONFIG, first_difference, make_finished_run

pytestmark = pytest.mark.unit


def test_the_retry_trains_otherwise_and_loosens_nothing():
    config = RunConfig.load("embedded")
    second = retry_config(config)
    assert second == config.model_copy(update={"training": second.training})
    assert second.training.learning_rate < config.training.learning_rate
    assert second.training.epochs > config.training.epochs


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_nth_comparison_has_the_nth_part_of_alpha(number):
    config = RunConfig.load("embedded")
    corrected = with_corrected_alpha(config, number)
    assert corrected.evaluation.alpha == config.evaluation.alpha / number
    assert corrected.evaluation == config.evaluation.model_copy(update={"alpha": corrected.evaluation.alpha})
    assert corrected == config.model_copy(update={"evaluation": corrected.evaluation})


def test_another_adapter_is_another_comparison_and_the_same_adapter_is_not(tmp_path):
    rundir = RunDir.open(tmp_path / "run")
    assert record_comparison(rundir, "a" * 64) == 1
    assert record_comparison(rundir, "b" * 64) == 2
    assert record_comparison(rundir, "a" * 64) == 1
    assert record_comparison(RunDir.open(tmp_path / "run"), "c" * 64) == 3  # in a later session
    assert [comparison_number(rundir, letter * 64) for letter in "abc"] == [1, 2, 3]


def test_a_comparison_that_is_not_on_the_list_is_refused(tmp_path):
    rundir = RunDir.open(tmp_path / "run")
    record_comparison(rundir, "a" * 64)
    with pytest.raises(CtaiError, match="does not hold the adapter bbbbbbbbbbbb"):
        comparison_number(rundir, "b" * 64)
    rundir.comparisons.write_text("{}\n")
    with pytest.raises(CtaiError, match=r"test_set_comparisons\.jsonl line 1"):
        record_comparison(rundir, "a" * 64)


def test_other_settings_in_a_later_session_are_another_comparison(finished, tiny_model, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    training = CONFIG.training.model_copy(update={"learning_rate": 2 * CONFIG.training.learning_rate})
    config = CONFIG.model_copy(update={"training": training})
    make_finished_run(folder, tiny_model, config, model_id="someone/base", revision="abc123")
    rundir = RunDir.open(folder)
    verdict = read_record(rundir.verdict(gate_named("evaluation")), Verdict)
    assert verdict.notes == ("comparison 2 on the test set, with alpha divided by 2",)
    assert next(m for m in verdict.metrics if m.name == "content_p_value").threshold == CONFIG.evaluation.alpha / 2
    assert verdict.relaxed_thresholds == ()
    assert first_difference(rundir) == ""
