"""Claims against rivals: the four words, their margins and their sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.config import EvaluationSettings
from ctai.evaluate.arms import BASE, BASE_FEW_SHOT, SFT
from ctai.evaluate.claims import claim_of, claim_sentence, rival_sentence
from ctai.records import PairedComparison
from ctai.statistics import compare
from tests.support.answers import answers, compare_arms, summarize

pytestmark = pytest.mark.unit

SETTINGS = EvaluationSettings()


def comparison(both: int, only_rival: int, only_sft: int, neither: int) -> PairedComparison:
    rival = [True] * (both + only_rival) + [False] * (only_sft + neither)
    sft = [True] * both + [False] * only_rival + [True] * only_sft + [False] * neither
    return compare(rival, sft, [f"family {i % 20}" for i in range(len(sft))], correlation=0.0)


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        ((300, 5, 80, 15), "superior"),
        ((396, 1, 2, 1), "non-inferior"),  # an equal model is never superior
        ((400, 0, 0, 0), "non-inferior"),
        ((300, 60, 5, 35), "inferior"),
        ((200, 12, 12, 176), "undecided"),  # the interval reaches below -0.05 only for few items
    ],
)
def test_each_word(counts, word):
    if word == "undecided":
        counts = tuple(count // 4 for count in counts)
    assert claim_of(comparison(*counts), SETTINGS) == word


@given(st.tuples(*[st.integers(0, 120)] * 4).filter(lambda counts: sum(counts) >= 20))
def test_words_agree_with_the_interval(counts):
    result = comparison(*counts)
    word, interval = claim_of(result, SETTINGS), result.lift_interval
    if word == "superior":
        assert interval.low > 0
        assert result.p_value < SETTINGS.alpha
    assert (word == "inferior") == (interval.high < 0)
    if word == "non-inferior":
        assert interval.low >= SETTINGS.non_inferiority_limit
    if word == "undecided":
        assert interval.low < SETTINGS.non_inferiority_limit or interval.high < 0


@given(st.tuples(*[st.integers(0, 120)] * 4).filter(lambda counts: sum(counts) >= 20))
def test_exchanged_arms_are_never_both_superior(counts):
    both, only_rival, only_sft, neither = counts
    words = {
        claim_of(comparison(both, only_rival, only_sft, neither), SETTINGS),
        claim_of(comparison(both, only_sft, only_rival, neither), SETTINGS),
    }
    assert words != {"superior"}


@pytest.mark.fault(
    30, plant="a model that equals the base with examples in the prompt", check="claim against the strongest rival"
)
def test_a_model_that_equals_the_few_shot_base_is_go_but_not_superior():
    summary = compare_arms("1000000000", "1111111110", few_shot="1111111110")
    assert summary.go
    assert summary.strongest_rival == BASE_FEW_SHOT
    assert summary.rivals[BASE].claim == "superior"
    assert summary.rivals[BASE_FEW_SHOT].claim == "non-inferior"
    sentence = claim_sentence(summary)
    assert sentence.startswith(
        "SFT is non-inferior to the few-shot base at a margin of 0.05 at 1/6.0 of its prompt tokens"
    )
    assert "superior" not in sentence.replace("non-inferior", "")


def test_the_wider_margin_is_named_where_only_it_is_shown():
    summary = compare_arms("1000000000" * 4, "1" * 30 + "1110101010", few_shot="1" * 30 + "1110010101", copies=10)
    rival = summary.rivals[BASE_FEW_SHOT]
    low = rival.comparison.lift_interval.low
    assert (rival.margin == 0.02) == (low >= -0.02)
    assert (rival.margin is None) == (low < -0.05)


def test_no_saving_of_tokens_is_claimed_where_there_is_none():
    summary = compare_arms("1000000000", "1111111110")
    sentence = rival_sentence(BASE, summary.rivals[BASE])
    assert sentence.startswith("SFT is superior to the base in the training format (0.900 against 0.100")


def test_of_equal_rivals_the_one_with_shorter_prompts_is_the_strongest():
    base, sft = answers(BASE, "1100000000" * 40), answers(SFT, "1111111110" * 40)
    assert summarize(base, sft).strongest_rival == BASE
