"""Duplicates within a set of instructions, and against the held-out set."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benchmarks
from benchmarks.dedup_data import instructions
from ctai.generate.dedup import deduplication, normalization
from ctai.generate.dedup.decontamination import overlapping
from ctai.generate.dedup.deduplication import OnlineDeduplicator, deduplicate
from ctai.tasks import base, registry
from ctai.tasks.heldout import build_heldout
from tests.support.generated import random_text

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Item:
    """A record with an instruction and something else."""

    instruction: str
    number: int


def reasons(
    texts: list[str], against: list[str] | None = None, threshold: float = deduplication.NEAR_JACCARD
) -> list[str]:
    return [dropped.reason for dropped in deduplicate(texts, against or [], threshold).dropped]


def two_keys() -> tuple[base.Family, str, str]:
    """A family that has two phrasings, and two of its keys."""
    family = next(f for f in registry.FAMILIES if len(f.phrasings) > 1 and len(f.keys) > 1)
    return family, family.keys[0], family.keys[1]


BACTERIUM = "What is the main difference between a virus and a bacterium?"


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (BACTERIUM, BACTERIUM, "exact"),
        (BACTERIUM, "what is the main  difference between a virus and a BACTERIUM", "normalized"),
        ("Explain the word office at length.", "Explain the word o\ufb03ce at length!", "normalized"),
        (BACTERIUM, "What is the main difference between a virus and bacterium?", "near"),
        (
            "Explain how plants make food in simple terms.",
            "Explain how plants make food, in simple terms.",
            "near",
        ),
        (
            "Tell me about 3 favourite holiday destinations and say why",
            "Tell me about three favorite holiday destinations and say why",
            "near",
        ),
    ],
)
def test_repetitions_of_free_text(first: str, second: str, reason: str) -> None:
    threshold = 0.6 if "favourite" in first else deduplication.NEAR_JACCARD
    assert reasons([first, second], threshold=threshold) == [reason]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "Please work out in your head how much 12 + 30 may be, dear friend",
            "Please work out in your head how much 12 + 31 may be, dear friend",
        ),
        (
            "Please work out in your head how much 12 + 30 may be, dear friend",
            "Please work out in your head how much 12 - 30 may be, dear friend",
        ),
        (
            "List seven healthy snacks that are easy to prepare at home with children",
            "List eight healthy snacks that are easy to prepare at home with children",
        ),
        (
            "Describe in one short paragraph the long and varied history of Chad for tourists",
            "Describe in one short paragraph the long and varied history of Mali for tourists",
        ),
        (
            "Please tell me how far it is to walk from Bonn to Ulm in hours and minutes",
            "Please tell me how far it is to walk from Ulm to Bonn in hours and minutes",
        ),
        (
            "Please translate the following word into the French language: 'house', politely",
            "Please translate the following word into the French language: 'mouse', politely",
        ),
        (
            "Please think of a kind of fruit or vegetable that begins with the letter b in English",
            "Please think of a kind of fruit or vegetable that begins with the letter c in English",
        ),
    ],
)
def test_templates_that_differ_in_what_matters_are_no_repetitions(first: str, second: str) -> None:
    assert normalization.jaccard(normalization.shingles(first), normalization.shingles(second)) >= 0.7, (
        "not alike: the test shows nothing"
    )
    assert reasons([first, second], threshold=0.7) == []


def test_two_phrasings_of_a_key_are_two_instructions_but_both_overlap_the_held_out_set() -> None:
    family, key, other = two_keys()
    first, second, different = family.render(key, 0), family.render(key, 1), family.render(other, 0)
    assert reasons([first, second, different]) == []
    assert reasons([first + " "]) == []
    assert reasons([second, different], against=[first]) == ["heldout key"]
    assert reasons([first, first.upper() + "!"]) == ["normalized"]


def test_families_are_never_near_duplicates() -> None:
    """Keys of one template are alike; a family tells them apart, whatever the threshold."""
    family = max(registry.FAMILIES, key=lambda f: len(f.keys))
    texts = list(dict.fromkeys(normalization.normalize(family.render(key, 0)) for key in family.keys[:100]))
    assert reasons(texts, threshold=0.3) == []


def test_free_text_overlaps_the_held_out_set_by_text_and_nearly() -> None:
    near = BACTERIUM.replace("bacterium", "bacteriums")
    assert reasons([BACTERIUM.upper(), near], against=[BACTERIUM]) == ["heldout text", "heldout near"]


SHELVES = "Put 3 red books and two blue ones on the upper shelf."


@pytest.mark.parametrize(
    "same",
    [
        "Please put 3 red books and two blue ones on the upper shelf.",
        "Put 3 red books and 2 blue ones on upper shelf",
        "On the upper shelf put 3 red books and two blue ones!",
    ],
)
def test_the_words_of_a_held_out_item_are_not_trained_on_in_whatever_order(same: str) -> None:
    assert reasons([same], against=[SHELVES]) == ["heldout words"]
    assert overlapping([Item(same, 0)], [Item(SHELVES, 1)], 1.0) == 1


@pytest.mark.parametrize(
    "other",
    [
        "Put two red books and 3 blue ones on the upper shelf.",
        "Put 3 red books and two blue ones on the upper shelf now.",
    ],
)
def test_other_words_or_numbers_in_another_order_ask_something_else(other: str) -> None:
    assert reasons([other], against=[SHELVES], threshold=1.0) == []
    assert overlapping([Item(other, 0)], [Item(SHELVES, 1)], 1.0) == 0


def test_held_out_overlap_comes_before_repetition() -> None:
    assert reasons([BACTERIUM, BACTERIUM], against=[BACTERIUM]) == ["heldout text", "heldout text"]


def test_the_first_record_is_kept_and_named() -> None:
    records = [Item(BACTERIUM, 0), Item("Say hello.", 1), Item(BACTERIUM.upper(), 2), Item("say hello", 3)]
    kept, dropped = deduplicate(records)
    assert kept == records[:2]
    assert [(d.record, d.reason, d.repeats) for d in dropped] == [
        (records[2], "normalized", records[0]),
        (records[3], "normalized", records[1]),
    ]
    assert dropped[0].repeated_instruction == BACTERIUM


def test_a_dropped_record_leaves_no_trace() -> None:
    """Only likeness to a kept record counts: a chain of near-duplicates would drop what is different."""
    words = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau"
    first, second, third = (
        words,
        words.replace("alpha beta ", ""),
        words.replace("alpha beta gamma delta ", ""),
    )
    similarities = [
        normalization.jaccard(normalization.shingles(a), normalization.shingles(b))
        for a, b in [(first, second), (second, third)]
    ]
    assert (
        min(similarities) >= 0.8 > normalization.jaccard(normalization.shingles(first), normalization.shingles(third))
    )
    assert deduplicate([first, second, third]).kept == [first, third]


def test_no_near_duplicate_is_missed_and_none_invented() -> None:
    """The index finds what comparison of every pair finds."""
    rng = random.Random(0)
    texts = []
    for _ in range(60):
        words = random_text(rng, 16).split()
        texts.append(" ".join(words))
        for changes in (1, 2, 3):
            changed = list(words)
            for index in rng.sample(range(len(words)), changes):
                changed[index] = random_text(rng, 1)
            texts.append(" ".join(changed))
    kept: list[str] = []
    for text in texts:
        alike = (
            normalization.jaccard(normalization.shingles(text), normalization.shingles(other)) >= 0.7 for other in kept
        )
        agree = (normalization.salient_tokens(text) == normalization.salient_tokens(other) for other in kept)
        if not any(a and m for a, m in zip(alike, agree, strict=True)):
            kept.append(text)
    assert 60 < len(kept) < 200
    assert deduplicate(texts, threshold=0.7).kept == kept


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="aAbB1 .?\u00e9\u2028", max_size=12), max_size=25))
def test_properties_on_any_text(texts: list[str]) -> None:
    kept, dropped = deduplicate(texts)
    assert sorted([*kept, *(d.record for d in dropped)]) == sorted(texts)
    assert len({normalization.normalize(text) for text in kept}) == len(kept)
    assert deduplicate(kept).dropped == []
    online: OnlineDeduplicator = OnlineDeduplicator()
    assert [text for text in texts if online.add(text) is None] == kept
    assert reasons(kept, against=kept) == ["heldout text"] * len(kept)


# ------------------------------------------------------------------------------------ against the definition


def similarity(a: frozenset[str], b: frozenset[str]) -> float:
    """The Jaccard similarity, without making the union: twice as fast."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def by_definition(texts: list[str], threshold: float = deduplication.NEAR_JACCARD) -> list[tuple[str, str]]:
    """Text and reason of what is dropped, found by comparing every pair of equal marks."""
    first: dict[str, str] = {}
    alike: dict[normalization.SalientTokens, list[frozenset[str]]] = {}
    dropped = []
    for text in texts:
        normal, own = normalization.normalize(text), normalization.shingles(text)
        others = alike.setdefault(normalization.salient_tokens(text), [])
        if normal in first:
            dropped.append((text, "exact" if first[normal] == text else "normalized"))
        elif registry.parse(text) is None and any(similarity(own, other) >= threshold for other in others):
            dropped.append((text, "near"))
        else:
            first[normal] = text
            others.append(own)
    return dropped


