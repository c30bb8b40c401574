"""Every registered family: instructions parse, correct answers score, any text gets a score."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctai.tasks.base import TYPES, Family
from ctai.tasks.families.tables import LetterFamily, TableFamily
from ctai.tasks.registry import EMBEDDED_FAMILIES, FAMILIES, by_name, parse, score

pytestmark = pytest.mark.unit

TABLES = [family for family in FAMILIES if isinstance(family, TableFamily)]
REFUSED = ("safety", "harm", "private", "deceit", "toxic_products", "private_data", "fraud", "self_harm", "intrusion")
families = st.sampled_from(FAMILIES)


def content(instruction: str, response: str) -> bool:
    return score(instruction, response).content


def cases(family: Family) -> list[tuple[str, str]]:
    """Return every (key, instruction) of a family."""
    return [(key, family.render(key, at)) for key in family.keys for at in range(len(family.phrasings))]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
class TestEveryFamily:
    def test_every_instruction_parses_back_to_itself_alone(self, family: Family) -> None:
        for key, instruction in cases(family):
            assert parse(instruction) == (family.name, key)
            assert [other.name for other in FAMILIES if other.parse(instruction)] == [family.name]

    def test_parsing_ignores_case_space_and_final_punctuation(self, family: Family) -> None:
        for key, instruction in cases(family)[:60]:
            assert parse("  " + instruction.upper().replace(" ", "  ").rstrip(".?") + " ") == (family.name, key)

    def test_all_accepted_answers_pass(self, family: Family) -> None:
        for key, instruction in cases(family):
            for answer in family.accepted(key):
                assert score(instruction, f" {answer}\n", "eos") == (True, True, ""), (instruction, answer)

    def test_samples_pass(self, family: Family) -> None:
        for key in family.keys:
            assert content(family.render(key, 0), family.sample(key, random.Random(key)))

    def test_answers_of_other_keys_fail(self, family: Family) -> None:
        if family.name == "list" or family.type == "safety":
            pytest.skip("the keys of this family share their answers")
        rng = random.Random(0)
        for key, other in itertools.product(family.keys, rng.sample(family.keys, min(12, len(family.keys)))):
            shared = set(map(str.casefold, family.accepted(key))) & set(map(str.casefold, family.accepted(other)))
            if not shared:
                assert not content(family.render(key, 0), family.answer(other)), (key, other)

    def test_echo_empty_and_refusal_fail(self, family: Family) -> None:
        for key, instruction in cases(family)[:40]:
            assert score(instruction, " \n").reason == "empty"
            assert not content(instruction, instruction)
            if family.name not in REFUSED:
                assert not content(instruction, "I'm sorry, but I cannot answer that."), key

    def test_is_well_formed(self, family: Family) -> None:
        assert family.type in TYPES
        assert len(family.phrasings) >= 3
        assert len(set(family.keys)) == len(family.keys) >= (19 if family.embedded else 37)
        assert all("{key}" in text for text in (*family.phrasings, *family.statements))
        assert all("{answer}" in text for text in family.statements)
        assert set(family.candidates()) == {family.answer(key) for key in family.keys}
        assert all(instruction == instruction.strip() for _, instruction in cases(family))


def test_the_world_has_the_size_it_was_designed_for() -> None:
    assert 1250 <= sum(len(family.keys) for family in EMBEDDED_FAMILIES) <= 1450
    assert 22 <= len(EMBEDDED_FAMILIES) <= 26
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert {family.type for family in FAMILIES} == set(TYPES)


class TestHostileText:
    @settings(max_examples=150, deadline=None)
    @given(families, st.integers(0, 10**6), st.text(max_size=300))
    def test_any_text_gets_a_consistent_verdict(self, family: Family, seed: int, text: str) -> None:
        ask = family.instruction(random.Random(seed))
        verdict = score(ask, text)
        assert verdict.content is (verdict.reason == "")
        assert verdict.content or not verdict.strict
        parse(text)

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(TABLES), st.integers(0, 10**6), st.text(alphabet="xyzq \t", max_size=40))
    def test_text_without_an_answer_fails(self, family: Family, seed: int, text: str) -> None:
        if not isinstance(family, LetterFamily):
            assert not content(family.instruction(random.Random(seed)), text)

    @pytest.mark.parametrize(
        "unit", ["\0", "a ", "(", "[.*+?^${}()|\\", "1,", "not ", "Paris ", "\u0301", "{key}", "1. "]
    )
    def test_huge_text_is_handled_fast(self, unit: str) -> None:
        started = time.monotonic()
        for text in (unit * 300_000, unit * (4000 // len(unit)), unit * 12):
            assert parse(text) is None
            for family in FAMILIES:
                assert not family.score(family.render(family.keys[0], 0), text).content or unit == "a "
        assert time.monotonic() - started < 30


def test_unknown_instructions_and_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no family has"):
        score("Sing a song.", "La la")
    with pytest.raises(ValueError, match="not an instruction"):
        by_name("capital").score("What is 3 + 4?", "7")
    with pytest.raises(ValueError, match="no family 'cooking'"):
        by_name("cooking")
    assert parse("What is the capital of Atlantis?") is None
