"""Removal of duplicate instructions, and of instructions that overlap the held-out set.

Owns the definition of a duplicate. An instruction that a task family parses overlaps the held-out set if an item has
the same family and key, in any wording, and duplicates another only if the normalized texts are equal. An instruction in
a wording of a family that is held out whole overlaps whatever its key. All other
instructions are compared by text: equal after normalization, or near-duplicates by Jaccard similarity. They must not
share the words of a held-out item in any order either: a removed example costs little, a test item in the training data
invalidates the test. Responses are not compared. Reads no files and keeps no statistics.
"""

import re
from collections.abc import Iterable
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from ctai.generate.dedup.index import IndexedText, TextIndex
from ctai.generate.dedup.normalization import normalize
from ctai.records import HeldoutItem
from ctai.tasks import registry

NEAR_JACCARD = 0.8
Reason = Literal[
    "exact", "normalized", "near", "heldout family", "heldout key", "heldout text", "heldout words", "heldout near"
]


class Instructed(Protocol):
    """A record with an instruction, such as an example or a held-out item."""

    @property
    def instruction(self) -> str:
        """Text of the instruction."""


T = TypeVar("T", bound=str | Instructed)


class DuplicateMatch(NamedTuple):
    """Reason for which an instruction is dropped, and the instruction that it repeats.

    Attributes:
        reason: the rule that matched.
        number: index of the repeated instruction among those kept, or among the held-out items.
        repeated_instruction: text of the repeated instruction.
    """

    reason: Reason
    number: int
    repeated_instruction: str

    @property
    def phase(self) -> Literal["decontaminate", "dedup"]:
        """Phase that removes the instruction; decontamination comes before deduplication."""
        return "decontaminate" if self.reason.startswith("heldout") else "dedup"


class RemovedRecord(NamedTuple, Generic[T]):
    """A record that was dropped, its match, and the kept or held-out record that it repeats."""

    record: T
    match: DuplicateMatch
    repeats: str | Instructed

    @property
    def reason(self) -> Reason:
        """Reason for which the record was dropped."""
        return self.match.reason

    @property
    def repeated_instruction(self) -> str:
        """Instruction that the record repeats."""
        return self.match.repeated_instruction


class DeduplicationResult(NamedTuple, Generic[T]):
    """Kept records and dropped records, each in input order."""

    kept: list[T]
    dropped: list[RemovedRecord[T]]


def deduplicate(
    records: Iterable[T], against: Iterable[str | Instructed] = (), threshold: float = NEAR_JACCARD
) -> DeduplicationResult[T]:
    """Keep the first of each set of duplicates, and drop all records that overlap the held-out set.

    Args:
        records: examples, other records with an instruction, or plain instructions; read once.
        against: the held-out set.
        threshold: minimum Jaccard similarity of near-duplicates.
    """
    heldout = list(against)
    online = OnlineDeduplicator(heldout, threshold)
    result: DeduplicationResult[T] = DeduplicationResult([], [])
    for record in records:
        match = online.add(instruction_of(record))
        if match is None:
            result.kept.append(record)
        else:
            repeated = heldout[match.number] if match.phase == "decontaminate" else result.kept[match.number]
            result.dropped.append(RemovedRecord(record, match, repeated))
    return result


class OnlineDeduplicator:
    """Streaming deduplicator. Its decisions depend on the instructions and their order alone.

    Holds about 500 bytes per kept instruction.

    Args:
        against: the held-out set.
        threshold: minimum Jaccard similarity of near-duplicates.
    """

    def __init__(self, against: Iterable[str | Instructed] = (), threshold: float = NEAR_JACCARD) -> None:
        self._heldout = TextIndex(threshold)
        self._kept = TextIndex(threshold)
        self._heldout_keys: dict[tuple[str, str], int] = {}
        self._heldout_words: dict[tuple[tuple[str, ...], ...], int] = {}
        self._unseen: dict[str, int] = {}
        for item in against:
            text = IndexedText(instruction_of(item))
            number = self._heldout.insert(text)
            self._heldout_words.setdefault(text.bag_of_words, number)
            if key := registry.parse(text.normal):
                self._heldout_keys.setdefault(key, number)
            if isinstance(item, HeldoutItem) and item.split == "unseen":
                self._unseen.setdefault(item.family, number)
        self._unseen_wordings = {name: _wordings(name) for name in self._unseen}

    def add(self, instruction: str) -> DuplicateMatch | None:
        """Add an instruction, or return the match for which it is dropped; a dropped instruction leaves no trace."""
        text = IndexedText(instruction)
        key = registry.parse(text.normal)
        match = self._heldout_match(text, key) or self._duplicate_match(text, key)
        if match is None:
            self._kept.insert(text)
        return match

    def _heldout_match(self, text: IndexedText, key: tuple[str, str] | None) -> DuplicateMatch | None:
        reason: Reason
        if (family := self._unseen_family(text, key)) is not None:
            reason, number = "heldout family", self._unseen[family]
        elif key in self._heldout_keys:
            reason, number = "heldout key", self._heldout_keys[key]
        elif (equal := self._heldout.find_equal(text)) is not None:
            reason, number = "heldout text", equal
        elif key is None and text.bag_of_words in self._heldout_words:
            reason, number = "heldout words", self._heldout_words[text.bag_of_words]
        elif key is None and (near := self._heldout.find_near(text)) is not None:
            reason, number = "heldout near", near
        else:
            return None
        return DuplicateMatch(reason, number, self._heldout[number])

    def _unseen_family(self, text: IndexedText, key: tuple[str, str] | None) -> str | None:
        """Return the family held out whole that the text is an instruction of, also with a key that it does not have."""
        if key is not None:
            return key[0] if key[0] in self._unseen else None
        return next((name for name, wordings in self._unseen_wordings.items() if wordings.fullmatch(text.normal)), None)

    def _duplicate_match(self, text: IndexedText, key: tuple[str, str] | None) -> DuplicateMatch | None:
        if (equal := self._kept.find_equal(text)) is not None:
            repeated = self._kept[equal]
            return DuplicateMatch("exact" if repeated == text.raw else "normalized", equal, repeated)
        if key is None and (near := self._kept.find_near(text)) is not None:
            return DuplicateMatch("near", near, self._kept[near])
        return None


def _wordings(family: str) -> re.Pattern[str]:
    """Return a pattern of the normalized wordings of a family with any key."""
    texts = (normalize(phrasing).split("{key}") for phrasing in registry.by_name(family).phrasings)
    return re.compile("|".join(".+".join(map(re.escape, parts)) for parts in texts))


def instruction_of(record: str | Instructed) -> str:
    """Return the instruction of a record, or the record itself if it is a plain instruction."""
    return record if isinstance(record, str) else record.instruction
