"""Small drawings as inline SVG: scales, intervals against thresholds, histograms, curves, bars.

Geometry only: what is drawn and what its words say is decided by the callers. Colours are classes that the page's style
sheet fills in, so that one drawing serves light and dark. Each drawing has a title, and shapes differ where colours do.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from ctai.records import Interval
from ctai.report.text import plain, short

_LABEL_PIXELS = 42  # labels of an axis that are nearer than this would run into each other


class Scale(NamedTuple):
    """An axis from `low` to `high`, drawn over `width` pixels with a margin at both ends; logarithmic if `log`."""

    low: float
    high: float
    width: float
    log: bool = False
    margin: float = 8

    def x(self, value: float) -> float:
        """Where a value lies, in pixels; beyond the ends it lies at the end, and so does what is no number."""
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
    """An axis on which all finite values can be told apart: [0, 1] for rates, from 0 for counts, else logarithmic."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if low > 0 and high / low > 1000:
        return Scale(10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high)), width, log=True)
    if low >= 0 and 0.2 < high <= 1:
        return Scale(0.0, 1.0, width)
    return Scale(-_nice(-low) if low < 0 else 0.0, _nice(high) if high > 0 else 0.0 if low < 0 else 1.0, width)


def _nice(value: float) -> float:
    """The next round number above a positive value, with some room."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12)
    found = next(step * power for step in steps if step * power > value * 1.08)
    return found if math.isfinite(found) else value


def svg(width: float, height: float, title: str, body: Iterable[Markup], kind: str = "") -> Markup:
    """A drawing with its title, which is also what a screen reader says."""
    head = Markup(
        '<svg class="drawing {}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" role="img" aria-label="{}">'
    )
    label = plain(title, 1000)
    opened = head.format(kind, width, height, width, height, label)
    return opened + Markup("<title>{}</title>").format(label) + Markup("").join(body) + Markup("</svg>")


def text(x: float, y: float, words: str, anchor: str = "middle", kind: str = "tick") -> Markup:
    """A label."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, plain(words, 80)
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def rectangle(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> Markup:
    """A filled rectangle; its title shows under the pointer."""
    inner = Markup("<title>{}</title>").format(title) if title else ""
    form = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">{}</rect>')
    return form.format(kind, x, y, max(width, 0.0), max(height, 0.0), inner)


def dot(x: float, y: float, kind: str, *, good: bool = True) -> Markup:
    """The mark of a value: a disc, or a diamond when it is not good."""
    if good:
        return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format(kind, x, y)
    points = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
    return Markup('<polygon class="{}" points="{}"/>').format(kind, points)


def interval_mark(
    scale: Scale, y: float, value: float, interval: Interval | None, *, good: bool = True, tone: str = ""
) -> Markup:
    """A value with its interval; nothing where the value is no number. `tone` is the class of its colour."""
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
    """The ends of a scale, and marked values between them; an end that would run into a marked value is left out."""
    parts, taken = [], []
    for value, anchor in [*((value, "middle") for value in marked), (scale.low, "start"), (scale.high, "end")]:
        x = scale.x(value)
        if math.isfinite(value) and all(abs(x - other) >= _LABEL_PIXELS for other in taken):
            taken.append(x)
            at_low, at_high = x <= scale.margin + 1, x >= scale.width - scale.margin - 1
            x, anchor = (2, "start") if at_low else (scale.width - 2, "end") if at_high else (x, anchor)
            parts.append(text(x, y, short(value), anchor))
    return Markup("").join(parts)


def threshold_axis(
    title: str, value: float, interval: Interval | None, comparison: str, threshold: float, *, good: bool
) -> Markup:
    """Value, interval and threshold on one axis; what the threshold allows is shaded."""
    if comparison == "==" and interval is None and {value, threshold} <= {0.0, 1.0}:
        return _yes_or_no(title, value, threshold, good=good)
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


def _yes_or_no(title: str, value: float, threshold: float, *, good: bool) -> Markup:
    """A metric that is 0 or 1 and must be one of them: an axis with two places."""
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


def row_axis(
    title: str,
    scale: Scale,
    value: float,
    interval: Interval | None,
    *,
    good: bool = True,
    zero: float | None = None,
    tone: str = "",
) -> Markup:
    """One row of a forest or dot plot, on a scale that all its rows share; `zero` draws a line of reference."""
    parts = [line(scale.margin, 13, scale.width - scale.margin, 13, "track")]
    if zero is not None:
        parts.append(line(scale.x(zero), 0, scale.x(zero), 26, "threshold"))
    parts.append(interval_mark(scale, 13, value, interval, good=good, tone=tone))
    return svg(scale.width, 26, title, parts, "axis")


def scale_row(scale: Scale, marks: Sequence[float]) -> Markup:
    """The labels below the rows of a forest or dot plot; the rows say the same in numbers."""
    opened = Markup('<svg class="drawing axis" viewBox="0 0 {0:g} 16" width="{0:g}" height="16" aria-hidden="true">')
    return opened.format(scale.width) + axis_labels(scale, 12, marks) + Markup("</svg>")


def bar(title: str, share: float, width: float = 160, kind: str = "bar") -> Markup:
    """A horizontal bar of a share between 0 and 1."""
    share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
    filled = max(share * width, 1.0 if share > 0 else 0.0)
    return svg(width, 14, title, [rectangle(0, 1, width, 12, "track-fill"), rectangle(0, 1, filled, 12, kind)], "strip")


class Bin(NamedTuple):
    """A bar of a histogram: from `low` up to `high`, with its count and the class it is drawn in."""

    low: float
    high: float
    count: int
    kind: str = "bar"


def bins(values: Sequence[float], wanted: int = 28) -> list[Bin]:
    """Counts of finite values in intervals of equal, round width; none for no values."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return []
    low, high = min(finite), max(finite)
    width = _round_width((high - low) / wanted)
    first = math.floor(low / width)
    count = min(math.floor(high / width) - first + 1, 10 * wanted)
    counts = [0] * count
    for value in finite:
        counts[min(max(math.floor(value / width) - first, 0), count - 1)] += 1
    return [Bin((first + i) * width, (first + i + 1) * width, n) for i, n in enumerate(counts)]


def _round_width(width: float) -> float:
    if not (width > 1e-9 and math.isfinite(width)):
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width * 0.999)


def histogram(
    title: str, found: Sequence[Bin], unit: str, marked: Sequence[float] = (), *, each: bool = False
) -> Markup:
    """Counts as upright bars over their axis, with marked values as dashed lines; `each` bin stands for one number."""
    width, height, base = 310.0, 146.0, 112.0
    if not found:
        return Markup("")
    scale = Scale(found[0].low, found[-1].high, width, margin=8)
    top = max(one.count for one in found) or 1
    parts = []
    for one in found:
        x, tall = scale.x(one.low), (base - 16) * one.count / top
        tall = max(tall, 1.5) if one.count else 0.0
        words = f"{short(one.low)}: {one.count:,}" if each else f"{short(one.low)} to {short(one.high)}: {one.count:,}"
        parts.append(rectangle(x + 0.5, base - tall, scale.x(one.high) - x - 1, tall, one.kind, words))
    parts.append(line(scale.margin, base, width - scale.margin, base, "track"))
    parts += [line(scale.x(m), 10, scale.x(m), base + 4, "threshold") for m in marked]
    parts += [text(scale.x(at + each / 2), base + 15, short(at)) for at in _ticks(scale, each=each)]
    parts.append(text(width / 2, height - 3, unit, kind="tick unit"))
    parts.append(text(scale.margin, 11, f"{top:,} at most", "start"))
    return svg(width, height, title, parts, "plot")


def _ticks(scale: Scale, *, each: bool) -> list[float]:
    """Round numbers along a linear axis; whole ones, without the end, where each bin stands for one number."""
    step = _round_width((scale.high - scale.low) / 6)
    step = max(step, 1.0) if each else step
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    return [i * step for i in range(first, min(last, first + 20) + 1) if not (each and i * step >= scale.high)]


def curve(
    title: str, points: Sequence[tuple[float, float]], smooth: Sequence[tuple[float, float]], unit: str
) -> Markup:
    """A curve of positive values on a logarithmic axis, thin as it is and thick when smoothed."""
    width, height, left, base = 640.0, 210.0, 44.0, 176.0
    positive = [y for _, y in points if y > 0 and math.isfinite(y)]
    if len(positive) < 2:
        return Markup("")
    low, high = 10.0 ** math.floor(math.log10(min(positive))), 10.0 ** math.ceil(math.log10(max(positive)))
    high = high if high > low else low * 10
    upright = Scale(low, high, base, log=True, margin=8)
    across = Scale(points[0][0], points[-1][0], width - left, margin=8)
    parts = []
    for exponent in range(round(math.log10(low)), round(math.log10(high)) + 1):
        y = base - upright.x(10.0**exponent)
        parts += [line(left, y, width, y, "grid"), text(left - 6, y + 4, short(10.0**exponent), "end")]
    for series, kind in ((points, "curve thin"), (smooth, "curve")):
        path = " ".join(
            f"{left + across.x(x):.1f},{base - upright.x(y):.1f}" for x, y in series if y > 0 and math.isfinite(y)
        )
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(kind, path))
    parts += [
        text(left + across.x(x), base + 14, short(x), a) for x, a in ((points[0][0], "start"), (points[-1][0], "end"))
    ]
    parts.append(text((left + width) / 2, height - 6, unit, kind="tick unit"))
    return svg(width, height, title, parts, "plot wide")


class Piece(NamedTuple):
    """A part of a stacked bar."""

    name: str
    count: int
    kind: str


def stacked(title: str, pieces: Sequence[Piece]) -> Markup:
    """Counts side by side in one bar; each piece is named below the bar where there is room for its name."""
    width, total = 400.0, sum(piece.count for piece in pieces)
    if total <= 0:
        return Markup("")
    edges = [0.0]
    for piece in pieces:
        edges.append(edges[-1] + width * piece.count / total)
    parts = []
    for piece, (low, high) in zip(pieces, pairwise(edges), strict=True):
        parts.append(rectangle(low, 0, high - low - 1, 26, piece.kind, f"{piece.name}: {piece.count:,}"))
        if high - low > 7 * len(piece.name):
            parts.append(text((low + high) / 2, 42, piece.name))
    return svg(width, 48, title, parts, "plot wide")
