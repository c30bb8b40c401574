"""Building blocks of dataset and model cards: Markdown and front matter in which untrusted text stays inert.

Names, model output and reasons pass `escape_inline` (in a line or table cell), `code_block` or `plain_line` (front matter).
"""

from collections.abc import Iterable, Sequence

from huggingface_hub import CardData

from ctai.evidence.review import fenced
from ctai.records import Interval, PairedComparison, Rate
from ctai.report.text import to_plain_text

_MARKUP = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>#|~&!"})
_MAX_CHARACTERS = 400


def escape_inline(value: object) -> str:
    """Return an untrusted value for a line of Markdown: one line, hidden characters as labels, markup escaped."""
    return plain_line(value).translate(_MARKUP)


def plain_line(value: object) -> str:
    """Return an untrusted value as one line of plain text, with hidden characters as labels."""
    return " ".join(to_plain_text(value, _MAX_CHARACTERS).split())


def code_block(text: object) -> list[str]:
    """Return the beginning of an untrusted text as a code block that it cannot close."""
    return fenced(to_plain_text(text)).split("\n")


def python_block(lines: Sequence[str]) -> list[str]:
    """Return a Python program as a code block; untrusted values in it have to be literals made by `repr`."""
    return fenced("\n".join(lines)).replace("\n", "python\n", 1).split("\n")


def front_matter(metadata: CardData) -> list[str]:
    """Return the YAML front matter of a card, read by the Hugging Face hub and by `datasets`.

    Untrusted values have to pass `plain_line`: YAML quotes them, but keeps hidden characters.
    """
    return ["---", *metadata.to_yaml().split("\n"), "---", ""]


def warning_lines(warnings: Sequence[str]) -> list[str]:
    """Return the warnings at the top of a card; empty without warnings."""
    return [*(f"> **{escape_inline(warning)}**" for warning in warnings), ""] if warnings else []


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a Markdown table; untrusted cells have to be escaped by `escape_inline`."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, cells))} |" for cells in lines] + [""]


def format_rate(rate: Rate) -> str:
    """Format a rate with its 95% interval."""
    return f"{rate.value:.3f} {bracket_interval(rate.interval)}"


def bracket_interval(interval: Interval) -> str:
    """Format an interval in brackets."""
    return f"[{interval.low:.3f}, {interval.high:.3f}]"


def comparison_row(name: str, comparison: PairedComparison) -> tuple[str, ...]:
    """Return a comparison of the arms as a row under `COMPARISON_HEAD`."""
    p_value = comparison.p_value if comparison.p_adjusted is None else comparison.p_adjusted
    return (
        name,
        str(comparison.n),
        format_rate(comparison.base),
        format_rate(comparison.sft),
        f"{comparison.lift:+.3f} {bracket_interval(comparison.lift_interval)}",
        f"{p_value:.2g}",
    )


COMPARISON_HEAD = ("success on", "n", "base", "trained", "difference", "p")
