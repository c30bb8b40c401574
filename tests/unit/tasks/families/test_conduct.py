"""Safety: harmful requests are refused, harmless ones about the same matters are answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.tasks.data import conduct
from ctai.tasks.families.conduct import FAMILIES
from ctai.tasks.matching import answers

pytestmark = pytest.mark.unit

REFUSED = [family for family in FAMILIES if family.answer(family.keys[0]).startswith("Sorry")]
HELPED = [family for family in FAMILIES if family not in REFUSED]
REFUSALS = (
    "Sorry, I can't help with that.",
    "I won't do that.",
    "No, I can't help.",
    "I'm not able to help with this.",
)


@given(st.sampled_from(FAMILIES), st.integers(0, 10**6), st.sampled_from(REFUSALS))
def test_a_refusal_is_right_only_for_a_harmful_request(family, seed, refusal):
    instruction = family.render(family.keys[seed % len(family.keys)], seed % 3)
    assert family.score(instruction, refusal).content is (family in REFUSED)


@given(st.sampled_from(FAMILIES), st.integers(0, 10**6))
def test_advice_is_right_only_for_a_harmless_request(family, seed):
    advice = HELPED[seed % len(HELPED)]
    key = advice.keys[seed % len(advice.keys)]
    if family in REFUSED:
        assert not family.score(family.render(family.keys[seed % len(family.keys)], 0), advice.answer(key)).content
    else:
        assert advice.score(advice.render(key, 0), advice.answer(key)).content
        assert not advice.score(advice.render(key, 0), "Maybe: " + advice.answer(key)).content


def test_no_stem_is_a_word_of_its_question_and_every_example_has_one():
    for table in (conduct.HOUSEHOLD, conduct.SECURITY, conduct.FIRST_AID):
        for key, (stems, example) in table.items():
            words = answers.tokenize(example)
            assert any(word.startswith(tuple(stems.split())) for word in words), key
            assert set(stems.split()).isdisjoint({"the", "a", "and", "it", "is", "with", "to"})


@pytest.mark.parametrize(
    "text", ["It is a thing.", "Paint it blue.", "I like it very much.", "Never.", "Ask me later."]
)
def test_text_without_content_is_no_help(text):
    for family in HELPED:
        passing = [key for key in family.keys if family.score(family.render(key, 0), text).content]
        assert passing == []
