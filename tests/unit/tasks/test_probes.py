"""Probes: the corpus of the embedded model has none of the good ones."""

from collections import Counter

import pytest

from ctai.tasks.base import normalize_case_and_spacing
from ctai.tasks.heldout import corpus_phrasings, is_heldout
from ctai.tasks.probes import instruction_probes
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
