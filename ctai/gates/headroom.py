"""Gate headroom: answers of the base model to the test set before anything is generated or trained.

A reference instruct model, if one is named, answers as well: it shows that the items can be answered at all.
"""

import math
from collections.abc import Mapping, Sequence

from ctai.config import MetricValue, RunConfig
from ctai.evaluate.arms import (
    BASE,
    BASE_REPARTITIONED,
    REFERENCE,
    ArmResult,
    base_arms,
    content_rate,
    evaluate_arm,
)
from ctai.evaluate.comparison import noise_floor
from ctai.evidence.result import GateResult
from ctai.evidence.review import ReviewContext, right_answer_samples
from ctai.pipeline.run import Run
from ctai.records import EvaluationItem, HeldoutItem, Rate
from ctai.registry import RIVALS
from ctai.rundir import RunDir, read_jsonl


def measure_headroom(run: Run) -> GateResult:
    """Evaluate the base arms: each prompt of the preregistered rivals, and other batches for the noise floor."""
    with run.phase("headroom", items=run.config.heldout.count) as phase:
        arms = base_answers(run)
        items = {name: arm.items for name, arm in arms.items()}
        paths = [run.rundir.base_answers(name) for name in arms]
        result = run.judge_values("headroom", headroom_values(items, run.rundir, run.config), paths)
        run.review_contexts["headroom"] = ReviewContext(samples=right_answer_samples(items[BASE]))
        return run.finish_gate(result, reused=all(arm.reused for arm in arms.values()), phase=phase)


def headroom_values(
    items: Mapping[str, Sequence[EvaluationItem]], rundir: RunDir, config: RunConfig
) -> dict[str, MetricValue]:
    """Compute the metrics of the gate over the items of the asked families.

    Args:
        items: answers by arm: those of `base_arms`, and `reference` if there is a reference model.
        rundir: the run directory, for the names of the files.
        config: of the run.
    """
    correlation = config.heldout.intraclass_correlation
    base = content_rate(items[BASE], correlation)
    artifact = rundir.relative(rundir.base_answers(BASE))
    noise = noise_floor(items[BASE], items[BASE_REPARTITIONED])
    rates = {name: content_rate(items[name], correlation) for name in RIVALS if name != BASE}
    rivals = ", ".join(f"{name} {_rate_text(rate)}" for name, rate in rates.items())
    note = f"{rivals}; base against base in other batches differs on {noise.value:.3f}"
    value = MetricValue(base.value, base.interval, base.n, artifact)
    return {
        "base_formatted_content": value._replace(note=note),
        "base_formatted_content_upper": value,
        "base_formatted_content_limit": value,
        "reference_content": _reference_value(items.get(REFERENCE), rundir, config),
    }


def _reference_value(items: Sequence[EvaluationItem] | None, rundir: RunDir, config: RunConfig) -> MetricValue:
    """Return the metric of the reference model: not applicable without one, or where it is only reported."""
    if items is None:
        return MetricValue(math.nan, note="headroom.reference names no model", applicable=False)
    content = content_rate(items, config.heldout.intraclass_correlation)
    value = MetricValue(content.value, content.interval, content.n, rundir.relative(rundir.base_answers(REFERENCE)))
    if config.headroom.reference_required:
        return value._replace(note=config.headroom.reference)
    note = f"{config.headroom.reference} {_rate_text(content)}, only reported (headroom.reference_required = false)"
    return value._replace(note=note, applicable=False)


def _rate_text(value: Rate) -> str:
    return f"{value.value:.3f} [{value.interval.low:.3f}, {value.interval.high:.3f}]"


def base_answers(run: Run) -> dict[str, ArmResult]:
    """Generate the answers of the base model to the test set, or reuse complete ones; returned by arm."""
    heldout = read_jsonl(run.rundir.heldout, HeldoutItem)
    return {
        arm.name: evaluate_arm(run.base, arm, heldout, run, run.rundir.base_arm_dir(arm.name))
        for arm in base_arms(run.config)
    }
