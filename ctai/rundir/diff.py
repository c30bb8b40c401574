"""Differences between stored and recomputed records: exact for texts and counts, with a tolerance for other numbers."""

import math
from collections.abc import Iterator
from typing import Any

from ctai.rundir.hashing import jsonable

RELATIVE_TOLERANCE = 1e-9
"""Relative tolerance for numbers that are not counts: another machine may add in another order."""

_SHOWN_CHARS = 80


def differences(stored: Any, recomputed: Any, where: str) -> Iterator[str]:
    """Yield `WHERE.field: is A, but B follows from the records` for each leaf that differs.

    Args:
        stored: record as it was written, or a list or dict of records.
        recomputed: value computed again from other records.
        where: name of the stored value, with which each difference begins.
    """
    yield from _differences(jsonable(stored), jsonable(recomputed), where)


def values_match(stored: Any, recomputed: Any) -> bool:
    """Return True if `differences` finds none."""
    return next(differences(stored, recomputed, ""), None) is None


def _differences(stored: Any, recomputed: Any, where: str) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(recomputed, dict):
        for key in sorted(stored.keys() | recomputed.keys()):
            yield from _differences(stored.get(key), recomputed.get(key), f"{where}.{key}")
    elif isinstance(stored, list) and isinstance(recomputed, list):
        if len(stored) != len(recomputed):
            yield f"{where}: has {len(stored)} entries, but {len(recomputed)} follow from the records"
        for index, (left, right) in enumerate(zip(stored, recomputed, strict=False)):
            yield from _differences(left, right, f"{where}[{index}]")
    elif not _leaves_match(stored, recomputed):
        yield f"{where}: is {_shorten(stored)}, but {_shorten(recomputed)} follows from the records"


def _leaves_match(stored: Any, recomputed: Any) -> bool:
    if _is_number(stored) and _is_number(recomputed):
        return _numbers_match(stored, recomputed)
    return type(stored) is type(recomputed) and stored == recomputed


def _numbers_match(stored: float, recomputed: float) -> bool:
    """Return True for equal numbers, for two nan, and within the tolerance for numbers that are not both integers."""
    if stored == recomputed or (math.isnan(stored) and math.isnan(recomputed)):
        return True
    counts = float(stored).is_integer() and float(recomputed).is_integer()
    return not counts and math.isclose(stored, recomputed, rel_tol=RELATIVE_TOLERANCE)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
