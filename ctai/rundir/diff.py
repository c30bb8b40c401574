"""What two records differ in: exactly in texts and counts, up to a stated tolerance in other numbers."""

import math
from collections.abc import Iterator
from typing import Any

from ctai.rundir.hashing import jsonable

RELATIVE_TOLERANCE = 1e-9
"""Of numbers that are no counts: another machine may add in another order."""

_SHOWN_CHARS = 80


def differences(stored: Any, again: Any, where: str) -> Iterator[str]:
    """`WHERE.field: is A, but follows as B` for each leaf in which a stored value is not what it was computed as again.

    Args:
        stored: a record, or a list or dict of them, as it was written.
        again: the same, computed again.
        where: names the stored one.
    """
    yield from _differences(jsonable(stored), jsonable(again), where)


def same(stored: Any, again: Any) -> bool:
    """Whether two values differ in nothing."""
    return next(differences(stored, again, ""), None) is None


def same_number(stored: float, again: float) -> bool:
    """Equal, both nan, or, for numbers that are no counts, equal up to the tolerance."""
    if stored == again or (math.isnan(stored) and math.isnan(again)):
        return True
    counts = float(stored).is_integer() and float(again).is_integer()
    return not counts and math.isclose(stored, again, rel_tol=RELATIVE_TOLERANCE)


def _differences(stored: Any, again: Any, where: str) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(again, dict):
        for key in sorted(stored.keys() | again.keys()):
            yield from _differences(stored.get(key), again.get(key), f"{where}.{key}")
    elif isinstance(stored, list) and isinstance(again, list):
        if len(stored) != len(again):
            yield f"{where}: has {len(stored)} entries, but {len(again)} follow from the records"
        for index, (one, other) in enumerate(zip(stored, again, strict=False)):
            yield from _differences(one, other, f"{where}[{index}]")
    elif not _same_leaf(stored, again):
        yield f"{where}: is {_shown(stored)}, but {_shown(again)} follows from the records"


def _same_leaf(stored: Any, again: Any) -> bool:
    if _is_number(stored) and _is_number(again):
        return same_number(stored, again)
    return type(stored) is type(again) and stored == again


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
