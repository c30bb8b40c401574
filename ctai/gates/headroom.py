"""Gate headroom: answers of the base model to the test set before anything is generated or trained.

A reference instruct model, if one is named, answers as well: it shows that the items can be answered at all.
"""

import math
from collections.abc import Mapping, Sequence

from ctai.config import MetricValue, ModelSettings, RunConfig
from ctai.evaluate.arms import (
    BASE,
    BASE_REPARTITIONED,
    REFERENCE,
    ArmResult,
    base_arms,
    content_rate,
    evaluate_arm,
    reference_arm,
)
from ctai.evaluate.comparison import noise_floor
from ctai.evidence.result import GateResult
from ctai.evidence.review import ReviewContext, right_answer_samples
from ctai.model.lazy import LazyReferenceModel
from ctai.pipeline.run import Run
from ctai.records import EvaluationItem, HeldoutItem, ModelProvenance
from ctai.registry import RIVALS
from ctai.rundir import RunDir, read_jsonl, read_record, write_json


def measure_headroom(run: Run) -> GateResult:
    """Evaluate the base arms: each prompt of the preregistered rivals, and other batches for the noise floor."""
    with run.phase("headroom", items=run.config.heldout.count) as phase:
        arms = base_answers(run)
        reference = reference_answers(run)
        if reference is not None:
            arms = {**arms, REFERENCE: reference}
        items = {name: arm.items for name, arm in arms.items()}
        paths = [run.rundir.base_answers(name) for name in arms]
        paths += [run.rundir.reference_model] if reference is not None else []
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
    rivals = ", ".join(f"{name} {rate.text}" for name, rate in rates.items())
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
    note = f"{config.headroom.reference} {content.text}, only reported (headroom.reference_required = false)"
    return value._replace(note=note, applicable=False)


def base_answers(run: Run) -> dict[str, ArmResult]:
    """Generate the answers of the base model to the test set, or reuse complete ones; returned by arm."""
    heldout = read_jsonl(run.rundir.heldout, HeldoutItem)
    return {
        arm.name: evaluate_arm(run.base, arm, heldout, run, run.rundir.base_arm_dir(arm.name))
        for arm in base_arms(run.config)
    }


def reference_answers(run: Run) -> ArmResult | None:
    """Generate the answers of the reference model to the test set, or reuse complete ones; None if none is named."""
    name = run.config.headroom.reference
    if not name:
        return None
    heldout = read_jsonl(run.rundir.heldout, HeldoutItem)
    run.announce("evaluation", len(heldout), "leave headroom.reference empty")
    settings = run.config.model.model_copy(update={"name": name, "revision": None})
    reference = LazyReferenceModel(settings, run.base, run.progress.say)
    try:
        _identify(run, reference, settings)
        folder = run.rundir.base_arm_dir(REFERENCE)
        return evaluate_arm(reference, reference_arm(run.config), heldout, run, folder)
    finally:
        reference.release()


def _identify(run: Run, reference: LazyReferenceModel, settings: ModelSettings) -> None:
    """Record the provenance of the reference model, or read it where the same files were loaded before."""
    parameters = settings.model_dump(mode="json", include={"name", "quantization", "device", "allow_bos"})
    stage = run.stage("reference-model", run.rundir.reference_stage_dir, parameters, {"files": reference.files_digest})
    if stage.complete() is None:
        stage.begin()
        write_json(run.rundir.reference_model, reference.provenance)
        stage.finish([run.rundir.reference_model], run.run_id)
    reference.mark_known(read_record(run.rundir.reference_model, ModelProvenance))
