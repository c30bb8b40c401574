"""The parts that the cards of an export are made of: Markdown in which nothing from outside can leave its place.

Names, texts of models and reasons go through `said` (in a line or a table) or `block`; front matter is JSON, which YAML is.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ctai.evidence.review import fenced
from ctai.records import Interval, PairedComparison, Rate
from ctai.report.text import plain

_MARKUP = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>#|~&!"})
_LONGEST = 400


def said(value: object) -> str:
    """A value from outside in a line of Markdown: one line, hidden characters as labels, no markup."""
    return " ".join(plain(value, _LONGEST).split()).translate(_MARKUP)


def block(text: object) -> list[str]:
    """A text from outside, as far as its beginning, as a block of code that it cannot break out of."""
    return fenced(plain(text)).split("\n")


def program(lines: Sequence[str]) -> list[str]:
    """A Python program as a block; whatever of it comes from outside must be a literal made by `repr`."""
    return fenced("\n".join(lines)).replace("\n", "python\n", 1).split("\n")


def front_matter(values: Mapping[str, Any]) -> list[str]:
    """The head of a card for the hub and for `datasets`: one line of JSON for each key."""
    return ["---", *(f"{key}: {json.dumps(value)}" for key, value in values.items()), "---", ""]


def warned(warnings: Sequence[str]) -> list[str]:
    """The first lines of a card, when there is something that a receiver must know."""
    return [*(f"> **{said(warning)}**" for warning in warnings), ""] if warnings else []


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table; the cells must have gone through `said` where they come from outside."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, cells))} |" for cells in lines] + [""]


def rate_text(rate: Rate) -> str:
    """A rate with its interval."""
    return f"{rate.value:.3f} {interval_text(rate.interval)}"


def interval_text(interval: Interval) -> str:
    """An interval."""
    return f"[{interval.low:.3f}, {interval.high:.3f}]"


def comparison_row(name: str, found: PairedComparison) -> tuple[str, ...]:
    """A comparison of the arms as a row under `COMPARISON_HEAD`."""
    p_value = found.mcnemar.p_value if found.p_adjusted is None else found.p_adjusted
    return (
        name,
        str(found.n),
        rate_text(found.base),
        rate_text(found.sft),
        f"{found.lift:+.3f} {interval_text(found.lift_interval)}",
        f"{p_value:.2g}",
    )


COMPARISON_HEAD = ("success on", "n", "base", "trained", "difference", "p")
