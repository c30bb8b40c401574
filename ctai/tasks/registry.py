"""The registry of instruction families: what can be asked, and how each answer is checked.

Owns the list of families and the search over all of them. A family is a kind of instruction with keys, such
as the capital of a country; ``base`` says what it can do. A run may bring families of its own (``own`` loads
them); they are known here from then on.
"""

from __future__ import annotations

from ctai.tasks.base import MAX_INSTRUCTION_CHARS, TYPES, Family, Score, normalize_case_and_spacing
from ctai.tasks.families import embedded, general
from ctai.tasks.families.lists import ListFamily
from ctai.tasks.families.tables import TableFamily

__all__ = [
    "EMBEDDED_FAMILIES",
    "FAMILIES",
    "TYPES",
    "Family",
    "ListFamily",
    "Score",
    "TableFamily",
    "by_name",
    "select_families",
    "find",
    "normalize_case_and_spacing",
    "parse",
    "score",
    "set_plugins",
]

EMBEDDED_FAMILIES: tuple[Family, ...] = embedded.FAMILIES
FAMILIES: tuple[Family, ...] = (*EMBEDDED_FAMILIES, *general.FAMILIES)

class _Known:
    """Families by name, and all their instructions in one look-up: every line of a generated corpus is parsed."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        self.by_name = {family.name: family for family in families}
        self.index = {text: (family.name, key) for family in families for text, key in family.index.items()}


_PACKAGE = _Known(FAMILIES)
_own: tuple[Family, ...] = ()
_known = _PACKAGE


def set_plugins(families: tuple[Family, ...]) -> None:
    """Know these families besides those of the package, and no others."""
    global _own, _known
    _own = families
    _known = _Known((*FAMILIES, *families)) if families else _PACKAGE


def find(name: str) -> Family | None:
    """Return a family, or None if there is none of that name."""
    return _known.by_name.get(name)


def select_families(embedded: bool) -> tuple[Family, ...]:
    """Return the families that a run is tested with: those of the small world or all, and its own."""
    return (*(EMBEDDED_FAMILIES if embedded else FAMILIES), *_own)


def by_name(name: str) -> Family:
    """Return a family.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in _known.by_name:
        raise ValueError(f"no family {name!r}; there are: {', '.join(_known.by_name)}")
    return _known.by_name[name]


def parse(instruction: str) -> tuple[str, str] | None:
    """Return the names of family and key that an instruction asks for, or None if it is of no family."""
    return _known.index.get(normalize_case_and_spacing(instruction)) if len(instruction) <= MAX_INSTRUCTION_CHARS else None


def score(instruction: str, response: str, finish_reason: str | None = None) -> Score:
    """Judge a raw response to an instruction of any family.

    Raises:
        ValueError: If the instruction is of no family.
    """
    found = parse(instruction)
    if found is None:
        raise ValueError(f"no family asks this instruction: {instruction[:80]!r}")
    return by_name(found[0]).score(instruction, response, finish_reason)
