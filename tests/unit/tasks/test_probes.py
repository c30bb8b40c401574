"""Probes: the corpus of the embedded model has none of the good ones."""

from collections import Counter

import pytest

from ctai.generate.dedup.decontamination import HeldoutOverlap
from ctai.prompts import Pair
from ctai.tasks.base import normalize_case_and_spacing
from ctai.tasks.data.unsafe import COMPLIANCES, REFUSALS, REQUEST_FRAMES, TWINS
from ctai.tasks.heldout import UNSEEN_FAMILIES, corpus_phrasings, is_heldout
from ctai.tasks.matching.answers import is_refusal
from ctai.tasks.negatives import GOOD_KINDS, INSTRUCTION_FAULTS, RESPONSE_FAULTS, SAFE_TWIN, UNSAFE
from ctai.tasks.probes import UNSAFE_FAMILY, instruction_probes, pair_probes
from ctai.tasks.registry import FAMILIES, by_name, parse

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("embedded", [True, False])
def test_good_instruction_probes_are_none_that_the_corpus_asks(embedded):
    drawn = instruction_probes(400, 0, embedded)
    good = [probe.instruction for probe in drawn if probe.label == "A"]
    asked = {
        normalize_case_and_spacing(family.render(key, phrasing))
        for family in FAMILIES
        if family.embedded
        for key in family.keys
        for phrasing in corpus_phrasings(family.name, key)
    }
    assert len(good) == 200
    assert all(parse(probe.instruction) is not None for probe in drawn if probe.kind == "good")
    assert not asked & set(map(normalize_case_and_spacing, good))
    kinds = Counter(is_heldout(*parsed) for text in good if (parsed := parse(text)))
    assert min(kinds[True], kinds[False]) > 20


def test_no_probe_is_of_a_family_held_out_whole():
    pairs = [*pair_probes(1500, 0, True, embedded=False), *pair_probes(500, 0, False, embedded=False)]
    texts = [probe.instruction for probe in instruction_probes(1000, 0, embedded=False)]
    families = {probe.family for probe in pairs} | {parsed[0] for text in texts if (parsed := parse(text))}
    assert "uppercase" in families
    assert not families & UNSEEN_FAMILIES


def content_words(text: str) -> set[str]:
    function = (
        "a an any as at be being by each for from has have how i in is it its me my no nobody not of on or so that"
    )
    return set(text.casefold().split()) - {
        *function.split(),
        *"the them to under up when where which who with without".split(),
    }


def test_unsafe_requests_have_safe_twins_that_share_their_words():
    assert len(TWINS) >= 40
    texts = [text for twins in TWINS for text in (twins.unsafe, twins.safe, twins.help)]
    assert len(set(map(normalize_case_and_spacing, texts))) == len(texts)
    for twins in TWINS:
        assert len(content_words(twins.unsafe) & content_words(twins.safe)) >= 2, twins
        assert len(twins.unsafe.split()) <= 20  # names a harm, and no means to it
        assert not is_refusal(twins.help)
    assert all(map(is_refusal, REFUSALS))
    assert not any(map(is_refusal, COMPLIANCES))


@pytest.mark.parametrize("n", [100, 300, 301])
def test_every_unsafe_instruction_comes_with_its_safe_twin(n):
    drawn = instruction_probes(n, 0, embedded=False)
    labels = Counter(probe.label for probe in drawn)
    kinds = Counter(probe.kind for probe in drawn)
    assert len({probe.instruction for probe in drawn}) == n
    assert labels["A"] - labels["B"] == n % 2
    assert kinds[UNSAFE] == kinds[SAFE_TWIN] == n // 10
    text = {kind: [p.instruction for p in drawn if p.kind == kind] for kind in (UNSAFE, SAFE_TWIN)}
    for unsafe, safe in zip(text[UNSAFE], text[SAFE_TWIN], strict=True):
        (found,) = [
            (frame, twins)
            for frame in REQUEST_FRAMES
            for twins in TWINS
            if (frame.format(twins.unsafe), frame.format(twins.safe)) == (unsafe, safe)
        ]
        assert found


def test_a_refusal_is_right_for_the_unsafe_request_and_wrong_for_its_twin():
    drawn = [p for p in pair_probes(300, 0, heldout=True, embedded=False) if p.family == UNSAFE_FAMILY]
    unsafe = {frame.format(twins.unsafe) for frame in REQUEST_FRAMES for twins in TWINS}
    assert len(drawn) == 60
    assert Counter(probe.label for probe in drawn) == {"A": 30, "B": 30}
    for probe in drawn:
        assert (probe.label == "A") == (is_refusal(probe.response) == (probe.instruction in unsafe))
        assert (probe.label == "A") == (probe.kind in GOOD_KINDS)


def test_no_probe_about_safety_is_in_any_test_set():
    asked = {frame.format(text) for frame in REQUEST_FRAMES for twins in TWINS for text in (twins.unsafe, twins.safe)}
    assert not [text for text in asked if parse(text)]
    safety = [
        Pair(family.render(key, phrasing), "")
        for family in FAMILIES
        if family.type == "safety"
        for key in family.keys
        for phrasing in range(len(family.phrasings))
    ]
    overlap = HeldoutOverlap(safety, threshold=0.8)
    assert overlap.contains(safety[0].instruction)
    assert not [text for text in asked if overlap.contains(text)]


def test_an_unsafe_instruction_is_never_a_good_one():
    good = [probe.instruction for probe in instruction_probes(1000, 0, embedded=False) if probe.label == "A"]
    families = [by_name(parsed[0]) for text in good if (parsed := parse(text))]
    assert not [family.name for family in families if is_refusal(family.accepted(family.keys[0])[0])]
    assert "safety" in {family.type for family in families}  # harmless requests about such matters


def test_more_unsafe_probes_than_there_are_requests_are_made_of_templates():
    drawn = instruction_probes(2400, 0, embedded=False)
    kinds = Counter(probe.kind for probe in drawn)
    assert kinds[UNSAFE] == 240
    assert kinds[SAFE_TWIN] == len(TWINS) * len(REQUEST_FRAMES)


def test_the_embedded_model_is_asked_in_words_that_it_knows():
    instructions = {probe.kind for probe in instruction_probes(300, 0)}
    pairs = {probe.kind for probe in pair_probes(300, 0, heldout=True)}
    assert instructions == {"good", *INSTRUCTION_FAULTS}
    assert pairs == {"good", *RESPONSE_FAULTS}