@pytest.mark.parametrize(
    ("count", "threshold", "near"), [(5000, 0.8, 100), (800, 0.6, 50), (800, 0.95, 1), (300, 1.0, 0)]
)
def test_all_that_brute_force_finds_is_found_and_nothing_else(count: int, threshold: float, near: int) -> None:
    texts = list(instructions(count))
    expected = by_definition(texts, threshold)
    assert sum(reason == "near" for _, reason in expected) >= near, "too few to tell"
    removals = [(removed.record, removed.reason) for removed in deduplicate(texts, threshold=threshold).dropped]
    assert removals == expected


@pytest.mark.parametrize("length", [3, 40, 400])
def test_likeness_is_found_in_texts_of_any_length_among_few_and_among_many(length: int) -> None:
    """Texts of one template, so that sketches are alike; in small groups and in such as numpy compares."""
    rng = random.Random(length)
    template = random_text(rng, length)
    texts = [f"{template} {random_text(rng, 2)}" for _ in range(60)]
    texts += [f"please {text}" for text in rng.sample(texts, 20)]
    removals = [(removed.record, removed.reason) for removed in deduplicate(texts).dropped]
    assert removals == by_definition(texts)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_is_repeated_is_the_first_that_is_alike(order: tuple[int, int]) -> None:
    words = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau"
    ends = (words, words.replace("alpha beta gamma delta ", ""))
    between = words.replace("alpha beta ", "")
    texts = [ends[order[0]], ends[order[1]], between]
    (dropped,) = deduplicate(texts).dropped
    assert (dropped.record, dropped.repeats) == (between, texts[0])


