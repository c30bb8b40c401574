"""The registry of instruction families: what can be asked, and how each answer is checked.

Owns the list of families and the search over all of them. A family is a kind of instruction with keys, such
as the capital of a country; ``base`` says what it can do.
"""

from __future__ import annotations

from ctai.tasks import embedded, large
from ctai.tasks.base import MAX_INSTRUCTION_CHARS, TYPES, Family, Verdict, normalize
from ctai.tasks.lists import ListFamily
from ctai.tasks.tables import TableFamily

__all__ = [
    "EMBEDDED_FAMILIES",
    "FAMILIES",
    "TYPES",
    "Family",
    "ListFamily",
    "TableFamily",
    "Verdict",
    "by_name",
    "check",
    "normalize",
    "parse",
]

EMBEDDED_FAMILIES: tuple[Family, ...] = embedded.FAMILIES
FAMILIES: tuple[Family, ...] = (*EMBEDDED_FAMILIES, *large.FAMILIES)

_BY_NAME = {family.name: family for family in FAMILIES}
# One look-up for all families: parsing is done for every line of a generated corpus.
_INDEX: dict[str, tuple[str, str]] = {
    text: (family.name, key) for family in FAMILIES for text, key in family.index.items()
}


def by_name(name: str) -> Family:
    """Return a family.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in _BY_NAME:
        raise ValueError(f"no family {name!r}; there are: {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def parse(instruction: str) -> tuple[str, str] | None:
    """Return the names of family and key that an instruction asks for, or None if it is of no family."""
    return _INDEX.get(normalize(instruction)) if len(instruction) <= MAX_INSTRUCTION_CHARS else None


def check(instruction: str, response: str, finish_reason: str | None = None) -> Verdict:
    """Judge a raw response to an instruction of any family.

    Raises:
        ValueError: If the instruction is of no family.
    """
    found = parse(instruction)
    if found is None:
        raise ValueError(f"no family asks this instruction: {instruction[:80]!r}")
    return by_name(found[0]).check(instruction, response, finish_reason)
