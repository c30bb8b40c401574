"""Comparison of the arms: numbers of the summary, go or no go, refusals, and the files."""

import numpy as np
import pytest

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.arms import (
    BASE,
    BASE_FEW_SHOT,
    SFT,
)
from ctai.evaluate.comparison import (
    NO_REGRESSION,
    NOT_APPLICABLE,
    REGRESSION,
    ArmAnswers,
    ArmIdentity,
    noise_floor,
    regression_value,
    summarize_evaluation,
    summary_text,
    write_evaluation,
)
from ctai.records import EvaluationItem, EvaluationSummary, Metric
from ctai.rundir import read_jsonl, read_record
from ctai.statistics import wilson_interval
from tests.support.thresholds import metrics_of

pytestmark = pytest.mark.unit

CONFIG = RunConfig()

ARMS = {BASE: "a" * 64, SFT: "b" * 64}


def answers(arm: str, content: str, strict: str = "", types: str = "") -> list[EvaluationItem]:
    """One answer for each character: `1` is a success; `types` has a letter for each item's type."""
    strict = strict or "0" * len(content)
    names = {"f": "fact", "s": "safety", "m": "format", "w": "word"}
    return [
        EvaluationItem(
            arm=arm,
            item=i,
            family=f"family {i % 23}",
            type=names[types[i] if types else "f"],
            split="asked",
            instruction=f"instruction {i}",
            prompt=f"prompt {i}",
            response="",
            raw="",
            finish_reason="eos" if strict[i] == "1" else "length",
            content=content[i] == "1",
            strict=strict[i] == "1",
            failure_reason="" if strict[i] == "1" else "runs on" if content[i] == "1" else "wrong answer",
            tokens=1,
            prompt_tokens=2,
        )
        for i in range(len(content))
    ]


def summarize(base, sft, **update) -> EvaluationSummary:
    answers = ArmAnswers(base, sft, update.pop("baselines", {}), update.pop("noise_items", base))
    identity = ArmIdentity(update.pop("arms", ARMS), update.pop("logit_difference", 3.5))
    return summarize_evaluation(answers, identity, **{"config": CONFIG, "run_id": "run", **update})


def test_numbers_of_a_small_example():
    """10 items: both right on 2, only base on 1, only SFT on 5, none on 2; p = 2 (1 + 6) / 2^6 = 0.21875."""
    base = answers(BASE, "1110000000")
    sft = answers(SFT, "1101111100", strict="1101111000")
    few_shot = answers(BASE_FEW_SHOT, "1111110000")
    noise = answers("base_repartitioned", "1100000001")
    summary = summarize(base, sft, baselines={BASE_FEW_SHOT: few_shot}, noise_items=noise)
    overall = summary.overall
    assert (overall.n, overall.base.k, overall.sft.k) == (10, 3, 7)
    assert overall.lift == pytest.approx(0.4)
    assert (overall.mcnemar.only_base, overall.mcnemar.only_sft, overall.mcnemar.exact) == (1, 5, True)
    assert overall.mcnemar.p_value == pytest.approx(0.21875)
    assert overall.cohens_h == pytest.approx(2 * np.arcsin(np.sqrt(0.7)) - 2 * np.arcsin(np.sqrt(0.3)))
    assert overall.sft.interval == wilson_interval(7, 10, df=9)  # one item a family
    assert overall.clusters == 10
    assert overall.design_effect == pytest.approx(1)
    assert (summary.overall_strict.base.k, summary.overall_strict.sft.k) == (0, 6)
    assert {name: rate.k for name, rate in summary.baselines.items()} == {
        "base_strict": 0,
        "base_stop_rule": 3,
        BASE_FEW_SHOT: 6,
    }
    over_few_shot = summary.against_baselines[BASE_FEW_SHOT]
    assert (over_few_shot.mcnemar.only_base, over_few_shot.mcnemar.only_sft) == (1, 2)
    assert "Over base_few_shot, without training: +0.100" in summary_text(summary)
    assert (summary.noise_floor.k, summary.noise_floor.n) == (2, 10)
    assert summary.metadata["failure_reasons"][SFT] == {"wrong answer": 3, "runs on": 1}
    assert not summary.go


def many(base: str, sft: str, types: str = "", copies: int = 40, **update) -> EvaluationSummary:
    items = (
        answers(BASE, base * copies, types=types * copies),
        answers(SFT, sft * copies, types=types * copies),
    )
    return summarize(*items, **update)


def test_a_clear_lift_is_go():
    summary = many("1000000000", "1111111000")
    assert summary.go
    assert summary.metadata["no_go_reasons"] == []
    assert summary.overall.lift_interval.high - summary.overall.lift_interval.low <= 0.15


@pytest.mark.fault(21, plant="a gain read the other way round", check="sign of the lift")
def test_swapped_arms_turn_the_sign():
    forward, backward = many("1000000000", "1111111000"), many("1111111000", "1000000000")
    assert backward.overall.lift == -forward.overall.lift
    assert backward.overall.cohens_h == -forward.overall.cohens_h
    assert backward.overall.mcnemar.p_value == forward.overall.mcnemar.p_value < 1e-9
    assert not backward.go
    assert backward.overall.p_gain == 1.0  # significant, but for the base
    assert backward.metadata["no_go_reasons"] == [
        "SFT is not better on content (lift -0.600)",
        "p = 1 is not below 0.01",
    ]


@pytest.mark.fault(19, plant="an arm that only stops better", check="go needs a gain in content")
def test_learning_to_stop_alone_is_no_go():
    base, sft = answers(BASE, "1100" * 80), answers(SFT, "1100" * 80, strict="1100" * 80)
    summary = summarize(base, sft)
    assert summary.overall_strict.lift == pytest.approx(0.5)
    assert not summary.go


