"""How many examples of a finished dataset overlap the held-out set, counted without the filter that made it.

Owns the count that quality control reports. It shares with `dedup` what a text's normal form, words, shingles and marks are,
but nothing of how overlaps are looked for: no sketch rules a pair out here, the shingles that an instruction shares with
each held-out item are counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from ctai.generate.dedup.deduplication import Instructed
from ctai.generate.dedup.normalization import SalientTokens, normalize, salient_tokens, shingles, words
from ctai.tasks import registry


def overlapping(examples: Iterable[Instructed], heldout: Sequence[Instructed], threshold: float) -> int:
    """Count the examples that ask what a held-out item asks: in its words and whatever their order, by its family and key, or
    nearly so.

    Args:
        examples: the final dataset.
        heldout: the frozen test set.
        threshold: least Jaccard similarity of near-duplicates, for instructions that no family parses.
    """
    overlap = HeldoutOverlap(heldout, threshold)
    return sum(overlap.has(example.instruction) for example in examples)


class HeldoutOverlap:
    """Says of one instruction at a time whether it overlaps the held-out set; see `overlapping`."""

    def __init__(self, heldout: Sequence[Instructed], threshold: float) -> None:
        asked = [item.instruction for item in heldout]
        self._threshold = threshold
        self._texts = set(map(normalize, asked))
        self._words = {words(normalize(text), salient_tokens(text)) for text in asked}
        self._keys = {key for text in asked if (key := registry.parse(text)) is not None}
        self._sizes = [len(shingles(text)) for text in asked]
        # marks -> shingle -> the items that have both
        self._items: dict[SalientTokens, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, text in enumerate(asked):
            for shingle in shingles(text):
                self._items[salient_tokens(text)][shingle].append(number)

    def has(self, instruction: str) -> bool:
        """Whether it asks what a held-out item asks."""
        if normalize(instruction) in self._texts:
            return True
        if (key := registry.parse(instruction)) is not None:
            return key in self._keys
        marked = salient_tokens(instruction)
        if words(normalize(instruction), marked) in self._words:
            return True
        items = self._items.get(marked)
        return items is not None and self._is_alike(shingles(instruction), items)

    def _is_alike(self, own: frozenset[str], items: Mapping[str, Sequence[int]]) -> bool:
        """Whether the shingles of any item are similar enough: the shared ones over those of either."""
        shared = Counter(chain.from_iterable(items[shingle] for shingle in own if shingle in items))
        return any(n / (len(own) + self._sizes[item] - n) >= self._threshold for item, n in shared.items())
