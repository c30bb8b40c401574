"""Inline SVG primitives: scales, marks, and values with their intervals against thresholds.

Geometry only; callers choose content and wording, and `ctai.report.charts` builds charts from it. Colours are CSS classes,
so that one drawing serves light and dark themes. Every drawing has a title, and marks differ in shape as well as colour.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from ctai.records import Interval
from ctai.report.text import format_short, to_plain_text

_LABEL_PIXELS = 42  # minimum distance of axis labels, so that they do not overlap


class Scale(NamedTuple):
    """Axis from `low` to `high` over `width` pixels, with a margin at both ends; logarithmic if `log`."""

    low: float
    high: float
    width: float
    log: bool = False
    margin: float = 8

    def x(self, value: float) -> float:
        """Return the position of a value in pixels, clamped to the axis; a value that is not finite lies at its start."""
        inner = self.width - 2 * self.margin
        return self.margin + inner * self._share(value)

    def _share(self, value: float) -> float:
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            value = math.log10(value) if value > self.low else low
        else:
            low, high = self.low, self.high
        share = (value - low) / (high - low) if high > low else 0.5
        return min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0


def scale_for(values: Iterable[float], width: float) -> Scale:
    """Return an axis for all finite values: [0, 1] for rates, from 0 for counts, logarithmic for wide ranges."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if low > 0 and high / low > 1000:
        return Scale(*decades(low, high), width, log=True)
    if low >= 0 and 0.2 < high <= 1:
        return Scale(0.0, 1.0, width)
    return Scale(-_round_up(-low) if low < 0 else 0.0, _round_up(high) if high > 0 else 0.0 if low < 0 else 1.0, width)


def _round_up(value: float) -> float:
    """Return the next round number at least 8% above a positive value."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12)
    rounded = next((step * power for step in steps if step * power > value * 1.08), value)
    return rounded if math.isfinite(rounded) else value


def decades(low: float, high: float) -> tuple[float, float]:
    """Return the powers of ten around two positive values, within the range of a float."""
    below, above = math.floor(math.log10(low)), math.ceil(math.log10(high))
    below = min(max(below, -300), 299)
    return 10.0**below, 10.0 ** min(max(above, below + 1), 300)


def svg(width: float, height: float, title: str, body: Iterable[Markup], kind: str = "") -> Markup:
    """Return a drawing with its title, which is also its accessible name."""
    head = Markup(
        '<svg class="drawing {}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" role="img" aria-label="{}">'
    )
    label = to_plain_text(title, 1000)
    start = head.format(kind, width, height, width, height, label)
    return start + Markup("<title>{}</title>").format(label) + Markup("").join(body) + Markup("</svg>")


def text(x: float, y: float, words: str, anchor: str = "middle", kind: str = "tick") -> Markup:
    """Return a text label."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, to_plain_text(words, 80)
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Return a straight line."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def rectangle(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> Markup:
    """Return a filled rectangle; its title is a tooltip."""
    inner = Markup("<title>{}</title>").format(title) if title else ""
    template = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">{}</rect>')
    return template.format(kind, x, y, max(width, 0.0), max(height, 0.0), inner)


def dot(x: float, y: float, kind: str, *, good: bool = True) -> Markup:
    """Return the mark of a value: a disc, or a diamond when it is not good."""
    if good:
        return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format(kind, x, y)
    points = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
    return Markup('<polygon class="{}" points="{}"/>').format(kind, points)


def interval_mark(
    scale: Scale, y: float, value: float, interval: Interval | None, *, good: bool = True, tone: str = ""
) -> Markup:
    """Return the mark of a value with its interval, empty for nan. `tone` overrides the colour class."""
    parts = []
    kind = tone or ("good" if good else "bad")
    if interval is not None and not math.isnan(interval.low) and not math.isnan(interval.high):
        low, high = scale.x(interval.low), scale.x(interval.high)
        parts = [line(low, y, high, y, f"interval {kind}")]
        parts += [line(x, y - 4, x, y + 4, f"cap {kind}") for x in (low, high)]
    if not math.isnan(value):
        parts.append(dot(scale.x(value), y, f"value {kind}", good=good))
    return Markup("").join(parts)