def test_a_wide_interval_is_no_go():
    summary = many("1000000000", "1111111000", copies=4)
    assert summary.overall.mcnemar.p_value < 0.01
    assert [reason for reason in summary.metadata["no_go_reasons"] if "wide, more than 0.15" in reason]
    assert not summary.go


def regression(kind: str, summary: EvaluationSummary) -> Metric:
    """The metric of gate evaluation on a guarded type."""
    (metric,) = metrics_of({f"{kind}_regressions": regression_value(kind, summary, "evaluation.json")})
    return metric


def test_a_regression_on_safety_is_no_go_and_an_absent_type_is_said():
    summary = many("0000000011", "1111111100", types="ffffffffss", copies=60)
    assert summary.non_regression == {"safety": REGRESSION, "format": NOT_APPLICABLE}
    assert summary.metadata["no_go_reasons"] == ["SFT is worse on safety items"]
    assert summary.by_type["safety"].lift == -1
    assert not summary.go
    worse, unmeasured = (regression(kind, summary) for kind in ("safety", "format"))
    assert (worse.value, worse.n, worse.passed, worse.note) == (1, 120, False, REGRESSION)
    assert (unmeasured.value, unmeasured.n, unmeasured.note) == (0, 0, "no such items in the test set")


def test_a_small_loss_within_the_intervals_is_no_regression():
    base, sft = "0" * 200 + "1" * 20, "1" * 200 + "1" * 19 + "0"
    summary = many(base, sft, types="f" * 200 + "m" * 20, copies=1)
    assert summary.by_type["format"].lift < 0
    assert summary.non_regression["format"] == NO_REGRESSION
    assert summary.go
    metric = regression("format", summary)
    assert (metric.value, metric.n, metric.passed, metric.note) == (0, 20, True, NO_REGRESSION)


def test_types_are_adjusted_together():
    summary = many("0000000011", "1111111111", types="fffffwwwss")
    p = {kind: comparison.p_value for kind, comparison in summary.by_type.items()}
    adjusted = {kind: comparison.p_adjusted for kind, comparison in summary.by_type.items()}
    assert p["safety"] == adjusted["safety"] == 1
    assert adjusted["word"] == pytest.approx(p["word"] * 3 / 2)
    assert summary.bh_correction == {"fdr": 0.10, "tests": 3, "significant": 2}


@pytest.mark.fault(21, plant="an adapter that changes no logit", check="arm check")
def test_arms_that_do_not_differ_are_no_go():
    summary = many("1000000000", "1111111000", logit_difference=0.0)
    assert summary.metadata["no_go_reasons"] == ["the arms do not differ: the adapter is not applied"]
    assert not summary.go


@pytest.mark.fault(21, plant="arms swapped, or of the same weights", check="arm check")
def test_mixed_up_arms_are_refused():
    base, sft = answers(BASE, "10"), answers(SFT, "11")
    with pytest.raises(CtaiError, match="the arms are mixed up"):
        summarize(sft, base)
    with pytest.raises(CtaiError, match="both arms ran on aaaaaaaaaaaa"):
        summarize(base, sft, arms={BASE: "a" * 64, SFT: "a" * 64})


def test_arms_on_other_items_are_refused():
    base, sft = answers(BASE, "1010"), answers(SFT, "1111")
    with pytest.raises(CtaiError, match="base answered 4 items and sft 3"):
        summarize(base, sft[:3])
    with pytest.raises(CtaiError, match="base answered 0 items"):
        summarize([], [])
    with pytest.raises(CtaiError, match="base and sft differ at position 1: item 1 'prompt 1' and item 2 'prompt 2'"):
        summarize(base, [sft[0], sft[2], sft[1], sft[3]])
    other_prompt = sft[1].model_copy(update={"prompt": "another"})
    with pytest.raises(CtaiError, match="differ at position 1"):
        summarize(base, [sft[0], other_prompt, *sft[2:]])
    with pytest.raises(CtaiError, match="few"):
        summarize(base, sft, baselines={"few": base[:2]})
    with pytest.raises(CtaiError, match="noise floor"):
        summarize(base, sft, noise_items=base[::-1])
    with pytest.raises(CtaiError, match="noise floor"):
        noise_floor(base, base[1:])


def test_files_and_text(tmp_path):
    base, sft = answers(BASE, "1000000000" * 40), answers(SFT, "1111111000" * 40)
    summary = summarize(base, sft, metadata={"heldout": "digest"})
    paths = write_evaluation(base, sft, summary, tmp_path / "retry")
    assert {path.parent for path in paths} == {tmp_path / "retry"}
    assert [path.name for path in paths] == [
        "base_items.jsonl",
        "sft_items.jsonl",
        "evaluation.json",
        "summary.txt",
    ]
    assert read_jsonl(paths[0], EvaluationItem) == base
    assert read_jsonl(paths[1], EvaluationItem) == sft
    assert read_record(paths[2], EvaluationSummary) == summary
    assert summary.metadata["heldout"] == "digest"
    lines = paths[3].read_text().splitlines()
    assert lines[0] == "GO: base against SFT on 400 held-out items"
    content = next(line for line in lines if line.startswith("content"))
    assert content.split()[:3] == ["content", "400", "0.100"]
    assert "+0.600" in content


def test_no_go_is_said_first_with_its_reasons(tmp_path):
    summary = many("1111111000", "1000000000")
    path = write_evaluation(answers(BASE, "1"), answers(SFT, "1"), summary, tmp_path)[3]
    lines = path.read_text().splitlines()
    assert lines[0].startswith("NO GO")
    assert lines[1] == "  - SFT is not better on content (lift -0.600)"
