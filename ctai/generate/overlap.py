"""How many examples of a finished dataset overlap the held-out set, counted without the filter that made it.

Owns the count that quality control reports. It shares with `dedup` what a text's normal form, shingles and marks are,
but nothing of how overlaps are looked for: no index proposes candidates here, every pair is compared.
"""

from collections import defaultdict
from collections.abc import Sequence

from ctai.generate.dedup import Instructed, Marks, jaccard, marks, normalize, shingles
from ctai.tasks import families


def overlapping(examples: Sequence[Instructed], heldout: Sequence[Instructed], threshold: float) -> int:
    """Count the examples that ask what a held-out item asks: in its words, by its family and key, or nearly so.

    Args:
        examples: the final dataset.
        heldout: the frozen test set.
        threshold: least Jaccard similarity of near-duplicates, for instructions that no family parses.
    """
    asked = [item.instruction for item in heldout]
    texts = set(map(normalize, asked))
    keys = {key for text in asked if (key := families.parse(text)) is not None}
    by_marks: dict[Marks, list[frozenset[str]]] = defaultdict(list)
    for text in asked:
        by_marks[marks(text)].append(shingles(text))
    return sum(_overlaps(example.instruction, texts, keys, by_marks, threshold) for example in examples)


def _overlaps(
    instruction: str,
    texts: set[str],
    keys: set[tuple[str, str]],
    by_marks: dict[Marks, list[frozenset[str]]],
    threshold: float,
) -> bool:
    if normalize(instruction) in texts:
        return True
    if (key := families.parse(instruction)) is not None:
        return key in keys
    own = shingles(instruction)
    return any(jaccard(own, other) >= threshold for other in by_marks.get(marks(instruction), ()))
