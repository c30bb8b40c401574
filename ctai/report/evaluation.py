"""Base against SFT on the same items: the paired table, the lift by type, baselines, the loss, the failed answers."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from ctai.records import (
    CriticCalibration,
    DetectorCalibration,
    EvaluationItem,
    EvaluationSummary,
    Interval,
    PairedComparison,
    Rate,
    SentinelReport,
    TrainingStep,
)
from ctai.report.charts import Piece, curve, stacked
from ctai.report.drawing import Scale, row_axis, scale_row
from ctai.report.text import number, percent, share, signed, words

ARMS = {
    "base_strict": "base, strict: right and stopped by itself",
    "base_stop_rule": "base, content: right up to a stop rule",
    "base_few_shot": "base with few-shot examples, content",
}
FAILED_SHOWN = 1000
FAILED_OPEN = 20
_ROW_WIDTH = 260
_POINTS = 400


class Paired(NamedTuple):
    """The four outcomes of paired items."""

    both: int
    only_base: int
    only_sft: int
    neither: int
    drawing: Markup

    @property
    def n(self) -> int:
        """All items."""
        return self.both + self.only_base + self.only_sft + self.neither


class LiftRow(NamedTuple):
    """One row of the forest plot."""

    name: str
    comparison: PairedComparison
    drawing: Markup


class Forest(NamedTuple):
    """The lift by type on one scale."""

    rows: tuple[LiftRow, ...]
    axis: Markup


class RateRow(NamedTuple):
    """One row of a dot plot of rates."""

    name: str
    rate: Rate
    drawing: Markup
    note: str = ""


class DotPlot(NamedTuple):
    """Rates on one scale."""

    rows: tuple[RateRow, ...]
    axis: Markup


class FailedAnswer(NamedTuple):
    """An item that an arm answered wrongly, with what both arms wrote."""

    base: EvaluationItem | None
    sft: EvaluationItem | None

    @property
    def item(self) -> EvaluationItem:
        """One of the two, for what they share."""
        found = self.sft or self.base
        assert found is not None
        return found


class LossCurve(NamedTuple):
    """The loss curve, and the numbers that it shows."""

    drawing: Markup
    points: tuple[TrainingStep, ...]


def paired(comparison: PairedComparison) -> Paired:
    """The 2 x 2 table of a comparison."""
    only_base, only_sft = comparison.mcnemar.only_base, comparison.mcnemar.only_sft
    both = comparison.base.k - only_base
    neither = comparison.n - both - only_base - only_sft
    pieces = [
        Piece("both right", both, "piece both"),
        Piece("only SFT right", only_sft, "piece only-sft"),
        Piece("only base right", only_base, "piece only-base"),
        Piece("both wrong", neither, "piece neither"),
    ]
    title = "; ".join(f"{piece.name}: {piece.n:,}" for piece in pieces)
    valid = all(piece.n >= 0 for piece in pieces)
    return Paired(both, only_base, only_sft, neither, stacked(title, pieces) if valid else Markup(""))


def forest(summary: EvaluationSummary) -> Forest:
    """The lift of every type, of all items, and over each cheap baseline, on one scale."""
    rows = {
        "all, content": summary.overall,
        **dict(sorted(summary.by_type.items())),
        "all, strict": summary.overall_strict,
    }
    rows |= {f"over {words(name)}": found for name, found in summary.against.items()}
    lowest = min((c.lift_interval.low for c in rows.values() if math.isfinite(c.lift_interval.low)), default=0.0)
    scale = Scale(-1.0 if lowest < -0.25 else -0.25, 1.0, _ROW_WIDTH)
    drawn = tuple(LiftRow(name, c, _lift_row(name, c, scale)) for name, c in rows.items())
    return Forest(drawn, scale_row(scale, [0.0]))


def _lift_row(name: str, c: PairedComparison, scale: Scale) -> Markup:
    interval = f"{signed(c.lift_interval.low)} to {signed(c.lift_interval.high)}"
    title = f"{name}: lift {signed(c.lift)}, 95% interval {interval}"
    return row_axis(title, scale, c.lift, c.lift_interval, good=c.lift > 0, zero=0.0)


def dot_plot(rates: Mapping[str, Rate], wanted_low: frozenset[str] = frozenset()) -> DotPlot:
    """Rates with their intervals on [0, 1]; those that are wanted low are marked by a diamond."""
    scale = Scale(0.0, 1.0, _ROW_WIDTH)
    rows = tuple(
        RateRow(
            name, found,
            row_axis(
                f"{name}: {percent(found.value)}", scale, found.value, found.interval,
                good=name not in wanted_low, tone="neutral",
            ),
        )
        for name, found in rates.items()
    )  # fmt: skip
    return DotPlot(rows, scale_row(scale, [0.5]))


def arms(summary: EvaluationSummary) -> DotPlot:
    """What every arm gets right: baselines, then SFT."""
    rates = {ARMS.get(name, name): rate for name, rate in summary.baselines.items()}
    rates |= {"SFT, content": summary.overall.sft, "SFT, strict": summary.overall_strict.sft}
    return dot_plot(rates)


def calibration_plot(calibration: CriticCalibration) -> DotPlot:
    """How many labelled probes of each kind the critic accepts; the good ones first."""
    kinds = sorted(calibration.acceptance, key=lambda kind: (kind != "good", kind))
    low = frozenset(kind for kind in kinds if kind != "good")
    return dot_plot({kind: calibration.acceptance[kind] for kind in kinds}, low)


def sentinel_plot(report: SentinelReport) -> DotPlot:
    """What the model did with plain texts, bare instructions and worksheets; all but the first are wanted low."""
    low = {
        "bare instructions followed": report.followed_rate,
        "followed, and stopped after": report.followed_and_stopped_rate,
    }
    for sheet in report.worksheets:
        low |= {f"{sheet.form}: answered rightly": sheet.followed, f"{sheet.form}: stopped after": sheet.stopped}
    return dot_plot({"plain texts completed": report.completion_rate, **low}, frozenset(low))


def detector_plots(found: DetectorCalibration) -> dict[str, DotPlot]:
    """Precision and recall of every detector on all labelled responses."""
    detectors = found.everything.detectors
    return {
        "Precision: what was found is there": dot_plot({fault: one.precision for fault, one in detectors.items()}),
        "Recall: what is there was found": dot_plot({fault: one.recall for fault, one in detectors.items()}),
    }


def interval_words(interval: Interval) -> str:
    """An interval in numbers."""
    return f"{number(interval.low)} to {number(interval.high)}"


# --------------------------------------------------------------------------------------------------- failed answers


def failed_answers(base: Sequence[EvaluationItem], sft: Sequence[EvaluationItem]) -> dict[str, list[FailedAnswer]]:
    """Every item with an answer that failed: first where SFT failed, then where the base alone did."""
    base_of, sft_of = ({one.item: one for one in items} for items in (base, sft))
    pairs = [FailedAnswer(base_of.get(item), sft_of.get(item)) for item in sorted(base_of.keys() | sft_of.keys())]
    by_sft = [pair for pair in pairs if pair.sft is not None and not (pair.sft.content and pair.sft.strict)]
    listed = {pair.item.item for pair in by_sft}
    by_base = [p for p in pairs if p.base is not None and not p.base.content and p.item.item not in listed]
    return {"sft": by_sft, "base": by_base}


# ----------------------------------------------------------------------------------------------------- loss curve


def loss(steps: Sequence[TrainingStep]) -> LossCurve | None:
    """The loss of each optimizer step, as it is and smoothed; None when there are too few steps to draw."""
    if len(steps) < 2:
        return None
    every = max(1, len(steps) // _POINTS)
    raw = [(share(step.step, 1), step.loss) for step in steps[::every]]
    title = f"Training loss over {len(steps):,} steps, from {number(steps[0].loss)} to {number(steps[-1].loss)} nats a token"
    drawing = curve(title, raw, _smoothed(raw), "optimizer step; loss in nats per supervised token, logarithmic")
    return LossCurve(drawing, tuple(steps[:: max(1, len(steps) // 12)])) if drawing else None


def _smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A running geometric mean, in which each point counts a tenth; as the axis is logarithmic, so is the mean."""
    smooth: list[tuple[float, float]] = []
    mean: float | None = None
    for x, y in points:
        if y > 0 and math.isfinite(y):
            mean = math.log(y) if mean is None else 0.9 * mean + 0.1 * math.log(y)
            smooth.append((x, math.exp(mean)))
    return smooth
