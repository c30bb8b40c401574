"""Gate headroom: what the base model can do before anything is generated or trained."""

from collections.abc import Sequence
from pathlib import Path

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
from ctai.pipeline.run import Run
from ctai.records import EvaluationItem, HeldoutItem, Metric, Rate
from ctai.rundir import read_jsonl
from ctai.statistics import rate


def measure_headroom(run: Run) -> GateResult:
    """The base zero-shot, with few-shot examples, and once more in other batches: what training has to beat."""
    with run.phase("headroom", items=run.config.heldout.count) as phase:
        answers = base_answers(run)
        base, few_shot = (_content(answers[name].items) for name in (BASE, BASE_FEW_SHOT))
        noise = noise_floor(answers[BASE].items, answers[BASE_REPARTITIONED].items)
        paths = [_base_folder(run, name) / "items.jsonl" for name in answers]
        metric = Metric(
            name="base_zero_shot_content",
            value=base.value,
            comparison="<=",
            threshold=run.config.evaluation.headroom_max_base,
            interval=base.interval,
            n=base.n,
            artifact=run.rundir.relative(paths[0]),
            note=f"few-shot {few_shot.value:.3f}; base against base in other batches differs on {noise.value:.3f}",
        )
        measured = run.judged("headroom", (metric,), paths)
        return run.finish_gate(measured, reused=all(found.reused for found in answers.values()), phase=phase)


def _content(items: Sequence[EvaluationItem]) -> Rate:
    return rate(sum(item.content for item in items), len(items))


def base_answers(run: Run) -> dict[str, ArmResult]:
    """Answers of the base model, by arm."""
    heldout = read_jsonl(run.rundir.heldout, HeldoutItem)
    return {
        arm.name: evaluate_arm(run.base, arm, heldout, run, _base_folder(run, arm.name))
        for arm in base_arms(run.config)
    }


def _base_folder(run: Run, arm: str) -> Path:
    return run.rundir.path("results", "headroom", arm)
