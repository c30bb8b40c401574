"""Instruction families with checkers: the tasks whose answers a program can judge."""

from ctai.tasks.families import EMBEDDED_FAMILIES, FAMILIES, Family, Verdict, by_name, check, normalize, parse

__all__ = ["EMBEDDED_FAMILIES", "FAMILIES", "Family", "Verdict", "by_name", "check", "normalize", "parse"]
