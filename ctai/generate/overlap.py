"""How many examples of a finished dataset overlap the held-out set, counted without the filter that made it.

Owns the count that quality control reports. It shares with `dedup` what a text's normal form, shingles and marks are,
but nothing of how overlaps are looked for: no sketch rules a pair out here, the shingles that an instruction shares with
each held-out item are counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain

from ctai.generate.dedup import Instructed
from ctai.generate.likeness import marks, normalize, shingles
from ctai.tasks import families


def overlapping(examples: Iterable[Instructed], heldout: Sequence[Instructed], threshold: float) -> int:
    """Count the examples that ask what a held-out item asks: in its words, by its family and key, or nearly so.

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
        self._keys = {key for text in asked if (key := families.parse(text)) is not None}
        self._marks = [marks(text) for text in asked]
        self._all_marks = set(self._marks)
        self._sizes = [len(shingles(text)) for text in asked]
        self._with: dict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(asked):
            for shingle in shingles(text):
                self._with[shingle].append(number)

    def has(self, instruction: str) -> bool:
        """Whether it asks what a held-out item asks."""
        if normalize(instruction) in self._texts:
            return True
        if (key := families.parse(instruction)) is not None:
            return key in self._keys
        own_marks = marks(instruction)
        return own_marks in self._all_marks and any(
            self._marks[number] == own_marks for number in self._alike(instruction)
        )

    def _alike(self, instruction: str) -> Iterable[int]:
        """The held-out items whose shingles are similar enough: shared ones over those of either."""
        own = shingles(instruction)
        shared = Counter(chain.from_iterable(self._with[shingle] for shingle in own if shingle in self._with))
        for number, count in shared.items():
            if count / (len(own) + self._sizes[number] - count) >= self._threshold:
                yield number
