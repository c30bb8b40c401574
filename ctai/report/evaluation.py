"""Evaluation data of the report: paired table, lift by type, arms, calibration plots, loss curve and failed answers."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from ctai.evaluate.claims import rival_sentence
from ctai.records import (
    CriticCalibration,
    DetectorCalibration,
    DevEvaluation,
    EvaluationItem,
    EvaluationSummary,
    PairedComparison,
    Rate,
    SentinelReport,
    TrainingStep,
)
from ctai.report.charts import Segment, draw_curve, draw_stacked_bar
from ctai.report.drawing import Scale, draw_axis_row, draw_row_axis
from ctai.report.text import format_number, format_percent, format_signed, humanize, ratio
from ctai.tasks.negatives import GOOD_KINDS

ARMS = {
    "base_strict": "base, strict (correct and stopped by itself)",
    "base": "base in the training format, content (stop rule applied)",
    "base_raw": "base with the bare instruction, content",
    "base_few_shot": "base with few-shot examples, content",
    "base_restyled": "base with a restyled prompt, content",
}
MAX_FAILED_ANSWERS = 1000
EXPANDED_FAILED_ANSWERS = 20
_ROW_WIDTH = 260
_MAX_POINTS = 400


class PairedTable(NamedTuple):
    """Two-by-two table of paired outcomes."""

    both: int
    only_base: int
    only_sft: int
    neither: int
    drawing: Markup

    @property
    def n(self) -> int:
        """Number of items."""
        return self.both + self.only_base + self.only_sft + self.neither


class LiftRow(NamedTuple):
    """Row of a forest plot."""

    name: str
    comparison: PairedComparison
    drawing: Markup


class ForestPlot(NamedTuple):
    """Lift by type on a common scale."""

    rows: tuple[LiftRow, ...]
    axis: Markup


class RateRow(NamedTuple):
    """Row of a dot plot."""

    name: str
    rate: Rate
    drawing: Markup
    note: str = ""


class DotPlot(NamedTuple):
    """Rates on a common scale."""

    rows: tuple[RateRow, ...]
    axis: Markup


class FailedAnswer(NamedTuple):
    """Item that an arm answered wrongly, with the answers of both arms."""

    base: EvaluationItem | None
    sft: EvaluationItem | None

    @property
    def item(self) -> EvaluationItem:
        """Answer of either arm, for the fields that both share."""
        answer = self.sft or self.base
        assert answer is not None
        return answer


class LossCurve(NamedTuple):
    """Loss curve with the numbers behind it."""

    drawing: Markup
    points: tuple[TrainingStep, ...]
    evaluations: tuple[DevEvaluation, ...] = ()


def paired_table(comparison: PairedComparison) -> PairedTable:
    """Return the two-by-two table of a comparison; without a drawing for inconsistent counts."""
    only_base, only_sft = comparison.mcnemar.only_base, comparison.mcnemar.only_sft
    both = comparison.base.k - only_base
    neither = comparison.n - both - only_base - only_sft
    segments = [
        Segment("both correct", both, "segment both"),
        Segment("only SFT correct", only_sft, "segment only-sft"),
        Segment("only base correct", only_base, "segment only-base"),
        Segment("neither correct", neither, "segment neither"),
    ]
    title = "; ".join(f"{segment.name}: {segment.n:,}" for segment in segments)
    valid = all(segment.n >= 0 for segment in segments)
    drawing = draw_stacked_bar(title, segments) if valid else Markup("")
    return PairedTable(both, only_base, only_sft, neither, drawing)


def forest_plot(summary: EvaluationSummary) -> ForestPlot:
    """Return the lift by type, over all items, over each rival and on families held out whole, on a common scale."""
    rows = {
        "all, content": summary.overall,
        **dict(sorted(summary.by_type.items())),
        "all, strict": summary.overall_strict,
    }
    rows |= {f"over {humanize(name)}": rival.comparison for name, rival in summary.rivals.items()}
    rows |= {f"unseen families, over {humanize(name)}": rival.comparison for name, rival in summary.transfer.items()}
    lowest = min((c.lift_interval.low for c in rows.values() if math.isfinite(c.lift_interval.low)), default=0.0)
    scale = Scale(-1.0 if lowest < -0.25 else -0.25, 1.0, _ROW_WIDTH)
    drawn = tuple(LiftRow(name, c, _draw_lift(name, c, scale)) for name, c in rows.items())
    return ForestPlot(drawn, draw_axis_row(scale, [0.0]))


def _draw_lift(name: str, c: PairedComparison, scale: Scale) -> Markup:
    interval = f"{format_signed(c.lift_interval.low)} to {format_signed(c.lift_interval.high)}"
    title = f"{name}: lift {format_signed(c.lift)}, 95% interval {interval}"
    return draw_row_axis(title, scale, c.lift, c.lift_interval, good=c.lift > 0, zero=0.0)


def dot_plot(rates: Mapping[str, Rate], lower_is_better: frozenset[str] = frozenset()) -> DotPlot:
    """Return rates with their intervals on [0, 1]; a diamond marks a rate for which lower is better."""
    scale = Scale(0.0, 1.0, _ROW_WIDTH)
    rows = tuple(
        RateRow(
            name, rate,
            draw_row_axis(
                f"{name}: {format_percent(rate.value)}", scale, rate.value, rate.interval,
                good=name not in lower_is_better, tone="neutral",
            ),
        )
        for name, rate in rates.items()
    )  # fmt: skip
    return DotPlot(rows, draw_axis_row(scale, [0.5]))


def arm_plot(summary: EvaluationSummary) -> DotPlot:
    """Return the success rate of every arm, those of the base first."""
    rates: dict[str, Rate] = {ARMS.get(name, name): rate for name, rate in summary.rates.items()}
    rates |= {
        "SFT, content": summary.overall.sft,
        "SFT, strict": summary.overall_strict.sft,
        "SFT, answers ended by itself": summary.stop_rate,
    }
    return dot_plot(rates)


def claims(summary: EvaluationSummary) -> list[str]:
    """Return the claim against each rival, and of the transfer to families held out whole."""
    unseen = [f"Unseen families: {rival_sentence(name, rival)}." for name, rival in summary.transfer.items()]
    return [*(f"{rival_sentence(name, rival)}." for name, rival in summary.rivals.items()), *unseen]


def calibration_plot(calibration: CriticCalibration) -> DotPlot:
    """Return the acceptance rate of the critic by probe kind, those that deserve acceptance first."""
    kinds = sorted(calibration.acceptance, key=lambda kind: (kind not in GOOD_KINDS, kind))
    rejected = frozenset(kind for kind in kinds if kind not in GOOD_KINDS)
    return dot_plot({kind: calibration.acceptance[kind] for kind in kinds}, rejected)


def sentinel_plot(report: SentinelReport) -> DotPlot:
    """Return the sentinel rates: completions of plain text, and instruction following, for which lower is better."""
    low = {
        "bare instructions followed": report.followed_rate,
        "bare instructions followed and stopped": report.followed_and_stopped_rate,
    }
    for sheet in report.prompt_formats:
        low |= {f"{sheet.form}: answered correctly": sheet.followed, f"{sheet.form}: stopped": sheet.stopped}
    return dot_plot({"plain text completed": report.completion_rate, **low}, frozenset(low))


def detector_plots(calibration: DetectorCalibration) -> dict[str, DotPlot]:
    """Return precision and recall of every detector on all labelled responses."""
    detectors = calibration.overall.detectors
    return {
        "Precision by fault": dot_plot({fault: rates.precision for fault, rates in detectors.items()}),
        "Recall by fault": dot_plot({fault: rates.recall for fault, rates in detectors.items()}),
    }


# --------------------------------------------------------------------------------------------------- failed answers


def failed_answers(base: Sequence[EvaluationItem], sft: Sequence[EvaluationItem]) -> dict[str, list[FailedAnswer]]:
    """Return every item with a failed answer by arm: items that SFT failed, then items that only the base failed."""
    base_of, sft_of = ({answer.item: answer for answer in answers} for answers in (base, sft))
    pairs = [FailedAnswer(base_of.get(item), sft_of.get(item)) for item in sorted(base_of.keys() | sft_of.keys())]
    by_sft = [pair for pair in pairs if pair.sft is not None and not (pair.sft.content and pair.sft.strict)]
    listed = {pair.item.item for pair in by_sft}
    by_base = [p for p in pairs if p.base is not None and not p.base.content and p.item.item not in listed]
    return {"sft": by_sft, "base": by_base}


# ----------------------------------------------------------------------------------------------------- loss curve


def loss_curve(steps: Sequence[TrainingStep], evaluations: Sequence[DevEvaluation] = ()) -> LossCurve | None:
    """Return the loss by optimizer step in nats a token, raw and smoothed, beside that on the development split.

    None for fewer than two steps.
    """
    if len(steps) < 2:
        return None
    every = max(1, len(steps) // _MAX_POINTS)
    raw = [(ratio(step.step, 1), step.loss) for step in steps[::every]]
    first, last = format_number(steps[0].loss), format_number(steps[-1].loss)
    title = f"Training loss over {len(steps):,} steps, from {first} to {last} nats a token"
    dev = [(ratio(evaluation.step, 1), evaluation.loss) for evaluation in evaluations]
    unit = "optimizer step; loss in nats per supervised token, logarithmic"
    drawing = draw_curve(title, raw, _smoothed(raw), unit, dev)
    points = tuple(steps[:: max(1, len(steps) // 12)])
    return LossCurve(drawing, points, tuple(evaluations)) if drawing else None


def _smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the exponential moving average of the logarithm (weight 0.1), which suits the logarithmic axis."""
    smooth: list[tuple[float, float]] = []
    mean: float | None = None
    for x, y in points:
        if y > 0 and math.isfinite(y):
            mean = math.log(y) if mean is None else 0.9 * mean + 0.1 * math.log(y)
            smooth.append((x, math.exp(mean)))
    return smooth
