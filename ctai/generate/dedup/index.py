"""Texts in few bytes each, found by their normal form or by likeness. Nothing that is alike is missed.

Owns how likeness is looked for. Texts of the same marks and of a possible length are compared one by one, each by a
sketch of 64 bits and then of 256: the parity of its shingles in each bit. Two sketches differ in no more bits than the
texts differ in shingles, so a pair that differs in too many is not alike for certain; what is left, which is little,
is compared exactly. So the answers are those of brute force (the idea is the bitmap filter of Sandes, Teodoro and Melo,
Bitmap filter: speeding up exact set similarity joins, 2020), and how the sketches hash plays no part in them.
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
    jaccard,
    normalize,
    salient_tokens,
    shingles_of_normal,
    words,
)

_BITS = tuple(1 << bit for bit in range(256))
_WORD = (1 << 64) - 1
# Fewer texts are faster compared without numpy.
_FEW = 24
# How many sketches are compared at a time: they fit into a processor's nearest cache.
_CHUNK = 4096
# Texts whose lengths are further apart than the threshold allows are this many classes of length apart.
_APART = 2


class IndexedText:
    """An instruction with the forms in which it is compared, each made when it is asked for."""

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.normal = normalize(raw)

    @cached_property
    def digest(self) -> int:
        """Of the normal form: 128 bits."""
        return int.from_bytes(blake2b(_encoded(self.normal), digest_size=16).digest(), "little")

    @cached_property
    def marks(self) -> SalientTokens:
        """What texts that are alike agree in."""
        return salient_tokens(self.raw)

    @cached_property
    def words(self) -> tuple[tuple[str, ...], ...]:
        """What it says if the order of its words does not matter."""
        return words(self.normal, self.marks)

    @cached_property
    def shingles(self) -> frozenset[str]:
        """What likeness is measured by."""
        return shingles_of_normal(self.normal)

    @cached_property
    def sketch(self) -> tuple[int, int, int, int]:
        """The parity of the number of shingles that fall on each of 256 bits, in words of 64."""
        bits = reduce(xor, [_BITS[hash(shingle) & 255] for shingle in self.shingles])
        return bits & _WORD, bits >> 64 & _WORD, bits >> 128 & _WORD, bits >> 192


class _Group:
    """Texts of the same marks and of about the same length: their numbers, and their sketches folded into 64 bits."""

    __slots__ = ("folded", "numbers")

    def __init__(self) -> None:
        self.numbers = array("I")
        self.folded = array("Q")


class TextIndex:
    """Texts, numbered as they come in, without those that are left out by who asks.

    A text costs some 500 bytes. Looking for likeness takes about three nanoseconds for each text of the same marks and of a
    possible length.

    Args:
        threshold: least Jaccard similarity of texts that are alike.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        # a little wider than it need be, so that rounding does not part what belongs together
        self._class_width = max(-math.log(threshold) / _APART, 0.01) * 1.0001
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
        """The text of this number, as it came in."""
        start, end = self._ends[number : number + 2]
        return self._texts[start:end].decode("utf-8", "surrogatepass")

    def insert(self, text: IndexedText) -> int:
        """Take a text in, and return its number."""
        number = len(self)
        self._texts += _encoded(text.raw)
        self._ends.append(len(self._texts))
        self._by_digest.setdefault(text.digest, number)
        self._sketches.extend(text.sketch)
        group = self._groups.setdefault(hash((hash(text.marks), self._class(len(text.shingles)))), _Group())
        group.numbers.append(number)
        group.folded.append(_folded(text.sketch))
        return number

    def same(self, text: IndexedText) -> int | None:
        """The first text of the same normal form."""
        return self._by_digest.get(text.digest)

    def near(self, text: IndexedText) -> int | None:
        """The first text that is alike: of the same marks, and as similar as the threshold asks."""
        return next((number for number in sorted(self._candidates(text)) if self._alike(number, text)), None)

    def _alike(self, number: int, text: IndexedText) -> bool:
        other = IndexedText(self[number])
        # groups are told apart by a hash of the marks, which says less than the marks
        return jaccard(other.shingles, text.shingles) >= self._threshold and other.marks == text.marks

    def _candidates(self, text: IndexedText) -> Iterator[int]:
        """The texts that the sketches cannot rule out."""
        length, own_marks = len(text.shingles), hash(text.marks)
        own = self._class(length)
        for length_class in range(own - _APART, own + _APART + 1):
            if group := self._groups.get(hash((own_marks, length_class))):
                allowed = self._allowed(length, length_class)
                find = self._among_few if len(group.numbers) < _FEW else self._among_many
                yield from find(group, text.sketch, allowed)

    def _among_few(self, group: _Group, sketch: tuple[int, int, int, int], allowed: int) -> Iterator[int]:
        folded = _folded(sketch)
        for number, other in zip(group.numbers, group.folded, strict=True):
            if (folded ^ other).bit_count() <= allowed:
                words = self._sketches[4 * number : 4 * number + 4]
                if sum((a ^ b).bit_count() for a, b in zip(words, sketch, strict=True)) <= allowed:
                    yield number

    def _among_many(self, group: _Group, sketch: tuple[int, int, int, int], allowed: int) -> list[int]:
        folded = np.uint64(_folded(sketch))
        others = np.frombuffer(group.folded, dtype=np.uint64)
        passed = []
        for start in range(0, len(others), _CHUNK):
            chunk = others[start : start + _CHUNK]
            difference, count = self._difference[: len(chunk)], self._count[: len(chunk)]
            np.bitwise_count(np.bitwise_xor(chunk, folded, out=difference), out=count)
            if len(hits := np.flatnonzero(count <= allowed)):
                passed.append(hits + start)
        if not passed:
            return []
        numbers = np.frombuffer(group.numbers, dtype=np.uint32)[np.concatenate(passed)]
        sketches = np.frombuffer(self._sketches, dtype=np.uint64).reshape(-1, 4)[numbers]
        counts = np.bitwise_count(sketches ^ np.array(sketch, dtype=np.uint64)).sum(axis=1)
        found: list[int] = numbers[counts <= allowed].tolist()
        return found

    def _class(self, length: int) -> int:
        return math.floor(math.log(length) / self._class_width)

    def _allowed(self, length: int, length_class: int) -> int:
        """In how many shingles a text may differ from one of this class of length and still be alike.

        Sets A and B of Jaccard similarity t or more differ in at most (|A| + |B|) (1 - t) / (1 + t) members.
        """
        longest = min(length / self._threshold, math.exp((length_class + 1) * self._class_width))
        return min(255, math.floor((length + longest) * (1 - self._threshold) / (1 + self._threshold) + 1e-6))


def _folded(sketch: tuple[int, int, int, int]) -> int:
    return sketch[0] ^ sketch[1] ^ sketch[2] ^ sketch[3]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
