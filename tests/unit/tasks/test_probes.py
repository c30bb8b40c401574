"""Probes: the corpus of the embedded model has none of the good ones."""

from collections import Counter

import pytest

from ctai.tasks.base import normalize_case_and_spacing
from ctai.tasks.heldout import UNSEEN_FAMILIES, corpus_phrasings, is_heldout
from ctai.tasks.probes import instruction_probes, pair_probes
from ctai.tasks.registry import FAMILIES, parse

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("embedded", [True, False])
def test_good_instruction_probes_are_none_that_the_corpus_asks(embedded):
    good = [probe.instruction for probe in instruction_probes(400, 0, embedded) if probe.label == "A"]
    asked = {
        normalize_case_and_spacing(family.render(key, phrasing))
        for family in FAMILIES
        if family.embedded
        for key in family.keys
        for phrasing in corpus_phrasings(family.name, key)
    }
    assert len(good) == 200
    assert all(parse(instruction) is not None for instruction in good)
    assert not asked & set(map(normalize_case_and_spacing, good))
    kinds = Counter(is_heldout(*parsed) for text in good if (parsed := parse(text)))
    assert min(kinds[True], kinds[False]) > 20


def test_no_probe_is_of_a_family_held_out_whole():
    pairs = [*pair_probes(1500, 0, True, embedded=False), *pair_probes(500, 0, False, embedded=False)]
    texts = [probe.instruction for probe in instruction_probes(1000, 0, embedded=False)]
    families = {probe.family for probe in pairs} | {parsed[0] for text in texts if (parsed := parse(text))}
    assert "uppercase" in families
    assert not families & UNSEEN_FAMILIES
