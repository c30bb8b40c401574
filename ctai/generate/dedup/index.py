"""Compact index of texts for exact search by normal form and by Jaccard similarity.

Owns the similarity search. Candidates have the same salient tokens and a compatible length; they are filtered by bitmap
sketches of 64 and then 256 bits, each bit the parity of the number of shingles that hash to it. Two sketches differ in
no more bits than the texts differ in shingles, so the filter excludes no similar pair; the few candidates that pass are
compared exactly. Results therefore equal those of brute force and do not depend on the hash. The method is the bitmap
filter of Sandes, Teodoro and Melo (2020), "Bitmap filter: speeding up exact set similarity joins".
"""

import math
from array import array
from collections.abc import Iterator
from functools import cached_property, reduce
from hashlib import blake2b
from operator import xor

import numpy as np

from ctai.generate.dedup.normalization import (
    SalientTokens,
    bag_of_words,
    jaccard,
    normalize,
    salient_tokens,
    shingles_of_normal,
)

_BITS = tuple(1 << bit for bit in range(256))
_WORD = (1 << 64) - 1
# Groups smaller than this are faster to scan without numpy.
_SMALL_GROUP = 24
# Sketches per vectorized comparison: they fit into the L1 cache.
_CHUNK = 4096
# Length classes on either side of a text whose lengths the threshold allows.
_CLASS_RADIUS = 2


class IndexedText:
    """An instruction with its derived forms for comparison, each computed on first use."""

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.normal = normalize(raw)

    @cached_property
    def digest(self) -> int:
        """128-bit digest of the normal form."""
        return int.from_bytes(blake2b(_encoded(self.normal), digest_size=16).digest(), "little")

    @cached_property
    def salient_tokens(self) -> SalientTokens:
        """Salient tokens, in which near-duplicates must agree."""
        return salient_tokens(self.raw)

    @cached_property
    def bag_of_words(self) -> tuple[tuple[str, ...], ...]:
        """Words regardless of their order; see `ctai.generate.dedup.normalization.bag_of_words`."""
        return bag_of_words(self.normal, self.salient_tokens)

    @cached_property
    def shingles(self) -> frozenset[str]:
        """Character 5-grams for the Jaccard similarity."""
        return shingles_of_normal(self.normal)

    @cached_property
    def sketch(self) -> tuple[int, int, int, int]:
        """Parity of the number of shingles that hash to each of 256 bits, as four words of 64 bits."""
        bits = reduce(xor, [_BITS[hash(shingle) & 255] for shingle in self.shingles])
        return bits & _WORD, bits >> 64 & _WORD, bits >> 128 & _WORD, bits >> 192


class _Group:
    """Numbers and 64-bit folded sketches of the texts with the same salient tokens and length class."""

    __slots__ = ("folded", "numbers")

    def __init__(self) -> None:
        self.numbers = array("I")
        self.folded = array("Q")


