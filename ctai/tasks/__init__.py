"""Instruction families with checkers: the tasks whose answers a program can judge."""

from ctai.tasks.base import Family, Verdict
from ctai.tasks.families import EMBEDDED_FAMILIES, FAMILIES, by_name, check, normalize, parse
from ctai.tasks.lists import ListFamily
from ctai.tasks.rules import RuleFamily
from ctai.tasks.tables import TableFamily

__all__ = [
    "EMBEDDED_FAMILIES",
    "FAMILIES",
    "Family",
    "ListFamily",
    "RuleFamily",
    "TableFamily",
    "Verdict",
    "by_name",
    "check",
    "normalize",
    "parse",
]
