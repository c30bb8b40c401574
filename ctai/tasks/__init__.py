"""Instruction families: tasks whose answers a program can score."""

from ctai.tasks.base import GUARDED_TYPES, Family, Score, normalize_case_and_spacing
from ctai.tasks.families.lists import ListFamily
from ctai.tasks.families.rules import RuleFamily
from ctai.tasks.families.tables import TableFamily
from ctai.tasks.registry import EMBEDDED_FAMILIES, FAMILIES, by_name, parse, score

__all__ = [
    "EMBEDDED_FAMILIES",
    "FAMILIES",
    "GUARDED_TYPES",
    "Family",
    "ListFamily",
    "RuleFamily",
    "Score",
    "TableFamily",
    "by_name",
    "normalize_case_and_spacing",
    "parse",
    "score",
]
