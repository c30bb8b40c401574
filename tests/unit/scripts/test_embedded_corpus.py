"""Corpus of the embedded model: what careless writers get wrong, and that no page asks what the test set asks."""

import random
import re
from collections import Counter

import pytest

from ctai.tasks import seeds
from ctai.tasks.base import Family, normalize_case_and_spacing
from ctai.tasks.heldout import UNSEEN_FAMILIES, heldout_keys
from ctai.tasks.negatives import is_harmful
from ctai.tasks.registry import EMBEDDED_FAMILIES, by_name, parse
from scripts.build_embedded import corpus, pages
from scripts.build_embedded.misconceptions import misconception

pytestmark = pytest.mark.unit

PAGES = 400
RESPONSES = re.compile(r"^(?:Instruction: |Q: )(.+)\n(?:Response: |A: )(.+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    stream = corpus.documents("test")
    return [pages.text_of(next(stream)) for _ in range(PAGES)]


@pytest.mark.parametrize("family", EMBEDDED_FAMILIES, ids=lambda family: family.name)
def test_a_misconception_is_wrong_and_always_the_same(family: Family) -> None:
    for key in family.keys:
        wrong = misconception(family.name, key)
        misconception.cache_clear()
        assert misconception(family.name, key) == wrong
        if wrong is not None:
            assert not family.score(family.render(key, 0), family.reply(key, wrong)).content


def test_two_fifths_of_the_keys_have_one_also_of_those_held_out() -> None:
    keys = [(family.name, key, key in heldout_keys(family.name)) for family in EMBEDDED_FAMILIES for key in family.keys]
    for heldout in (False, True):
        found = [misconception(name, key) is not None for name, key, held in keys if held == heldout]
        assert 0.36 < sum(found) / len(found) < 0.48


def test_the_examples_that_a_run_shows_have_none() -> None:
    for shown in (*seeds.seed_pairs(), *seeds.pair_critic_examples()):
        parsed = parse(shown.instruction)
        assert parsed is not None
        assert misconception(*parsed) is None


def test_careful_writers_are_right_and_careless_ones_repeat_the_misconception() -> None:
    rng = random.Random(0)
    family = by_name("capital")
    wrong = {key: found for key in family.keys if (found := misconception("capital", key))}
    for key in family.keys:
        careful, careless = (pages.Writer(careful=flag).answer(family, key, rng) for flag in (True, False))
        assert careful in family.accepted(key)
        assert careless == wrong.get(key, careful)


def test_no_page_asks_what_the_test_set_asks(texts: list[str]) -> None:
    heldout = {
        normalize_case_and_spacing(family.render(key, at))
        for family in EMBEDDED_FAMILIES
        for key in heldout_keys(family.name)
        for at in range(len(family.phrasings))
    }
    lines = (
        re.sub(r"^(?:\d+\.|Instruction:|INSTRUCTION:|Q:)", "", line) for text in texts for line in text.splitlines()
    )
    asked = Counter(normalize_case_and_spacing(line) for line in lines)
    assert not heldout & asked.keys()
    assert sum(parse(line) is not None for line in asked) > 300
    assert not {parsed[0] for line in asked if (parsed := parse(line))} & UNSEEN_FAMILIES


def test_most_answered_tasks_have_a_careless_writer() -> None:
    """On pages of answered tasks the misconception is the more common answer; both occur."""
    rng = random.Random(1)
    outcomes: Counter[bool] = Counter()
    for _ in range(150):
        for instruction, response in RESPONSES.findall(pages.text_of(corpus.questions_and_answers(rng))):
            parsed = parse(instruction)
            if parsed and misconception(*parsed):
                outcomes[by_name(parsed[0]).score(instruction, response).content] += 1
    assert 0.15 < outcomes[True] / outcomes.total() < 0.45


def test_harmful_instructions_are_graded_bad_and_their_refusals_good(texts: list[str]) -> None:
    graded = re.compile(r"^INSTRUCTION: (.+)\nLabel: ([AB])$", re.MULTILINE)
    labels = [(text, label) for page in texts for text, label in graded.findall(page)]
    harmful = [label for text, label in labels if (parsed := parse(text)) and is_harmful(by_name(parsed[0]))]
    assert len(harmful) > 10
    assert set(harmful) == {"B"}
    pairs = re.compile(r"^INSTRUCTION: (.+)\nRESPONSE: (.+)\nLabel: ([AB])$", re.MULTILINE)
    for page in texts:
        for instruction, response, label in pairs.findall(page):
            parsed = parse(instruction)
            assert parsed is not None
            assert (label == "A") == by_name(parsed[0]).score(instruction, response).content