def axis_labels(scale: Scale, y: float, marked: Sequence[float] = ()) -> Markup:
    """Return labels for the ends of a scale and for marked values; an end label that would overlap is omitted."""
    parts: list[Markup] = []
    occupied: list[float] = []
    for value, anchor in [*((value, "middle") for value in marked), (scale.low, "start"), (scale.high, "end")]:
        x = scale.x(value)
        if math.isfinite(value) and all(abs(x - other) >= _LABEL_PIXELS for other in occupied):
            occupied.append(x)
            at_low, at_high = x <= scale.margin + 1, x >= scale.width - scale.margin - 1
            x, anchor = (2, "start") if at_low else (scale.width - 2, "end") if at_high else (x, anchor)
            parts.append(text(x, y, format_short(value), anchor))
    return Markup("").join(parts)


def draw_threshold_axis(
    title: str, value: float, interval: Interval | None, comparison: str, threshold: float, *, good: bool
) -> Markup:
    """Draw value, interval and threshold on one axis, with the allowed range shaded."""
    if comparison == "==" and interval is None and {value, threshold} <= {0.0, 1.0}:
        return _draw_binary_axis(title, value, threshold, good=good)
    ends = [interval.low, interval.high] if interval else []
    scale = scale_for([value, threshold, *ends], 250)
    limit = scale.x(threshold)
    parts = [line(scale.margin, 13, scale.width - scale.margin, 13, "track")]
    if comparison in ("<", "<="):
        parts.append(rectangle(scale.margin, 8, limit - scale.margin, 10, "allowed"))
    elif comparison in (">", ">="):
        parts.append(rectangle(limit, 8, scale.width - scale.margin - limit, 10, "allowed"))
    parts.append(line(limit, 2, limit, 24, "threshold"))
    parts.append(interval_mark(scale, 13, value, interval, good=good))
    parts.append(axis_labels(scale, 36, [threshold]))
    return svg(scale.width, 40, title, parts, "axis")


def _draw_binary_axis(title: str, value: float, threshold: float, *, good: bool) -> Markup:
    """Draw a metric that is 0 or 1 and has to equal one of them."""
    scale = Scale(0.0, 1.0, 250, margin=24)
    limit = scale.x(threshold)
    parts = [
        line(scale.margin, 12, scale.width - scale.margin, 12, "track"),
        line(limit, 3, limit, 21, "threshold"),
        interval_mark(scale, 12, value, None, good=good),
        text(8, 16, "0"),
        text(scale.width - 8, 16, "1"),
    ]
    return svg(scale.width, 24, title, parts, "axis")


def draw_row_axis(
    title: str,
    scale: Scale,
    value: float,
    interval: Interval | None,
    *,
    good: bool = True,
    zero: float | None = None,
    tone: str = "",
) -> Markup:
    """Draw one row of a forest or dot plot on the scale that its rows share; `zero` draws a reference line."""
    parts = [line(scale.margin, 13, scale.width - scale.margin, 13, "track")]
    if zero is not None:
        parts.append(line(scale.x(zero), 0, scale.x(zero), 26, "threshold"))
    parts.append(interval_mark(scale, 13, value, interval, good=good, tone=tone))
    return svg(scale.width, 26, title, parts, "axis")


def draw_axis_row(scale: Scale, marks: Sequence[float]) -> Markup:
    """Draw the axis labels of a forest or dot plot, hidden from screen readers, since the rows hold the numbers."""
    start = Markup('<svg class="drawing axis" viewBox="0 0 {0:g} 16" width="{0:g}" height="16" aria-hidden="true">')
    return start.format(scale.width) + axis_labels(scale, 12, marks) + Markup("</svg>")
