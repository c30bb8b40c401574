"""Comparisons on the test set: their identity and number, and the share of alpha of each."""

import math
import shutil

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.attempts import (
    ComparisonIdentity,
    alpha_of_comparison,
    comparison_differences,
    comparison_identity,
    comparison_number,
    record_comparison,
    retry_config,
    with_corrected_alpha,
)
from ctai.evaluate.ledger import ComparisonLedger
from ctai.model.sources import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from ctai.records import EvaluationSummary, Verdict
from ctai.records import TestSetComparison as Comparison  # pytest would collect a name in Test
from ctai.registry import gate_named
from ctai.rundir import RunDir, read_jsonl, read_record, write_jsonl
from ctai.tasks.heldout import build_heldout
from ctai.verification.verify import find_differences
from tests.support import generated
from tests.support.finished import CONFIG, first_difference, make_finished_run

pytestmark = pytest.mark.unit
ALPHA = 0.01


def identity(adapter: str, test_set: str = "t", base: str = "w") -> ComparisonIdentity:
    """Identity of the comparison of an adapter that is named by a letter."""
    return ComparisonIdentity(adapter * 64, "p", test_set, base)


@pytest.fixture
def ledger() -> ComparisonLedger:
    return ComparisonLedger.locate()


def run_directory(tmp_path, name="run") -> RunDir:
    return RunDir.open(tmp_path / name)


# ------------------------------------------------------------------------------------------------------------- alpha


def test_the_retry_trains_otherwise_and_loosens_nothing():
    config = RunConfig.load("embedded")
    second = retry_config(config)
    assert second == config.model_copy(update={"training": second.training})
    assert second.training.learning_rate < config.training.learning_rate
    assert second.training.epochs > config.training.epochs


def test_the_shares_of_alpha_sum_to_alpha():
    """The partial sum falls short by the tail of the series, which lies between 6 alpha / (pi^2 (N + 1)) and that / N."""
    terms = 100_000
    short = ALPHA - math.fsum(alpha_of_comparison(ALPHA, n) for n in range(1, terms + 1))
    tail = ALPHA * 6 / math.pi**2
    assert tail / (terms + 1) < short < tail / terms


@pytest.mark.parametrize(("number", "alpha"), [(1, 0.0060793), (2, 0.0015198), (3, 0.00067548), (30, 6.7548e-6)])
def test_the_share_of_the_nth_comparison(number, alpha):
    assert alpha_of_comparison(ALPHA, number) == pytest.approx(alpha, rel=1e-4)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_only_alpha_changes_with_the_number(number):
    config = RunConfig.load("embedded")
    corrected = with_corrected_alpha(config, number)
    assert corrected.evaluation.alpha == alpha_of_comparison(config.evaluation.alpha, number)
    assert corrected.evaluation == config.evaluation.model_copy(update={"alpha": corrected.evaluation.alpha})
    assert corrected == config.model_copy(update={"evaluation": corrected.evaluation})


# ----------------------------------------------------------------------------------------------------------- numbers


def test_another_adapter_is_another_comparison_and_the_same_adapter_is_not(tmp_path, ledger):
    rundir = run_directory(tmp_path)
    assert [record_comparison(rundir, identity(letter), ledger) for letter in "abac"] == [1, 2, 1, 3]
    assert [comparison_number(rundir, identity(letter)) for letter in "abc"] == [1, 2, 3]
    assert [c.number for c in ledger.read()] == [1, 2, 3]
    assert list(comparison_differences(rundir)) == []


def test_another_run_directory_is_no_fresh_start(tmp_path, ledger):
    assert record_comparison(run_directory(tmp_path, "first"), identity("a"), ledger) == 1
    second = run_directory(tmp_path, "second")
    assert record_comparison(second, identity("a"), ledger) == 1  # the same comparison
    assert record_comparison(second, identity("b"), ledger) == 2
    assert record_comparison(run_directory(tmp_path, "third"), identity("c"), ledger) == 3


