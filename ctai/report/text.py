"""How text and numbers from outside are shown: what cannot be seen is made visible, and nothing can leave its place.

Everything that a model, a file or a file name says goes through `shown` (inside an element) or `plain` (inside an
attribute or a drawing). Nothing else of the report turns a string into markup.
"""

import math
import unicodedata
from itertools import groupby

from markupsafe import Markup, escape

LONG_TEXT = 600
"""Characters of a text that are shown."""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_KEPT_CONTROLS = "\n\t"
# Other (controls, formats and bidi marks, surrogates, private, unassigned), and the separators of lines and paragraphs.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def is_hidden(character: str) -> bool:
    """Whether a character cannot be seen and may change how others are shown, or cannot be sent at all."""
    return character not in _KEPT_CONTROLS and unicodedata.category(character) in _HIDDEN


def shown(value: object, limit: int = LONG_TEXT) -> Markup:
    """A value as markup: hidden characters as labels such as `U+202E`, the rest escaped, cut after `limit` characters."""
    if isinstance(value, Markup):
        return value
    text = value if isinstance(value, str) else str(value)
    parts = _parts(text[:limit])
    if len(text) > limit:
        parts.append(Markup('<span class="cut">… {} more characters</span>').format(f"{len(text) - limit:,}"))
    return Markup("").join(parts)


def inline(value: object, limit: int = LONG_TEXT) -> Markup:
    """As `shown`, without white space at its ends and with a sign for each end of a line, so that it takes little room."""
    return Markup('<span class="newline">↵</span> ').join(shown(str(value).strip(), limit).split("\n"))


def plain(value: object, limit: int = LONG_TEXT) -> str:
    """A value as text without markup and without hidden characters; whoever places it still has to escape it."""
    text = str(value)
    kept = "".join(_code_point(c) if is_hidden(c) else c for c in text[:limit])
    return kept if len(text) <= limit else f"{kept}… {len(text) - limit:,} more characters"


def _parts(text: str) -> list[Markup]:
    if text.isprintable():  # the usual case, and much faster
        return [escape(text)]
    return [_run(hidden, "".join(run)) for hidden, run in groupby(text, _hidden_as)]


def _hidden_as(character: str) -> str:
    """The key of a run: the character itself if it is hidden, so that repetitions are counted; else nothing."""
    return character if is_hidden(character) else ""


def _run(hidden: str, run: str) -> Markup:
    if not hidden:
        return escape(run)
    times = f" ×{len(run)}" if len(run) > 1 else ""
    return Markup('<span class="hidden-character">{}{}</span>').format(_code_point(hidden), times)


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def number(value: float) -> str:
    """A number as people read it: `1,209`, `0.583`, `2.58 × 10⁻³²`, `not a number`."""
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


def short(value: float) -> str:
    """A number without trailing zeros, for thresholds and the ends of axes: `0.2`, `1,000`."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text.replace(".00 ×", " ×")


def signed(value: float) -> str:
    """A difference with its sign: `+0.411`, `−0.526`."""
    return f"+{number(value)}" if value > 0 else number(value)


def percent(value: float) -> str:
    """A rate as a percentage: `58.3%`."""
    return f"{100 * value:.1f}%" if math.isfinite(value) else "not a number"


def duration(seconds: float) -> str:
    """A length of time, which does not break over lines: `3.4 s`, `42 s`, `3 min 05 s`, `2 h 10 min`."""
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


def share(part: float, whole: float) -> float:
    """Part of a whole; nan where there is no whole, or where a record holds a number beyond all measure."""
    try:
        return part / whole
    except (ZeroDivisionError, OverflowError):
        return math.nan


def digest(value: str) -> str:
    """The first 12 digits of a digest."""
    return value[:12]


def words(name: str) -> str:
    """A name of the code in words: `content_p_value` as `content p value`."""
    return name.replace("_", " ")
