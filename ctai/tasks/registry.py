"""Registry of instruction families, with parsing and scoring over all of them.

Owns the list of families and the search over it. A family is a kind of instruction with keys, such as the capital of
a country (``base.Family``). Plugins add families of users (`ctai.tasks.plugins` loads and registers them).
"""

from __future__ import annotations

from ctai.tasks.base import MAX_INSTRUCTION_CHARS, Family, Score, normalize_case_and_spacing
from ctai.tasks.families import embedded, general

__all__ = [
    "EMBEDDED_FAMILIES",
    "FAMILIES",
    "by_name",
    "find",
    "parse",
    "score",
    "select_families",
    "set_plugins",
]

EMBEDDED_FAMILIES: tuple[Family, ...] = embedded.FAMILIES
FAMILIES: tuple[Family, ...] = (*EMBEDDED_FAMILIES, *general.FAMILIES)


class _FamilyIndex:
    """Families by name, and one look-up of all their instructions: every line of a generated corpus is parsed."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        self.by_name = {family.name: family for family in families}
        self.index = {text: (family.name, key) for family in families for text, key in family.index.items()}


_BUILT_IN = _FamilyIndex(FAMILIES)
_plugins: tuple[Family, ...] = ()
_registered = _BUILT_IN


def set_plugins(families: tuple[Family, ...]) -> None:
    """Register these families of plugins beside the built-in ones, in place of those registered before."""
    global _plugins, _registered
    _plugins = families
    _registered = _FamilyIndex((*FAMILIES, *families)) if families else _BUILT_IN


def find(name: str) -> Family | None:
    """Return the family of this name, or None if there is none."""
    return _registered.by_name.get(name)


def select_families(embedded: bool) -> tuple[Family, ...]:
    """Return the families that a run is evaluated on: those of the embedded model or all, and those of plugins."""
    return (*(EMBEDDED_FAMILIES if embedded else FAMILIES), *_plugins)


def by_name(name: str) -> Family:
    """Return the family of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in _registered.by_name:
        raise ValueError(f"no family {name!r}; there are: {', '.join(_registered.by_name)}")
    return _registered.by_name[name]


def parse(instruction: str) -> tuple[str, str] | None:
    """Return the family name and the key of an instruction, or None if no family has it."""
    if len(instruction) > MAX_INSTRUCTION_CHARS:
        return None
    return _registered.index.get(normalize_case_and_spacing(instruction))


def score(instruction: str, response: str, finish_reason: str | None = None) -> Score:
    """Score a raw response to an instruction of any family.

    Raises:
        ValueError: no family has the instruction.
    """
    parsed = parse(instruction)
    if parsed is None:
        raise ValueError(f"no family has this instruction: {instruction[:80]!r}")
    return by_name(parsed[0]).score(instruction, response, finish_reason)