def test_another_test_set_or_base_has_a_count_of_its_own(tmp_path, ledger):
    rundir = run_directory(tmp_path)
    assert record_comparison(rundir, identity("a"), ledger) == 1
    assert record_comparison(rundir, identity("a", test_set="u"), ledger) == 1
    assert record_comparison(rundir, identity("b", base="v"), ledger) == 1
    assert record_comparison(rundir, identity("b"), ledger) == 2
    assert list(comparison_differences(rundir)) == []


def test_a_run_directory_keeps_its_count_where_the_ledger_is_lost(tmp_path, ledger):
    rundir = run_directory(tmp_path)
    for letter in "abc":
        record_comparison(rundir, identity(letter), ledger)
    before = rundir.comparisons.read_bytes()
    ledger.path.unlink()
    assert [record_comparison(rundir, identity(letter), ledger) for letter in "abcd"] == [1, 2, 3, 4]
    assert rundir.comparisons.read_bytes().startswith(before)
    assert record_comparison(run_directory(tmp_path, "other"), identity("e"), ledger) == 5


def test_a_run_directory_from_elsewhere_gets_the_number_that_is_free_here(tmp_path, ledger):
    elsewhere = ComparisonLedger(tmp_path / "elsewhere.jsonl", "CTAI_LEDGER")
    copied = run_directory(tmp_path, "copied")
    assert record_comparison(copied, identity("z"), elsewhere) == 1
    for letter in "abc":
        record_comparison(run_directory(tmp_path), identity(letter), ledger)
    assert record_comparison(copied, identity("z"), ledger) == 5  # four are known, and z is one of them
    assert comparison_number(copied, identity("z")) == 5
    assert list(comparison_differences(copied)) == []


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abcdef"), st.booleans()), min_size=1, max_size=25)
)
def test_no_order_of_runs_and_lost_ledgers_gives_a_number_twice_or_lowers_one(steps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    ledger = ComparisonLedger(folder / "ledger.jsonl", "CTAI_LEDGER")
    for run, letter, is_lost in steps:
        if is_lost:
            ledger.path.unlink(missing_ok=True)
        rundir = RunDir.open(folder / run)
        recorded = read_jsonl(rundir.comparisons, Comparison) if rundir.comparisons.exists() else []
        before = max((c.number for c in recorded if c.identity == identity(letter)), default=0)
        number = record_comparison(rundir, identity(letter), ledger)
        assert number >= before
        assert number == comparison_number(rundir, identity(letter))
        assert list(comparison_differences(rundir)) == []
        others = [c.number for c in ledger.read() if c.identity != identity(letter)]
        assert number not in others


def test_a_comparison_that_is_not_on_the_list_is_refused(tmp_path, ledger):
    rundir = run_directory(tmp_path)
    record_comparison(rundir, identity("a"), ledger)
    with pytest.raises(CtaiError, match="does not hold the comparison of the adapter with tensors bbbbbbbbbbbb"):
        comparison_number(rundir, identity("b"))
    rundir.comparisons.write_text("{}\n")
    with pytest.raises(CtaiError, match=r"test_set_comparisons\.jsonl line 1"):
        record_comparison(rundir, identity("a"), ledger)


def test_numbers_that_are_too_small_are_found(tmp_path):
    rundir = run_directory(tmp_path)
    write_jsonl(rundir.comparisons, [identity("a").numbered(1), identity("b").numbered(1)])
    assert "2 comparisons on one test set and base" in next(comparison_differences(rundir))
    write_jsonl(rundir.comparisons, [identity("a").numbered(2), identity("a").numbered(1)])
    assert "listed again without a larger number" in next(comparison_differences(rundir))


# ---------------------------------------------------------------------------------------------------------- identity


def adapter(folder, value=1.0, config="{}"):
    """Write an adapter of one tensor."""
    folder.mkdir()
    tensors = {"layer.lora_A": np.full((2, 2), value, dtype="float32")}
    (folder / ADAPTER_WEIGHTS).write_bytes(safetensors.numpy.save(tensors, metadata={"name": config}))
    (folder / ADAPTER_CONFIG).write_text(config)
    return folder


def test_a_comparison_is_identified_by_contents_and_not_by_names(tmp_path):
    rundir, heldout = run_directory(tmp_path), build_heldout(20, 0, True)
    write_jsonl(rundir.dataset, [generated.example(1), generated.example(2)])
    first = comparison_identity(
        rundir, adapter(tmp_path / "one", config='{"base_model_name_or_path": "a"}'), heldout, "w"
    )
    moved = RunDir.open(tmp_path / "elsewhere")
    metadata = generated.example(2).metadata.model_copy(update={"run_id": "other", "git_commit": "d"})
    write_jsonl(moved.dataset, [generated.example(1), generated.example(2).model_copy(update={"metadata": metadata})])
    renamed = adapter(tmp_path / "two", config='{"base_model_name_or_path": "b"}')
    assert comparison_identity(moved, renamed, heldout, "w") == first
    others = (
        comparison_identity(rundir, adapter(tmp_path / "three", 2.0), heldout, "w"),
        comparison_identity(rundir, tmp_path / "one", heldout[1:], "w"),
        comparison_identity(rundir, tmp_path / "one", heldout, "v"),
    )
    write_jsonl(rundir.dataset, [generated.example(1)])
    assert len({first, *others, comparison_identity(rundir, tmp_path / "one", heldout, "w")}) == 5


def test_tensors_that_cannot_be_read_are_refused(tmp_path):
    folder = adapter(tmp_path / "one")
    (folder / ADAPTER_WEIGHTS).write_bytes(b"no tensors")
    rundir = run_directory(tmp_path)
    write_jsonl(rundir.dataset, [])
    with pytest.raises(CtaiError, match="is not a readable safetensors file"):
        comparison_identity(rundir, folder, [], "w")


# -------------------------------------------------------------------------------------------------------------- runs


def verdict_of(rundir: RunDir) -> Verdict:
    return read_record(rundir.verdict(gate_named("evaluation")), Verdict)


def test_other_settings_in_a_later_session_are_another_comparison(finished, tiny_model, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    training = CONFIG.training.model_copy(update={"learning_rate": 2 * CONFIG.training.learning_rate})
    config = CONFIG.model_copy(update={"training": training})
    make_finished_run(folder, tiny_model, config, model_id="someone/base", revision="abc123")
    rundir = RunDir.open(folder)
    verdict = verdict_of(rundir)
    assert verdict.notes == ("comparison 2 on this test set and base, alpha_n = 0.00152; ledger: CTAI_LEDGER",)
    threshold = next(m for m in verdict.metrics if m.name == "content_p_value").threshold
    assert threshold == alpha_of_comparison(CONFIG.evaluation.alpha, 2)
    assert first_difference(rundir) == ""


def test_a_control_is_not_charged(finished, tiny_model, tmp_path, ledger):
    folder = shutil.copytree(finished, tmp_path / "run")
    rundir = RunDir(folder)
    rundir.comparisons.unlink()
    make_finished_run(
        folder,
        tiny_model,
        CONFIG.model_copy(update={"control": "no-critic"}),
        model_id="someone/base",
        revision="abc123",
    )
    assert verdict_of(rundir).notes == (
        "control: attempt 1, alpha_n = 0.00608; not counted among the comparisons on this test set",
    )
    assert not rundir.comparisons.exists()
    assert not ledger.path.exists()
    assert first_difference(rundir) == ""


def test_a_damaged_ledger_stops_the_run_before_its_training(finished, tiny_model, tmp_path, ledger):
    folder = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    ledger.path.parent.mkdir(parents=True)
    ledger.path.write_text("damaged\n")
    with pytest.raises(CtaiError, match="number of earlier comparisons is not known"):
        make_finished_run(folder, tiny_model, model_id="someone/base", revision="abc123")
    assert not (folder / "checkpoints").exists()


def test_an_alpha_of_another_number_is_found(finished, tiny_model, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    rundir = RunDir(folder)
    (comparison,) = read_jsonl(rundir.comparisons, Comparison)
    summary = read_record(rundir.results_dir / "evaluation.json", EvaluationSummary)
    assert summary.metadata["settings"]["alpha"] == alpha_of_comparison(CONFIG.evaluation.alpha, comparison.number)
    write_jsonl(rundir.comparisons, [comparison.model_copy(update={"number": 2})])
    assert any("evaluation.json" in difference and "alpha" in difference for difference in find_differences(folder))
