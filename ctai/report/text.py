"""Escaping and formatting of untrusted text and of numbers for the report.

All text from models, files and file names passes `to_markup` (inside an element) or `to_plain_text` (inside an attribute or
a drawing): hidden characters become visible labels, markup is escaped. Nothing else in the report turns a string into
markup.
"""

import math
import unicodedata
from itertools import groupby

from markupsafe import Markup, escape

from ctai.records import Interval

LONG_TEXT = 600
"""Default maximum length of a displayed text, in characters."""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_VISIBLE_CONTROLS = "\n\t"
# Other (controls, formats and bidi marks, surrogates, private, unassigned), and the separators of lines and paragraphs.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def is_hidden(character: str) -> bool:
    """Return true for a character that is invisible, changes how its neighbours are displayed, or cannot be encoded."""
    return character not in _VISIBLE_CONTROLS and unicodedata.category(character) in _HIDDEN


def to_markup(value: object, limit: int = LONG_TEXT) -> Markup:
    """Escape a value as markup, with hidden characters as labels such as `U+202E`, cut after `limit` characters."""
    if isinstance(value, Markup):
        return value
    text = value if isinstance(value, str) else str(value)
    parts = _parts(text[:limit])
    if len(text) > limit:
        parts.append(Markup('<span class="cut">… {} more characters</span>').format(f"{len(text) - limit:,}"))
    return Markup("").join(parts)


def to_inline_markup(value: object, limit: int = LONG_TEXT) -> Markup:
    """Escape a value as `to_markup` does, stripped and with a sign in place of each line end, for narrow cells."""
    return Markup('<span class="newline">↵</span> ').join(to_markup(str(value).strip(), limit).split("\n"))


def to_plain_text(value: object, limit: int = LONG_TEXT) -> str:
    """Return a value as text in which hidden characters are labels; the caller still has to escape markup."""
    text = str(value)
    visible = "".join(_code_point(c) if is_hidden(c) else c for c in text[:limit])
    return visible if len(text) <= limit else f"{visible}… {len(text) - limit:,} more characters"


def _parts(text: str) -> list[Markup]:
    if text.isprintable():  # the usual case, and much faster
        return [escape(text)]
    return [_escape_run(hidden, "".join(run)) for hidden, run in groupby(text, _hidden_key)]


def _hidden_key(character: str) -> str:
    """Return the grouping key of a character: itself if hidden, so that repetitions are counted, else empty."""
    return character if is_hidden(character) else ""


def _escape_run(hidden: str, run: str) -> Markup:
    if not hidden:
        return escape(run)
    times = f" ×{len(run)}" if len(run) > 1 else ""
    return Markup('<span class="hidden-character">{}{}</span>').format(_code_point(hidden), times)


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def format_number(value: float) -> str:
    """Format a number for display: `1,209`, `0.583`, `2.58 × 10⁻³²`, `not a number`."""
    if math.isnan(value):
        return "not a number"
    size = abs(value)
    if math.isinf(value):
        text = "infinite"
    elif size < 1e9 and value == int(value):
        text = f"{int(size):,}"
    elif 1e-3 <= size < 1e9:
        text = f"{size:,.1f}" if size >= 100 else f"{size:.3f}" if size < 10 else f"{size:.2f}"
    else:
        digits, _, exponent = f"{size:.2e}".partition("e")
        text = f"{digits} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return f"−{text}" if value < 0 else text


def format_short(value: float) -> str:
    """Format a number without trailing zeros, for thresholds and axis labels: `0.2`, `1,000`."""
    text = format_number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text.replace(".00 ×", " ×")


def format_signed(value: float) -> str:
    """Format a difference with its sign: `+0.411`, `−0.526`."""
    return f"+{format_number(value)}" if value > 0 else format_number(value)


def format_percent(value: float) -> str:
    """Format a rate as a percentage: `58.3%`."""
    return f"{100 * value:.1f}%" if math.isfinite(value) else "not a number"


def format_duration(seconds: float) -> str:
    """Format seconds with no-break spaces: `3.4 s`, `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if not math.isfinite(seconds):
        return "unknown"
    whole = round(seconds)
    if seconds < 9.95:
        words = f"{seconds:.1f} s"
    elif whole < 60:
        words = f"{whole} s"
    elif whole < 3600:
        words = f"{whole // 60} min {whole % 60:02d} s"
    else:
        words = f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def ratio(part: float, whole: float) -> float:
    """Return `part / whole`; nan for division by zero and for overflow, since a damaged record may hold any number."""
    try:
        return part / whole
    except (ZeroDivisionError, OverflowError):
        return math.nan


def short_digest(value: str) -> str:
    """Return the first 12 hexadecimal digits of a digest."""
    return value[:12]


def humanize(name: str) -> str:
    """Return an identifier in words: `content_p_value` as `content p value`."""
    return name.replace("_", " ")


def format_interval(interval: Interval) -> str:
    """Format an interval: `0.902 to 0.987`."""
    return f"{format_number(interval.low)} to {format_number(interval.high)}"
