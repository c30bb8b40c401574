"""Similarity search in large groups of texts."""

import random

import pytest

from ctai.generate.dedup.index import IndexedText, TextIndex
from tests.support.generated import random_text

pytestmark = pytest.mark.unit


def test_more_texts_of_one_kind_than_are_compared_at_a_time() -> None:
    index = TextIndex(0.8)
    rng = random.Random(0)
    texts = [random_text(rng, 8) for _ in range(5000)]
    for text in texts:
        index.insert(IndexedText(text))
    for place in (0, 2500, 4999):
        assert index.find_near(IndexedText(f"{texts[place]} a")) == index.find_equal(IndexedText(texts[place])) == place
        assert index[place] == texts[place]
    assert index.find_near(IndexedText(random_text(rng, 8))) is None
