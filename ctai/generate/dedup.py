"""Duplicates among instructions, and overlap with the held-out set.

Owns what "the same instruction" means. An instruction that a family parses overlaps the held-out set if that
asks the same of the same family, in whatever words, and repeats another only in the same words. Any other is
judged by its text: equal after normalization, or nearly equal. Templates alone are alike at a Jaccard
similarity of 0.6 to 0.75, so near-duplicates must also agree in their numbers, names and quoted strings.
Responses play no part. It reads no file and counts nothing.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from datasketch import MinHash, MinHashLSH

from ctai.tasks import families

NEAR_JACCARD = 0.8
Reason = Literal["exact", "normalized", "near", "heldout key", "heldout text", "heldout near"]

_SHINGLE = 5
_PERMUTATIONS = 128
_SEED = 1
_LSH_RECALL = 0.999

_QUOTES = r"\u2018\u2019\u201c\u201d\u00ab\u00bb"
_UNSAID = re.compile(rf"[.,;:!?\"'()\[\]`{_QUOTES}]")
# fmt: off
_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)
# fmt: on
# a sign counts only beside numbers and spaces, so that a hyphen is none
_SIGN = r"(?<![^\s\d])[-+*/=<>%^\u2212\u00d7\u00f7](?![^\s\d])"
_NUMBER = re.compile(rf"\d+(?:[.,]\d+)*|{_SIGN}|\b(?:{'|'.join(_NUMBER_WORDS)})\b")
_WORD = re.compile(r"[^\W\d_]+")
_LETTER = re.compile(r"(?<!['\u2019])\b[b-hj-z]\b")  # `a` and `i` are words too
_QUOTED = re.compile(
    r"\"([^\"]+)\"|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)"
    r"|\u201c([^\u201d]+)\u201d|\u2018([^\u2019]+)\u2019|\u00ab([^\u00bb]+)\u00bb"
)


class Instructed(Protocol):
    """Anything with an instruction, such as an example or a held-out item."""

    @property
    def instruction(self) -> str:
        """The text that is compared."""


T = TypeVar("T", bound=str | Instructed)


class Dropped(NamedTuple, Generic[T]):
    """A record that was not kept, why, and the record (kept before it, or held out) that it repeats."""

    record: T
    reason: Reason
    repeats: str | Instructed

    @property
    def repeated_instruction(self) -> str:
        """The instruction that it repeats."""
        return instruction_of(self.repeats)


class Deduplicated(NamedTuple, Generic[T]):
    """What is left, in order, and what was dropped, in order."""

    kept: list[T]
    dropped: list[Dropped[T]]


class Marks(NamedTuple):
    """What near-duplicates must agree in, in order: numbers and signs, names, quoted strings, letters."""

    numbers: tuple[str, ...]
    names: tuple[str, ...]
    quoted: tuple[str, ...]
    letters: tuple[str, ...]


def deduplicate(
    records: Iterable[T], against: Iterable[str | Instructed] = (), threshold: float = NEAR_JACCARD
) -> Deduplicated[T]:
    """Keep the first of each instruction, and nothing that overlaps the held-out set.

    Args:
        records: examples, or anything with an instruction, or plain instructions; read once.
        against: the held-out set.
        threshold: least Jaccard similarity of near-duplicates.
    """
    online: OnlineDeduplicator[T] = OnlineDeduplicator(against, threshold)
    result: Deduplicated[T] = Deduplicated([], [])
    for record in records:
        found = online.add(record)
        if found is None:
            result.kept.append(record)
        else:
            result.dropped.append(found)
    return result


class OnlineDeduplicator(Generic[T]):
    """Deduplicates while records are made. The answers depend on the records and their order alone.

    Args:
        against: the held-out set.
        threshold: least Jaccard similarity of near-duplicates.
    """

    def __init__(self, against: Iterable[str | Instructed] = (), threshold: float = NEAR_JACCARD) -> None:
        self._heldout: _Index[str | Instructed] = _Index(threshold)
        self._kept: _Index[T] = _Index(threshold)
        self._heldout_keys: dict[tuple[str, str], str | Instructed] = {}
        for item in against:
            text = _Text(instruction_of(item))
            self._heldout.insert(item, text)
            if text.key:
                self._heldout_keys.setdefault(text.key, item)

    def add(self, record: T) -> Dropped[T] | None:
        """Take a record in, or say why it is dropped; a dropped record leaves no trace."""
        text = _Text(instruction_of(record))
        found = self._overlap(record, text) or self._repetition(record, text)
        if found is None:
            self._kept.insert(record, text)
        return found

    def _overlap(self, record: T, text: "_Text") -> Dropped[T] | None:
        if text.key in self._heldout_keys:
            return Dropped(record, "heldout key", self._heldout_keys[text.key])
        if (same := self._heldout.same(text)) is not None:
            return Dropped(record, "heldout text", same)
        if text.key is None and (near := self._heldout.near(text)) is not None:
            return Dropped(record, "heldout near", near)
        return None

    def _repetition(self, record: T, text: "_Text") -> Dropped[T] | None:
        if (same := self._kept.same(text)) is not None:
            return Dropped(record, "exact" if instruction_of(same) == text.raw else "normalized", same)
        if text.key is None and (near := self._kept.near(text)) is not None:
            return Dropped(record, "near", near)
        return None


def instruction_of(record: str | Instructed) -> str:
    """The instruction of a record; a plain string is its own."""
    return record if isinstance(record, str) else record.instruction


def normalize(instruction: str) -> str:
    """The form in which texts are equal: NFKC, case, spaces and final punctuation do not matter."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", instruction).casefold())
    text = " ".join(folded.split())
    return text.rstrip(" .?!:;,") or text


