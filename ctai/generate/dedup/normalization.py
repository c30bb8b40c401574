"""When two instructions are the same text, and how alike they are.

Owns a text's normal form, its words, its shingles and its marks. Templates alone are alike at a Jaccard similarity of 0.6 to
0.75, so near-duplicates must also agree in their numbers, names and quoted strings: their marks. What follows from
likeness is `dedup`'s.
"""

import re
import unicodedata
from typing import NamedTuple

_SHINGLE = 5

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
_SAYS_NOTHING = frozenset({"a", "an", "the", "please"})
_LETTER = re.compile(r"(?<!['\u2019])\b[b-hj-z]\b")  # `a` and `i` are words too
_QUOTED = re.compile(
    r"\"([^\"]+)\"|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)"
    r"|\u201c([^\u201d]+)\u201d|\u2018([^\u2019]+)\u2019|\u00ab([^\u00bb]+)\u00bb"
)


class SalientTokens(NamedTuple):
    """What near-duplicates must agree in, in order: numbers and signs, names, quoted strings, letters."""

    numbers: tuple[str, ...]
    names: tuple[str, ...]
    quoted: tuple[str, ...]
    letters: tuple[str, ...]


def normalize(instruction: str) -> str:
    """The form in which texts are equal: NFKC, case, spaces and final punctuation do not matter."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", instruction).casefold())
    text = " ".join(folded.split())
    return text.rstrip(" .?!:;,") or text


def words(normal: str, marked: SalientTokens) -> tuple[tuple[str, ...], ...]:
    """What a text says if the order of its words does not matter: equal for texts that differ in order, articles, "please"
    and how numbers are written, but not in the order of numbers, quoted strings and letters.

    Args:
        normal: a normalized text.
        marked: its marks.
    """
    said = (word for word in _UNSAID.sub("", normal).split() if word not in _SAYS_NOTHING)
    return tuple(sorted(map(_digits, said))), marked.numbers, marked.quoted, marked.letters


def shingles(instruction: str) -> frozenset[str]:
    """The character 5-grams of the normalized text without punctuation, with a space at either end."""
    return shingles_of_normal(normalize(instruction))


def shingles_of_normal(normal: str) -> frozenset[str]:
    """The same of a text that is normalized already."""
    text = " ".join(_UNSAID.sub("", normal).split())
    padded = f" {text} "
    return frozenset(padded[i : i + _SHINGLE] for i in range(max(1, len(padded) - _SHINGLE + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Size of the intersection over size of the union, of sets that are not both empty."""
    return len(a & b) / len(a | b)


def salient_tokens(instruction: str) -> SalientTokens:
    """The numbers, names (capitalized words but the first), quoted strings and single letters of a text."""
    text = unicodedata.normalize("NFKC", instruction)
    folded = text.casefold()
    return SalientTokens(
        numbers=tuple(_digits(number) for number in _NUMBER.findall(folded)),
        names=tuple(word.casefold() for word in _WORD.findall(text)[1:] if word[0].isupper()),
        quoted=tuple("".join(groups) for groups in _QUOTED.findall(folded)),
        letters=tuple(_LETTER.findall(folded)),
    )


def _digits(number: str) -> str:
    return str(_NUMBER_WORDS.index(number)) if number in _NUMBER_WORDS else number
