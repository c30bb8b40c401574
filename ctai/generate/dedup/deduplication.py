"""Duplicates among instructions, and overlap with the held-out set.

Owns what "the same instruction" means. An instruction that a family parses overlaps the held-out set if that
asks the same of the same family, in whatever words, and repeats another only in the same words. Any other is
judged by its text: equal after normalization, or nearly equal (`likeness`). With a held-out item it must not even share the
words, in whatever order: one example too few costs nothing, one test item in the training data costs the test. Responses
play no part. It reads no file and counts nothing.
"""

from collections.abc import Iterable
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from ctai.generate.dedup.index import IndexedText, TextIndex
from ctai.tasks import registry

NEAR_JACCARD = 0.8
Reason = Literal["exact", "normalized", "near", "heldout key", "heldout text", "heldout words", "heldout near"]


class Instructed(Protocol):
    """Anything with an instruction, such as an example or a held-out item."""

    @property
    def instruction(self) -> str:
        """The text that is compared."""


T = TypeVar("T", bound=str | Instructed)


class DuplicateMatch(NamedTuple):
    """Why an instruction is dropped, and what it repeats: its number among those kept, or among those held out."""

    reason: Reason
    number: int
    repeated_instruction: str

    @property
    def phase(self) -> Literal["decontaminate", "dedup"]:
        """What removes it: decontamination comes before deduplication."""
        return "decontaminate" if self.reason.startswith("heldout") else "dedup"


class RemovedRecord(NamedTuple, Generic[T]):
    """A record that was not kept, why, and the record (kept before it, or held out) that it repeats."""

    record: T
    found: DuplicateMatch
    repeats: str | Instructed

    @property
    def reason(self) -> Reason:
        """Why it was dropped."""
        return self.found.reason

    @property
    def repeated_instruction(self) -> str:
        """The instruction that it repeats."""
        return self.found.repeated_instruction


class Deduplicated(NamedTuple, Generic[T]):
    """What is left, in order, and what was dropped, in order."""

    kept: list[T]
    dropped: list[RemovedRecord[T]]


def deduplicate(
    records: Iterable[T], against: Iterable[str | Instructed] = (), threshold: float = NEAR_JACCARD
) -> Deduplicated[T]:
    """Keep the first of each instruction, and nothing that overlaps the held-out set.

    Args:
        records: examples, or anything with an instruction, or plain instructions; read once.
        against: the held-out set.
        threshold: least Jaccard similarity of near-duplicates.
    """
    heldout = list(against)
    online = OnlineDeduplicator(heldout, threshold)
    result: Deduplicated[T] = Deduplicated([], [])
    for record in records:
        found = online.add(instruction_of(record))
        if found is None:
            result.kept.append(record)
        else:
            repeated = heldout[found.number] if found.phase == "decontaminate" else result.kept[found.number]
            result.dropped.append(RemovedRecord(record, found, repeated))
    return result


class OnlineDeduplicator:
    """Deduplicates while instructions are made. The answers depend on the instructions and their order alone.

    It keeps the instructions, in some 500 bytes each, and nothing of the records that they are of.

    Args:
        against: the held-out set.
        threshold: least Jaccard similarity of near-duplicates.
    """

    def __init__(self, against: Iterable[str | Instructed] = (), threshold: float = NEAR_JACCARD) -> None:
        self._heldout = TextIndex(threshold)
        self._kept = TextIndex(threshold)
        self._heldout_keys: dict[tuple[str, str], int] = {}
        self._heldout_words: dict[tuple[tuple[str, ...], ...], int] = {}
        for item in against:
            text = IndexedText(instruction_of(item))
            number = self._heldout.insert(text)
            self._heldout_words.setdefault(text.words, number)
            if key := registry.parse(text.normal):
                self._heldout_keys.setdefault(key, number)

    def add(self, instruction: str) -> DuplicateMatch | None:
        """Take an instruction in, or say why it is dropped; a dropped one leaves no trace."""
        text = IndexedText(instruction)
        key = registry.parse(text.normal)
        found = self._overlap(text, key) or self._repetition(text, key)
        if found is None:
            self._kept.insert(text)
        return found

    def _overlap(self, text: IndexedText, key: tuple[str, str] | None) -> DuplicateMatch | None:
        reason: Reason
        if key in self._heldout_keys:
            reason, number = "heldout key", self._heldout_keys[key]
        elif (same := self._heldout.same(text)) is not None:
            reason, number = "heldout text", same
        elif key is None and text.words in self._heldout_words:
            reason, number = "heldout words", self._heldout_words[text.words]
        elif key is None and (near := self._heldout.near(text)) is not None:
            reason, number = "heldout near", near
        else:
            return None
        return DuplicateMatch(reason, number, self._heldout[number])

    def _repetition(self, text: IndexedText, key: tuple[str, str] | None) -> DuplicateMatch | None:
        if (same := self._kept.same(text)) is not None:
            repeated = self._kept[same]
            return DuplicateMatch("exact" if repeated == text.raw else "normalized", same, repeated)
        if key is None and (near := self._kept.near(text)) is not None:
            return DuplicateMatch("near", near, self._kept[near])
        return None


def instruction_of(record: str | Instructed) -> str:
    """The instruction of a record; a plain string is its own."""
    return record if isinstance(record, str) else record.instruction