@pytest.mark.parametrize("same", [True, False])
def test_the_held_out_set_against_labelled_pairs(same: bool) -> None:
    """Copies and small edits are found, siblings of a template are not taken for them."""
    lines = (Path(benchmarks.__file__).parent / "data" / "paraphrases.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line) for line in lines]
    of_label = [pair for pair in pairs if pair["same"] == same]
    assert len(of_label) >= 50
    dropped = [pair for pair in of_label if reasons([pair["other"]], against=[pair["heldout"]])]
    assert len(dropped) >= 20 if same else len(dropped) <= 1


def test_siblings_of_held_out_items_stay() -> None:
    held = build_heldout(1000, 0, embedded=False)
    keys = {(item.family, item.key) for item in held}
    free = [(family, key) for family in registry.FAMILIES for key in family.keys if (family.name, key) not in keys]
    siblings = [family.render(key, phrasing) for family, key in free for phrasing in range(len(family.phrasings))]
    assert len(siblings) > 2000
    assert {removed.reason for removed in deduplicate(siblings, against=held).dropped} <= {"exact", "normalized"}
    others = [
        family.render(item.key, phrasing)
        for item in held
        if (family := registry.by_name(item.family))
        for phrasing in range(len(family.phrasings))
    ]
    assert deduplicate(others, against=held).kept == []