def shingles(instruction: str) -> frozenset[str]:
    """The character 5-grams of the normalized text without punctuation, with a space at either end."""
    text = " ".join(_UNSAID.sub("", normalize(instruction)).split())
    padded = f" {text} "
    return frozenset(padded[i : i + _SHINGLE] for i in range(max(1, len(padded) - _SHINGLE + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Size of the intersection over size of the union, of sets that are not both empty."""
    return len(a & b) / len(a | b)


def marks(instruction: str) -> Marks:
    """The numbers, names (capitalized words but the first), quoted strings and single letters of a text."""
    text = unicodedata.normalize("NFKC", instruction)
    folded = text.casefold()
    return Marks(
        numbers=tuple(_digits(number) for number in _NUMBER.findall(folded)),
        names=tuple(word.casefold() for word in _WORD.findall(text)[1:] if word[0].isupper()),
        quoted=tuple("".join(groups) for groups in _QUOTED.findall(folded)),
        letters=tuple(_LETTER.findall(folded)),
    )


def _digits(number: str) -> str:
    return str(_NUMBER_WORDS.index(number)) if number in _NUMBER_WORDS else number


class _Text:
    """An instruction with the forms in which it is compared."""

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.normal = normalize(raw)
        self.key = families.parse(self.normal)
        self.marks = marks(raw)
        self.shingles = shingles(raw)
        self.minhash: MinHash = _EMPTY_MINHASH.copy()
        self.minhash.update_batch(shingle.encode("utf-8") for shingle in sorted(self.shingles))


_EMPTY_MINHASH = MinHash(num_perm=_PERMUTATIONS, seed=_SEED)


class _Index(Generic[T]):
    """Records by normalized text and by likeness. Shingles are not kept but made again for candidates."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._records: list[T] = []
        self._marks: list[Marks] = []
        self._by_text: dict[str, int] = {}
        self._lsh = MinHashLSH(num_perm=_PERMUTATIONS, params=_bands(threshold))

    def insert(self, record: T, text: _Text) -> None:
        index = len(self._records)
        self._records.append(record)
        self._marks.append(text.marks)
        self._by_text.setdefault(text.normal, index)
        self._lsh.insert(index, text.minhash)

    def same(self, text: _Text) -> T | None:
        """The first record of the same normalized text."""
        index = self._by_text.get(text.normal)
        return None if index is None else self._records[index]

    def near(self, text: _Text) -> T | None:
        """The first record that is nearly the same: LSH proposes, marks and the exact similarity decide."""
        candidates = (i for i in sorted(self._lsh.query(text.minhash)) if self._marks[i] == text.marks)
        records = (self._records[i] for i in candidates)
        return next((record for record in records if self._alike(record, text)), None)

    def _alike(self, record: T, text: _Text) -> bool:
        return jaccard(shingles(instruction_of(record)), text.shingles) >= self._threshold


def _bands(threshold: float) -> tuple[int, int]:
    """Bands and rows of the LSH: the most rows, so the fewest candidates, that find 99.9% of the pairs.

    A pair of similarity s becomes a candidate with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman
    and Ullman, Mining of Massive Datasets, section 3.4).
    """
    for rows in range(_PERMUTATIONS // 2, 1, -1):
        bands = _PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** bands >= _LSH_RECALL:
            return bands, rows
    return _PERMUTATIONS, 1
