"""Charts of many values as inline SVG: bars, histograms, curves, stacked counts. Axes and marks are `drawing`'s."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from ctai.report.drawing import Scale, decades, line, rectangle, svg, text
from ctai.report.text import share, short


def bar(title: str, part: float, width: float = 160, kind: str = "bar") -> Markup:
    """A horizontal bar of a share between 0 and 1."""
    part = min(max(part, 0.0), 1.0) if math.isfinite(part) else 0.0
    filled = max(part * width, 1.0 if part > 0 else 0.0)
    return svg(width, 14, title, [rectangle(0, 1, width, 12, "track-fill"), rectangle(0, 1, filled, 12, kind)], "strip")


class Bin(NamedTuple):
    """A bar of a histogram: from `low` up to `high`, with its count and the class it is drawn in."""

    low: float
    high: float
    n: int
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
    top = max(one.n for one in found) or 1
    parts = []
    for one in found:
        x, tall = scale.x(one.low), (base - 16) * one.n / top
        tall = max(tall, 1.5) if one.n else 0.0
        words = f"{short(one.low)}: {one.n:,}" if each else f"{short(one.low)} to {short(one.high)}: {one.n:,}"
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
    low, high = decades(min(positive), max(positive))
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
    n: int
    kind: str


def stacked(title: str, pieces: Sequence[Piece]) -> Markup:
    """Counts side by side in one bar; each piece is named below the bar where there is room for its name."""
    width, total = 400.0, sum(piece.n for piece in pieces)
    if total <= 0:
        return Markup("")
    edges = [0.0]
    for piece in pieces:
        edges.append(edges[-1] + width * share(piece.n, total))
    parts = []
    for piece, (low, high) in zip(pieces, pairwise(edges), strict=True):
        parts.append(rectangle(low, 0, high - low - 1, 26, piece.kind, f"{piece.name}: {piece.n:,}"))
        if high - low > 7 * len(piece.name):
            parts.append(text((low + high) / 2, 42, piece.name))
    return svg(width, 48, title, parts, "plot wide")
