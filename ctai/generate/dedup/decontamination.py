"""Count of the examples of a finished dataset that overlap the held-out set, by another search than the filter.

Owns the count that quality control reports. It shares the normal form, words, shingles and salient tokens with the filter
(`ctai.generate.dedup.normalization`), but not the search: no sketch excludes a pair, and an inverted index counts the
shingles that an instruction shares with each held-out item.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from ctai.generate.dedup.deduplication import Instructed
from ctai.generate.dedup.normalization import SalientTokens, bag_of_words, normalize, salient_tokens, shingles
from ctai.records import HeldoutItem
from ctai.tasks import registry


def overlapping(examples: Iterable[Instructed], heldout: Sequence[Instructed], threshold: float) -> int:
    """Count the examples that overlap the held-out set.

    An instruction overlaps an item with the same normalized text, the same family and key, the same words in any order,
    or, where no family parses it, nearly the same text; and every item of a family held out whole whose wording it has.

    Args:
        examples: the final dataset.
        heldout: the frozen test set.
        threshold: minimum Jaccard similarity of near-duplicates.
    """
    overlap = HeldoutOverlap(heldout, threshold)
    return sum(overlap.contains(example.instruction) for example in examples)


def _frame(phrasing: str) -> tuple[list[str], list[str]]:
    """Return the words of a wording before and after its key."""
    before, _, after = normalize(phrasing).partition("{key}")
    return before.split(), after.split()


def _fits(words: Sequence[str], before: Sequence[str], after: Sequence[str]) -> bool:
    """Return whether words begin and end as a wording does, with at least one word of a key between."""
    inner = words[len(before) : len(words) - len(after)]
    return bool(inner) and words == [*before, *inner, *after]


class HeldoutOverlap:
    """Test of single instructions for overlap with the held-out set; see `overlapping`.

    Args:
        heldout: the frozen test set.
        threshold: minimum Jaccard similarity of near-duplicates.
    """

    def __init__(self, heldout: Sequence[Instructed], threshold: float) -> None:
        instructions = [item.instruction for item in heldout]
        self._threshold = threshold
        self._texts = set(map(normalize, instructions))
        self._words = {bag_of_words(normalize(text), salient_tokens(text)) for text in instructions}
        self._keys = {key for text in instructions if (key := registry.parse(text)) is not None}
        self._unseen = {item.family for item in heldout if isinstance(item, HeldoutItem) and item.split == "unseen"}
        self._frames = [_frame(text) for name in sorted(self._unseen) for text in registry.by_name(name).phrasings]
        self._sizes = [len(shingles(text)) for text in instructions]
        # salient tokens -> shingle -> numbers of the items that have both
        self._items: dict[SalientTokens, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, text in enumerate(instructions):
            for shingle in shingles(text):
                self._items[salient_tokens(text)][shingle].append(number)

    def contains(self, instruction: str) -> bool:
        """Return whether an instruction overlaps a held-out item."""
        if normalize(instruction) in self._texts:
            return True
        if (key := registry.parse(instruction)) is not None:
            return key in self._keys or key[0] in self._unseen
        words = normalize(instruction).split()
        if any(_fits(words, before, after) for before, after in self._frames):
            return True
        salient = salient_tokens(instruction)
        if bag_of_words(normalize(instruction), salient) in self._words:
            return True
        items = self._items.get(salient)
        return items is not None and self._is_similar(shingles(instruction), items)

    def _is_similar(self, instruction: frozenset[str], items: Mapping[str, Sequence[int]]) -> bool:
        """Return whether the Jaccard similarity of the shingles to those of any item reaches the threshold."""
        shared = Counter(chain.from_iterable(items[shingle] for shingle in instruction if shingle in items))
        return any(n / (len(instruction) + self._sizes[item] - n) >= self._threshold for item, n in shared.items())
