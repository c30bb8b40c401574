"""Charts as inline SVG: bars, histograms, curves and stacked counts. Axes and marks come from `ctai.report.drawing`."""

import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from ctai.report.drawing import Scale, decades, line, rectangle, svg, text
from ctai.report.text import format_short, ratio


def draw_bar(title: str, part: float, width: float = 160, kind: str = "bar") -> Markup:
    """Draw a horizontal bar of a share between 0 and 1."""
    part = min(max(part, 0.0), 1.0) if math.isfinite(part) else 0.0
    filled = max(part * width, 1.0 if part > 0 else 0.0)
    return svg(width, 14, title, [rectangle(0, 1, width, 12, "track-fill"), rectangle(0, 1, filled, 12, kind)], "strip")


class Bin(NamedTuple):
    """Histogram bin from `low` up to `high`, with its count and CSS class."""

    low: float
    high: float
    n: int
    kind: str = "bar"


def compute_bins(values: Sequence[float], target_count: int = 28) -> list[Bin]:
    """Count finite values in intervals of equal, round width, about `target_count` of them; empty for no values."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return []
    low, high = min(finite), max(finite)
    width = _round_width((high - low) / target_count)
    first = math.floor(low / width)
    count = min(math.floor(high / width) - first + 1, 10 * target_count)
    counts = [0] * count
    for value in finite:
        counts[min(max(math.floor(value / width) - first, 0), count - 1)] += 1
    edges = [_clamp((first + i) * width) for i in range(count + 1)]
    return [Bin(low, high, n) for (low, high), n in zip(pairwise(edges), counts, strict=True)]


def _clamp(value: float) -> float:
    return min(max(value, -sys.float_info.max), sys.float_info.max)


def _round_width(width: float) -> float:
    if not (width > 1e-9 and math.isfinite(width)):
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width * 0.999)


def draw_histogram(
    title: str, bins: Sequence[Bin], unit: str, marked: Sequence[float] = (), *, integer_bins: bool = False
) -> Markup:
    """Draw counts as vertical bars, with marked values as dashed lines; an integer bin stands for one whole number."""
    width, height, base = 310.0, 146.0, 112.0
    if not bins:
        return Markup("")
    scale = Scale(bins[0].low, bins[-1].high, width, margin=8)
    top = max(bin.n for bin in bins) or 1
    parts = []
    for bin in bins:
        x, tall = scale.x(bin.low), (base - 16) * bin.n / top
        tall = max(tall, 1.5) if bin.n else 0.0
        span = format_short(bin.low) if integer_bins else f"{format_short(bin.low)} to {format_short(bin.high)}"
        parts.append(rectangle(x + 0.5, base - tall, scale.x(bin.high) - x - 1, tall, bin.kind, f"{span}: {bin.n:,}"))
    parts.append(line(scale.margin, base, width - scale.margin, base, "track"))
    parts += [line(scale.x(m), 10, scale.x(m), base + 4, "threshold") for m in marked]
    parts += [
        text(scale.x(at + integer_bins / 2), base + 15, format_short(at)) for at in _ticks(scale, integers=integer_bins)
    ]
    parts.append(text(width / 2, height - 3, unit, kind="tick unit"))
    parts.append(text(scale.margin, 11, f"maximum {top:,}", "start"))
    return svg(width, height, title, parts, "plot")


def _ticks(scale: Scale, *, integers: bool) -> list[float]:
    """Return round numbers along a linear axis; for integer bins whole numbers without the end."""
    step = _round_width((scale.high - scale.low) / 6)
    step = max(step, 1.0) if integers else step
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    return [i * step for i in range(first, min(last, first + 20) + 1) if not (integers and i * step >= scale.high)]


def draw_curve(
    title: str,
    points: Sequence[tuple[float, float]],
    smooth: Sequence[tuple[float, float]],
    unit: str,
    other: Sequence[tuple[float, float]] = (),
) -> Markup:
    """Draw positive values on a logarithmic axis: thin raw, thick smoothed, and dashed those of another series."""
    width, height, left, base = 640.0, 210.0, 44.0, 176.0
    positive = [y for _, y in (*points, *other) if y > 0 and math.isfinite(y)]
    if len(positive) < 2:
        return Markup("")
    low, high = decades(min(positive), max(positive))
    upright = Scale(low, high, base, log=True, margin=8)
    across = Scale(points[0][0], points[-1][0], width - left, margin=8)
    parts = []
    for exponent in range(round(math.log10(low)), round(math.log10(high)) + 1):
        y = base - upright.x(10.0**exponent)
        parts += [line(left, y, width, y, "grid"), text(left - 6, y + 4, format_short(10.0**exponent), "end")]
    for series, kind in ((points, "curve thin"), (smooth, "curve"), (other, "curve dashed")):
        path = " ".join(
            f"{left + across.x(x):.1f},{base - upright.x(y):.1f}" for x, y in series if y > 0 and math.isfinite(y)
        )
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(kind, path))
    parts += [
        text(left + across.x(x), base + 14, format_short(x), a)
        for x, a in ((points[0][0], "start"), (points[-1][0], "end"))
    ]
    parts.append(text((left + width) / 2, height - 6, unit, kind="tick unit"))
    return svg(width, height, title, parts, "plot wide")


class Segment(NamedTuple):
    """Part of a stacked bar."""

    name: str
    n: int
    kind: str


def draw_stacked_bar(title: str, segments: Sequence[Segment]) -> Markup:
    """Draw counts side by side in one bar; a segment is labelled where its name fits."""
    width, total = 400.0, sum(segment.n for segment in segments)
    if total <= 0:
        return Markup("")
    edges = [0.0]
    for segment in segments:
        edges.append(edges[-1] + width * ratio(segment.n, total))
    parts = []
    for segment, (low, high) in zip(segments, pairwise(edges), strict=True):
        parts.append(rectangle(low, 0, high - low - 1, 26, segment.kind, f"{segment.name}: {segment.n:,}"))
        if high - low > 7 * len(segment.name):
            parts.append(text((low + high) / 2, 42, segment.name))
    return svg(width, 48, title, parts, "plot wide")