class TextIndex:
    """Index of texts, numbered in order of insertion.

    A text takes about 500 bytes; a similarity search takes about three nanoseconds per text with the same salient
    tokens and a compatible length.

    Args:
        threshold: minimum Jaccard similarity of similar texts.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        # slightly wider than necessary, so that rounding errors do not separate similar texts
        self._class_width = max(-math.log(threshold) / _CLASS_RADIUS, 0.01) * 1.0001
        self._texts = bytearray()
        self._ends = array("Q", [0])
        self._by_digest: dict[int, int] = {}
        self._groups: dict[int, _Group] = {}
        self._sketches = array("Q")
        self._difference = np.empty(_CHUNK, dtype=np.uint64)
        self._count = np.empty(_CHUNK, dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        """Return the raw text of this number."""
        start, end = self._ends[number : number + 2]
        return self._texts[start:end].decode("utf-8", "surrogatepass")

    def insert(self, text: IndexedText) -> int:
        """Insert a text and return its number."""
        number = len(self)
        self._texts += _encoded(text.raw)
        self._ends.append(len(self._texts))
        self._by_digest.setdefault(text.digest, number)
        self._sketches.extend(text.sketch)
        group = self._groups.setdefault(hash((hash(text.salient_tokens), self._class(len(text.shingles)))), _Group())
        group.numbers.append(number)
        group.folded.append(_folded(text.sketch))
        return number

    def find_equal(self, text: IndexedText) -> int | None:
        """Return the number of the first text with the same normal form, or None."""
        return self._by_digest.get(text.digest)

    def find_near(self, text: IndexedText) -> int | None:
        """Return the number of the first text that is similar and has the same salient tokens, or None."""
        return next((number for number in sorted(self._candidates(text)) if self._is_similar(number, text)), None)

    def _is_similar(self, number: int, text: IndexedText) -> bool:
        candidate = IndexedText(self[number])
        if jaccard(candidate.shingles, text.shingles) < self._threshold:
            return False
        # groups are keyed by a hash of the salient tokens, which may collide
        return candidate.salient_tokens == text.salient_tokens

    def _candidates(self, text: IndexedText) -> Iterator[int]:
        """Yield the numbers of the texts that the sketches cannot exclude."""
        length, tokens_hash = len(text.shingles), hash(text.salient_tokens)
        center = self._class(length)
        for length_class in range(center - _CLASS_RADIUS, center + _CLASS_RADIUS + 1):
            if group := self._groups.get(hash((tokens_hash, length_class))):
                allowed = self._allowed(length, length_class)
                find = self._scan_small if len(group.numbers) < _SMALL_GROUP else self._scan_large
                yield from find(group, text.sketch, allowed)

    def _scan_small(self, group: _Group, sketch: tuple[int, int, int, int], allowed: int) -> Iterator[int]:
        folded = _folded(sketch)
        for number, candidate in zip(group.numbers, group.folded, strict=True):
            if (folded ^ candidate).bit_count() <= allowed:
                words = self._sketches[4 * number : 4 * number + 4]
                if sum((a ^ b).bit_count() for a, b in zip(words, sketch, strict=True)) <= allowed:
                    yield number

    def _scan_large(self, group: _Group, sketch: tuple[int, int, int, int], allowed: int) -> list[int]:
        folded = np.uint64(_folded(sketch))
        candidates = np.frombuffer(group.folded, dtype=np.uint64)
        passing = []
        for start in range(0, len(candidates), _CHUNK):
            chunk = candidates[start : start + _CHUNK]
            difference, count = self._difference[: len(chunk)], self._count[: len(chunk)]
            np.bitwise_count(np.bitwise_xor(chunk, folded, out=difference), out=count)
            if len(hits := np.flatnonzero(count <= allowed)):
                passing.append(hits + start)
        if not passing:
            return []
        numbers = np.frombuffer(group.numbers, dtype=np.uint32)[np.concatenate(passing)]
        sketches = np.frombuffer(self._sketches, dtype=np.uint64).reshape(-1, 4)[numbers]
        counts = np.bitwise_count(sketches ^ np.array(sketch, dtype=np.uint64)).sum(axis=1)
        similar: list[int] = numbers[counts <= allowed].tolist()
        return similar

    def _class(self, length: int) -> int:
        return math.floor(math.log(length) / self._class_width)

    def _allowed(self, length: int, length_class: int) -> int:
        """Return the number of shingles in which a similar text of this length class may differ.

        Sets A and B of Jaccard similarity t or more differ in at most (|A| + |B|) (1 - t) / (1 + t) members.
        """
        longest = min(length / self._threshold, math.exp((length_class + 1) * self._class_width))
        return min(255, math.floor((length + longest) * (1 - self._threshold) / (1 + self._threshold) + 1e-6))


def _folded(sketch: tuple[int, int, int, int]) -> int:
    return sketch[0] ^ sketch[1] ^ sketch[2] ^ sketch[3]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
