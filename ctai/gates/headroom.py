"""Gate headroom: answers of the base model to the test set before anything is generated or trained."""

from collections.abc import Mapping, Sequence

from ctai.config import MetricValue
from ctai.evaluate.arms import (
    BASE,
    BASE_FEW_SHOT,
    BASE_REPARTITIONED,
    ArmResult,
    base_arms,
    evaluate_arm,
)
from ctai.evaluate.comparison import noise_floor
from ctai.evidence.result import GateResult
from ctai.evidence.review import ReviewContext, right_answer_samples
from ctai.pipeline.run import Run
from ctai.records import EvaluationItem, HeldoutItem, Rate
from ctai.rundir import read_jsonl
from ctai.statistics import rate


def measure_headroom(run: Run) -> GateResult:
    """Evaluate the base arms: zero-shot, with few-shot examples, and zero-shot in other batches for the noise floor."""
    with run.phase("headroom", items=run.config.heldout.count) as phase:
        answers = base_answers(run)
        items = {name: arm.items for name, arm in answers.items()}
        paths = [run.rundir.base_answers(name) for name in answers]
        result = run.judge_values(
            "headroom", headroom_values(items, run.rundir.relative(run.rundir.base_answers(BASE))), paths
        )
        run.review_contexts["headroom"] = ReviewContext(samples=right_answer_samples(items[BASE]))
        return run.finish_gate(result, reused=all(arm.reused for arm in answers.values()), phase=phase)


def headroom_values(items: Mapping[str, Sequence[EvaluationItem]], artifact: str) -> dict[str, MetricValue]:
    """Compute the metrics of the gate from the answers of the base, by arm."""
    base, few_shot = (_content(items[arm]) for arm in (BASE, BASE_FEW_SHOT))
    noise = noise_floor(items[BASE], items[BASE_REPARTITIONED])
    note = f"few-shot {few_shot.value:.3f}; base against base in other batches differs on {noise.value:.3f}"
    return {"base_zero_shot_content": MetricValue(base.value, base.interval, base.n, artifact, note)}


def _content(items: Sequence[EvaluationItem]) -> Rate:
    return rate(sum(item.content for item in items), len(items))


def base_answers(run: Run) -> dict[str, ArmResult]:
    """Generate the answers of the base model to the test set, or reuse complete ones; returned by arm."""
    heldout = read_jsonl(run.rundir.heldout, HeldoutItem)
    return {
        arm.name: evaluate_arm(run.base, arm, heldout, run, run.rundir.base_arm_dir(arm.name))
        for arm in base_arms(run.config)
    }
