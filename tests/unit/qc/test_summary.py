"""Quality control: metrics that can fail."""

import math

import pytest

from ctai.config import GenerationSettings, QcThresholds
from ctai.generate.responses import ResponseRequest, generate_responses
from ctai.qc.calibration import labelled_responses
from ctai.qc.summary import MinimumCount, SummaryHeader, summarize
from ctai.records import QcSummary, Rejection
from tests.support.generated import critique, example, generated, material, round_of
from tests.support.scripted import ScriptedEngine

pytestmark = pytest.mark.unit


def judged(**parts) -> QcSummary:
    parts.setdefault("examples", [example(i) for i in range(20)])
    wanted = MinimumCount("kept_examples", parts.pop("wanted", 20))
    header = SummaryHeader("pilot", "run", {}, "d.jsonl")
    return summarize(header, material(**parts), wanted, QcThresholds())


def failed(summary: QcSummary) -> set[str]:
    assert summary.thresholds_passed == (not summary.failed_reasons)
    return {reason.split()[0] for reason in summary.failed_reasons}


def test_good_material_passes_everything():
    summary = judged()
    assert failed(summary) == set()
    assert summary.counts["generated"] == 100
    assert summary.counts["kept"] == 20
    assert {metric.artifact for metric in summary.thresholds} == {"d.jsonl"}


@pytest.mark.fault(11, plant="a kept example that is there twice, among other faults", check="duplicate_rate")
@pytest.mark.parametrize(
    ("metric", "parts"),
    [
        ("runaway_rate", {"bad": ("runaway", 5)}),
        ("truncated_rate", {"bad": ("truncated", 2)}),
        ("delimiter_rate", {"bad": ("delimiter", 1)}),
        ("token_limit_rate", {"out_of_budget": 10}),
        ("median_tokens", {"tokens": 40}),
        ("instruction_acceptance", {"instructions": [critique(-2.0)] * 6 + [critique(2.0)] * 5}),
        ("pair_acceptance", {"pairs": [critique(0.5)] * 6 + [critique(2.0)] * 5}),
        ("duplicate_rate", {"examples": [example(0), *(example(i) for i in range(19))]}),
        ("heldout_overlap", {"overlapping": 1}),
        ("kept_examples", {"wanted": 21}),
        ("kept_faults", {"examples": [*(example(i) for i in range(19)), example(19, response="It is the")]}),
    ],
)
def test_each_metric_can_fail_alone(metric, parts):
    assert failed(judged(**parts)) == {metric}


@pytest.mark.parametrize(
    "parts",
    [{"bad": ("runaway", 4)}, {"bad": ("truncated", 1)}, {"out_of_budget": 9}, {"tokens": 39}],
    ids=str,
)
def test_just_below_a_threshold_passes(parts):
    assert failed(judged(**parts)) == set()


def test_rates_are_over_everything_generated_and_judged():
    summary = judged(bad=("runaway", 30))
    assert (summary.rates["runaway"].k, summary.rates["runaway"].n) == (30, 100)
    assert (summary.acceptance["pair"].k, summary.acceptance["pair"].n) == (60, 100)
    assert (summary.acceptance["pair_judged"].k, summary.acceptance["pair_judged"].n) == (60, 60)


@pytest.mark.fault(13, plant="judgements that are good and not confident", check="one definition of acceptance")
def test_good_without_confidence_is_not_accepted():
    assert judged(pairs=[critique(0.99)] * 10).acceptance["pair"].k == 0


def test_a_summary_of_nothing_passes_nothing():
    header, wanted = SummaryHeader("pilot", "run", {}), MinimumCount("kept_examples", 0)
    nothing = summarize(header, material(rounds=[], examples=[]), wanted, QcThresholds())
    assert failed(nothing) == {metric.name for metric in nothing.thresholds} - {"kept_examples"}
    assert math.isnan(nothing.token_stats.median)
    assert QcSummary.model_validate_json(nothing.model_dump_json()).failed_reasons == nothing.failed_reasons


def test_the_note_says_what_the_sample_cannot_show():
    notes = {metric.name: metric.note for metric in judged(bad=("runaway", 3)).thresholds}
    assert notes["runaway_rate"] == "3 of 100: the sample cannot rule out 0.0845"
    assert notes["token_limit_rate"] == ""


def test_every_rejection_is_counted_by_its_reason():
    rejections = [
        Rejection(phase=phase, reason=reason, instruction="x", shard=0, item=0)
        for phase, reason in [("pair", "judged bad"), ("pair", "judged bad"), ("dedup", "near")]
    ]
    summary = judged(rejections=rejections)
    assert summary.counts["rejected pair: judged bad"] == 2
    assert summary.counts["rejected dedup: near"] == 1
    assert summary.rates["generated_duplicates"].k == 1


def test_margins_leave_out_what_is_not_a_number():
    margins = judged(pairs=[critique(3.0), critique(math.nan), critique(1.0), critique(2.0)]).margins["pair"]
    assert (margins["n"], margins["not_finite"], margins["median"]) == (4, 1, 2.0)


def test_delimiter_and_cuts_are_counted():
    responses = [generated(i, delimiter_found=i < 3, heuristic_cut=i == 5) for i in range(10)]
    counts = judged(rounds=[round_of(responses=responses)]).counts
    assert (counts["delimiter_found"], counts["delimiter_missing"], counts["heuristic_cut"]) == (3, 7, 1)


# -------------------------------------------------------------------------------------------- cleaned responses


def summary_of(raws):
    """Quality control of what a model wrote, cleaned and measured as generation does it."""
    engine = ScriptedEngine(lambda prompt: raws[int(prompt.rsplit("thing ", 1)[1].split(".")[0])])
    items = [ResponseRequest(number, f"Name thing {number}.", critique()) for number in range(len(raws))]
    responses = [one.record for one in generate_responses(engine, GenerationSettings(), lambda *_: 1, items).responses]
    rounds = [round_of(responses, [critique()] * len(raws), [critique()] * len(raws))]
    examples = [example(number) for number in range(20)]
    header, wanted = SummaryHeader("pilot", "run", {}), MinimumCount("kept_examples", 20)
    return responses, summarize(header, material(examples=examples, rounds=rounds), wanted, QcThresholds())


@pytest.mark.fault(9, plant="runaway responses, cleaned as generation cleans them", check="runaway_rate")
def test_the_runaway_rate_can_fail_on_cleaned_text():
    """A part of the labelled runaways lies in the paragraph that the cleaner keeps; it is enough to stop a run."""
    raws = [f" {row.text}" for row in labelled_responses() if row.faults == ("runaway",)]
    responses, summary = summary_of(raws)
    assert sum(response.heuristic_cut for response in responses) > 30  # the cleaner was at work
    assert summary.rates["runaway"].value > 0.2
    assert summary.rates["raw_runaway"].k > summary.rates["runaway"].k
    assert any(reason.startswith("runaway_rate") for reason in summary.failed_reasons)


def test_the_runaway_rate_passes_on_good_responses():
    _, summary = summary_of([f" {row.text}" for row in labelled_responses() if not row.faults])
    assert not any(reason.startswith("runaway_rate") for reason in summary.failed_reasons)
