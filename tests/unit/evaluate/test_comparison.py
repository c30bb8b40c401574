"""Comparison of the arms: numbers of the summary, clustering, and refusals."""

import numpy as np
import pytest

from ctai.errors import CtaiError
from ctai.evaluate.arms import BASE, BASE_FEW_SHOT, SFT
from ctai.evaluate.comparison import noise_floor
from tests.support.answers import answers, compare_arms, summarize

pytestmark = pytest.mark.unit


def test_numbers_of_a_small_example():
    """10 items: both right on 2, only base on 1, only SFT on 5, none on 2; p = 2 (1 + 6) / 2^6 = 0.21875."""
    base = answers(BASE, "1110000000")
    sft = answers(SFT, "1101111100", strict="1101111000")
    few_shot = answers(BASE_FEW_SHOT, "1111110000")
    noise = answers("base_repartitioned", "1100000001")
    summary = summarize(base, sft, rivals={BASE_FEW_SHOT: few_shot}, noise=noise)
    overall = summary.overall
    assert (overall.n, overall.base.k, overall.sft.k) == (10, 3, 7)
    assert overall.lift == pytest.approx(0.4)
    assert (overall.mcnemar.only_base, overall.mcnemar.only_sft, overall.mcnemar.exact) == (1, 5, True)
    assert overall.mcnemar.p_value == pytest.approx(0.21875)
    assert overall.p_value == max(overall.mcnemar.p_value, overall.clustered_p_value)
    assert overall.cohens_h == pytest.approx(2 * np.arcsin(np.sqrt(0.7)) - 2 * np.arcsin(np.sqrt(0.3)))
    assert overall.lift_interval.low < 0.4 < overall.lift_interval.high
    assert (summary.overall_strict.base.k, summary.overall_strict.sft.k) == (3, 6)
    assert {name: rate.k for name, rate in summary.rates.items()} == {"base_strict": 0, BASE: 3, BASE_FEW_SHOT: 6}
    over_few_shot = summary.rivals[BASE_FEW_SHOT].comparison
    assert (over_few_shot.mcnemar.only_base, over_few_shot.mcnemar.only_sft) == (1, 2)
    assert summary.strongest_rival == BASE_FEW_SHOT
    assert (summary.stop_rate.k, summary.stop_rate.n) == (9, 10)
    assert (summary.strict_share.k, summary.strict_share.n) == (6, 7)
    assert (summary.noise_floor.k, summary.noise_floor.n) == (2, 10)
    assert summary.metadata["failure_reasons"][SFT] == {"wrong answer": 3, "runs on": 1}
    assert not summary.go


@pytest.mark.fault(38, plant="items of one family that succeed together", check="intervals clustered by family")
def test_items_of_one_family_are_not_independent():
    """400 items in 10 families: half of the families gain on every item, or each family on half of its items."""
    alike = [f"family {i // 40}" for i in range(400)]
    mixed = [f"family {i % 10}" for i in range(400)]
    gains = "1" * 200 + "0" * 200

    def compared(families):
        base, sft = answers(BASE, "0" * 400, families=families), answers(SFT, gains, families=families)
        return summarize(base, sft).overall

    clustered, independent = compared(alike), compared(mixed)
    assert clustered.lift == independent.lift == 0.5
    assert independent.effective_n > 300 > 40 > clustered.effective_n
    assert clustered.lift_interval.low < independent.lift_interval.low
    assert clustered.p_value > independent.p_value


def test_types_are_adjusted_together():
    summary = compare_arms("0000000011", "1111111111", types="fffffwwwss")
    p = {kind: comparison.p_value for kind, comparison in summary.by_type.items()}
    adjusted = {kind: comparison.p_adjusted for kind, comparison in summary.by_type.items()}
    assert p["safety"] == adjusted["safety"] == 1
    assert adjusted["word"] == pytest.approx(p["word"] * 3 / 2)
    assert summary.bh_correction == {"fdr": 0.10, "tests": 3, "significant": 2}


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
        summarize(base, sft, rivals={"few": base[:2]})
    with pytest.raises(CtaiError, match="noise floor"):
        summarize(base, sft, noise=base[::-1])
    with pytest.raises(CtaiError, match="noise floor"):
        noise_floor(base, base[1:])
