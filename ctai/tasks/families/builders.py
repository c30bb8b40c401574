"""Shorthands that build general families: rules with example answers, and tables."""

from __future__ import annotations

from collections.abc import Mapping

from ctai.tasks.base import Family
from ctai.tasks.families.rules import Judge, RuleFamily
from ctai.tasks.families.tables import TableFamily


def rule_family(
    name: str, kind: str, phrasings: tuple[str, ...], statement: str, answers: Mapping[str, str], rule: Judge
) -> Family:
    """Return a general family that a rule scores, with one statement and an example answer for each key."""
    return RuleFamily(name, kind, False, phrasings, (statement,), tuple(answers), answers, rule)


def table_family(
    name: str, kind: str, phrasings: tuple[str, ...], statement: str, table: Mapping[str, tuple[str, ...]],
    *, numeric: bool = False, case_sensitive: bool = False,
) -> Family:
    """Return a general family with one statement, whose answers are in a table."""
    return TableFamily(name, kind, False, phrasings, (statement,), tuple(table), table, numeric, case_sensitive)


def split_values(table: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return a table with its values split at ``|``."""
    return {key: tuple(value.split("|")) for key, value in table.items()}
