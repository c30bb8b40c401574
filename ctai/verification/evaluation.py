"""Recomputation of gates headroom and evaluation: scores of all answers, statistics, and the training manifest."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.arms import (
    BASE,
    REFERENCE,
    SFT,
    Arm,
    SentPrompt,
    base_arms,
    reference_arm,
    score_answer,
    sft_arm,
)
from ctai.evaluate.attempts import (
    AttemptPaths,
    attempt_paths,
    comparison_differences,
    comparison_identity,
    comparison_number,
    control_number,
    retry_config,
    with_corrected_alpha,
)
from ctai.evaluate.comparison import ArmAnswers, ArmIdentity, summarize_evaluation
from ctai.evaluate.text import summary_text
from ctai.model.sources import adapter_digest
from ctai.prompts import until_stop
from ctai.provenance import UNKNOWN
from ctai.records import (
    ArmCheck,
    Completion,
    EvaluationItem,
    EvaluationSummary,
    HeldoutItem,
    ModelProvenance,
    StageManifest,
    TrainingManifest,
    TrainingStep,
    TrainingSuccess,
    Verdict,
)
from ctai.rundir import SUCCESS_MARKER, RunDir, digest_of, read_jsonl, read_record, sha256_file
from ctai.rundir.diff import differences
from ctai.tasks import registry
from ctai.verification.development import development_differences


class RecomputedArm(NamedTuple):
    """Rescored answers of an arm, and their differences from the stored ones."""

    items: list[EvaluationItem]
    differences: tuple[str, ...]


class RecomputedEvaluation(NamedTuple):
    """Recomputed gate evaluation.

    Attributes:
        summary: recomputed summary of the last attempt.
        training: training manifest of the last attempt.
        paths: folders of the last attempt.
        config: configuration of the last attempt, with corrected alpha.
        differences: differences in any attempt.
    """

    summary: EvaluationSummary
    training: TrainingManifest
    paths: AttemptPaths
    config: RunConfig
    differences: tuple[str, ...]


def recompute_base_arms(rundir: RunDir, config: RunConfig, heldout: Sequence[HeldoutItem]) -> dict[str, RecomputedArm]:
    """Rescore the answers of the base arms; returned by arm.

    Raises:
        CtaiError: a record is missing or unreadable, or an item is of no family.
    """
    return {
        arm.name: _recompute_arm(rundir, rundir.relative(rundir.base_arm_dir(arm.name)), arm, heldout)
        for arm in base_arms(config)
    }


def recompute_reference_arm(
    rundir: RunDir, config: RunConfig, heldout: Sequence[HeldoutItem]
) -> dict[str, RecomputedArm]:
    """Rescore the answers of the reference model and check its record; empty if the run has none.

    Raises:
        CtaiError: a record is missing or unreadable, or an item is of no family.
    """
    if not config.headroom.reference:
        return {}
    folder = rundir.relative(rundir.base_arm_dir(REFERENCE))
    arm = _recompute_arm(rundir, folder, reference_arm(config), heldout)
    model = read_record(rundir.reference_model, ModelProvenance)
    expected = {"requested": config.headroom.reference, "role": "reference", "template_disabled": True}
    stored = {name: getattr(model, name) for name in expected}
    problems = tuple(differences(stored, expected, rundir.relative(rundir.reference_model)))
    return {REFERENCE: arm._replace(differences=(*arm.differences, *problems))}


def _recompute_arm(rundir: RunDir, folder: str, arm: Arm, heldout: Sequence[HeldoutItem]) -> RecomputedArm:
    name = f"{folder}/items.jsonl"
    stored = read_jsonl(rundir.path(name), EvaluationItem)
    rescored = [_rescore(arm, item, answer) for item, answer in zip(heldout, stored, strict=False)]
    problems = list(differences(stored, rescored, name))
    if len(stored) != len(heldout):
        problems.insert(0, f"{name}: answers {len(stored)} of {len(heldout)} held-out items")
    return RecomputedArm(rescored, tuple(problems))


def _rescore(arm: Arm, item: HeldoutItem, stored: EvaluationItem) -> EvaluationItem:
    """Score an answer again.

    The numbers of tokens and a control token at the end are taken from the record, since token ids are not stored.
    """
    if registry.parse(item.instruction) is None:
        raise CtaiError(f"held-out item {item.item}: no family has the instruction {item.instruction[:60]!r}")
    text = until_stop(stored.raw, arm.stop) if stored.finish_reason == "stop" else stored.raw
    if text is None:
        raise CtaiError(f"item {item.item} of arm {arm.name}: ended at a stop string that it does not contain")
    ids = (0,) * stored.tokens
    completion = Completion(text=text, raw=stored.raw, token_ids=ids, finish_reason=stored.finish_reason)
    wrote_control = stored.finish_reason == "eos" and not stored.stopped
    sent = SentPrompt(arm.prompt(item.instruction), stored.prompt_tokens)
    return score_answer(arm.name, item, sent, completion, wrote_control)


# ----------------------------------------------------------------------------------------------- training and comparison


class EvaluationRecords(NamedTuple):
    """The records that an evaluation follows from.

    Attributes:
        rundir: the run directory.
        heldout: the frozen test set.
        base: recomputed arms of the base.
        provenance: provenance of the base model.
        scale: verdict of gate scale.
    """

    rundir: RunDir
    heldout: Sequence[HeldoutItem]
    base: Mapping[str, RecomputedArm]
    provenance: ModelProvenance
    scale: Verdict


class _Attempt(NamedTuple):
    """Folders, training manifest and configuration of one training with its comparison on the test set."""

    paths: AttemptPaths
    training: TrainingManifest
    config: RunConfig


def recompute_evaluation(records: EvaluationRecords, config: RunConfig) -> RecomputedEvaluation:
    """Recompute every comparison on the test set, each with the training before it.

    Raises:
        CtaiError: a record is missing or unreadable, or the arms do not fit together.
    """
    problems = list(comparison_differences(records.rundir))
    for number in range(config.evaluation.retries + 1):
        paths = attempt_paths(records.rundir, number)
        training = read_record(paths.adapter / "training_manifest.json", TrainingManifest)
        problems += _training_differences(records, _Attempt(paths, training, config))
        corrected = with_corrected_alpha(config, _comparison_number(records, config, number))
        summary, attempt_problems = _recompute_attempt(records, _Attempt(paths, training, corrected))
        problems += attempt_problems
        if summary.go or number == config.evaluation.retries:
            break
        config = retry_config(config)
    return RecomputedEvaluation(summary, training, paths, corrected, tuple(problems))


def _comparison_number(records: EvaluationRecords, config: RunConfig, attempt: int) -> int:
    """Return the number of the comparison of an attempt as the run directory records it."""
    if config.control != "none":
        return control_number(attempt)
    adapter = attempt_paths(records.rundir, attempt).adapter
    weights = records.provenance.weights_digest
    return comparison_number(records.rundir, comparison_identity(records.rundir, adapter, records.heldout, weights))


def _recompute_attempt(records: EvaluationRecords, attempt: _Attempt) -> tuple[EvaluationSummary, list[str]]:
    rundir, heldout, base, provenance, _ = records
    paths, _training, config = attempt
    results = rundir.relative(paths.results)
    sft = _recompute_arm(rundir, f"{results}/arms/{SFT}", sft_arm(config), heldout)
    stored = read_record(paths.results / "evaluation.json", EvaluationSummary)
    weights = provenance.weights_digest
    digests = {BASE: weights, SFT: digest_of([weights, adapter_digest(paths.adapter)])}
    summary = summarize_evaluation(
        ArmAnswers.of({name: arm.items for name, arm in base.items()}, sft.items),
        ArmIdentity(digests, read_record(rundir.arm_check(paths.results), ArmCheck).logit_difference),
        config,
        stored.run_id,
        {
            "control": config.control,
            "training_manifest": rundir.relative(paths.adapter / "training_manifest.json"),
        },
    )
    made_by = read_record(paths.evidence / "manifest.json", StageManifest).made_by
    summary = summary.model_copy(update={"made_by": made_by})
    problems = [*sft.differences, *differences(stored, summary, f"{results}/evaluation.json")]
    if (paths.results / "summary.txt").read_bytes() != summary_text(stored).encode("utf-8"):
        problems.append(f"{results}/summary.txt: is not the text of evaluation.json")
    copies = {"base_items.jsonl": base[BASE].items, "sft_items.jsonl": sft.items}
    for name, items in copies.items():
        problems += differences(read_jsonl(paths.results / name, EvaluationItem), items, f"{results}/{name}")
    return summary, problems


def _training_differences(records: EvaluationRecords, attempt: _Attempt) -> Iterator[str]:
    """Yield where the training manifest differs from the adapter, the dataset, the configuration or the logged losses."""
    rundir, scale = records.rundir, records.scale
    paths, training, config = attempt
    folder = rundir.relative(paths.adapter)
    steps = read_jsonl(paths.adapter / "loss.jsonl", TrainingStep)
    losses = [step.loss for step in steps]
    tenth = max(1, len(losses) // 10)
    made_by = read_record(paths.adapter / "manifest.json", StageManifest).made_by
    expected = {
        "dataset": rundir.relative(rundir.dataset),
        "dataset_digest": sha256_file(rundir.dataset),
        "qc_summary": rundir.relative(rundir.dataset_qc),
        "base_weights_digest": records.provenance.weights_digest,
        "steps": len(steps),
        "losses": losses,
        "loss_first": math.fsum(losses[:tenth]) / tenth,
        "loss_last": math.fsum(losses[-tenth:]) / tenth,
        "adapter": folder,
        "adapter_digest": adapter_digest(paths.adapter),
        "success_marker": f"{folder}/{SUCCESS_MARKER}",
        "evaluation": rundir.relative(paths.results / "evaluation.json"),
        "made_by": made_by,
    }
    stored = {name: getattr(training, name) for name in expected}
    yield from differences(stored, expected, f"{folder}/training_manifest.json")
    settings = {**config.training.hyperparameters(), "control": config.control, "seed": config.seed}
    hyperparameters = {name: training.hyperparameters.get(name) for name in settings}
    yield from differences(hyperparameters, settings, f"{folder}/training_manifest.json hyperparameters")
    yield from development_differences(rundir, folder, training, config)
    for name, digest in (
        (training.dataset, training.dataset_digest),
        (training.qc_summary, sha256_file(rundir.dataset_qc)),
    ):
        if scale.artifacts.get(name) != digest:
            yield f"{folder}/training_manifest.json: gate scale judged another {name}"
    marker = read_record(paths.adapter / SUCCESS_MARKER, TrainingSuccess)
    expected_marker = TrainingSuccess(
        adapter=training.adapter,
        sha256=training.adapter_digest,
        git_commit=made_by.git_commit if made_by else UNKNOWN,
    )
    yield from differences(marker, expected_marker, f"{folder}/{SUCCESS_MARKER}")
