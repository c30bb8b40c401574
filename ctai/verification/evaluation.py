"""Gate 4 again: every answer judged again by its family's checker, the statistics, and what training says of itself."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.arms import (
    BASE,
    BASE_FEW_SHOT,
    BASE_REPARTITIONED,
    CONTROL_TOKEN,
    SFT,
    Arm,
    base_arms,
    score_answer,
    sft_arm,
)
from ctai.evaluate.attempts import AttemptPaths, attempt_paths, comparison_number, retry_config, with_corrected_alpha
from ctai.evaluate.comparison import ArmAnswers, ArmIdentity, summarize_evaluation, summary_text
from ctai.model.sources import adapter_digest
from ctai.prompts import until_stop
from ctai.records import (
    Completion,
    EvaluationItem,
    EvaluationSummary,
    HeldoutItem,
    ModelProvenance,
    Record,
    TrainingManifest,
    TrainingStep,
    Verdict,
)
from ctai.rundir import RunDir, digest_of, read_jsonl, read_record, sha256_file
from ctai.rundir.diff import differences
from ctai.tasks import registry


class RecomputedArm(NamedTuple):
    """An arm's answers judged again, and what differed."""

    items: list[EvaluationItem]
    differences: tuple[str, ...]


class RecomputedEvaluation(NamedTuple):
    """The look that counts, with the configuration it was made with, and what differed in any look."""

    summary: EvaluationSummary
    training: TrainingManifest
    paths: AttemptPaths
    config: RunConfig
    differences: tuple[str, ...]


class _Marker(Record):
    """What the success marker of a training says."""

    adapter: str
    sha256: str


def recompute_base_arms(rundir: RunDir, config: RunConfig, heldout: Sequence[HeldoutItem]) -> dict[str, RecomputedArm]:
    """The answers of the base, by arm.

    Raises:
        CtaiError: a record is missing or unreadable, or an item is of no family.
    """
    return {arm.name: _recompute_arm(rundir, f"results/headroom/{arm.name}", arm, heldout) for arm in base_arms(config)}


def _recompute_arm(rundir: RunDir, folder: str, arm: Arm, heldout: Sequence[HeldoutItem]) -> RecomputedArm:
    name = f"{folder}/items.jsonl"
    stored = read_jsonl(rundir.path(name), EvaluationItem)
    again = [_rescore(arm, item, one) for item, one in zip(heldout, stored, strict=False)]
    found = list(differences(stored, again, name))
    if len(stored) != len(heldout):
        found.insert(0, f"{name}: answers {len(stored)} of {len(heldout)} held-out items")
    return RecomputedArm(again, tuple(found))


def _rescore(arm: Arm, item: HeldoutItem, stored: EvaluationItem) -> EvaluationItem:
    """An answer judged again. That it ended with a control token is taken from the record: token ids are not kept."""
    if registry.parse(item.instruction) is None:
        raise CtaiError(f"held-out item {item.item}: no family asks {item.instruction[:60]!r}")
    text = until_stop(stored.raw, arm.stop) if stored.finish_reason == "stop" else stored.raw
    if text is None:
        raise CtaiError(f"item {item.item} of arm {arm.name}: ended at a stop string that is not in it")
    ids = (0,) * stored.tokens
    completion = Completion(text=text, raw=stored.raw, token_ids=ids, finish_reason=stored.finish_reason)
    wrote_control = stored.failure_reason == CONTROL_TOKEN
    return score_answer(arm.name, item, arm.prompt(item.instruction), completion, wrote_control)


# ----------------------------------------------------------------------------------------------- training and looks


class EvaluationRecords(NamedTuple):
    """The records that an evaluation follows from.

    Attributes:
        rundir: the run directory.
        heldout: the frozen test set.
        base: the recomputed arms of the base.
        provenance: of the base model.
        scale: the verdict of the scale gate.
    """

    rundir: RunDir
    heldout: Sequence[HeldoutItem]
    base: Mapping[str, RecomputedArm]
    provenance: ModelProvenance
    scale: Verdict


class _Attempt(NamedTuple):
    """One training and its comparison on the test set, with the configuration it was made with."""

    paths: AttemptPaths
    training: TrainingManifest
    config: RunConfig


def recompute_evaluation(records: EvaluationRecords, config: RunConfig) -> RecomputedEvaluation:
    """Recompute every comparison on the test set, each with the training before it.

    Raises:
        CtaiError: a record is missing or unreadable, or the arms do not fit together.
    """
    found: list[str] = []
    for number in range(config.evaluation.retries + 1):
        paths = attempt_paths(records.rundir, number)
        training = read_record(paths.adapter / "training_manifest.json", TrainingManifest)
        found += _training_differences(records, _Attempt(paths, training, config))
        judged = with_corrected_alpha(config, comparison_number(records.rundir, training.adapter_digest))
        summary, differing = _recompute_attempt(records, _Attempt(paths, training, judged))
        found += differing
        if summary.go or number == config.evaluation.retries:
            break
        config = retry_config(config)
    return RecomputedEvaluation(summary, training, paths, judged, tuple(found))


def _recompute_attempt(records: EvaluationRecords, attempt: _Attempt) -> tuple[EvaluationSummary, list[str]]:
    rundir, heldout, base, provenance, _ = records
    paths, _training, config = attempt
    results = rundir.relative(paths.results)
    sft = _recompute_arm(rundir, f"{results}/arms/{SFT}", sft_arm(config), heldout)
    stored = read_record(paths.results / "evaluation.json", EvaluationSummary)
    weights = provenance.weights_digest
    digests = {BASE: weights, SFT: digest_of([weights, adapter_digest(paths.adapter)])}
    summary = summarize_evaluation(
        ArmAnswers(
            base[BASE].items,
            sft.items,
            {BASE_FEW_SHOT: base[BASE_FEW_SHOT].items},
            base[BASE_REPARTITIONED].items,
        ),
        ArmIdentity(digests, stored.logit_difference),
        config,
        stored.run_id,
        {
            "control": config.control,
            "training_manifest": rundir.relative(paths.adapter / "training_manifest.json"),
        },
    )
    found = [*sft.differences, *differences(stored, summary, f"{results}/evaluation.json")]
    if (paths.results / "summary.txt").read_bytes() != summary_text(stored).encode("utf-8"):
        found.append(f"{results}/summary.txt: is not the text of evaluation.json")
    copies = {"base_items.jsonl": base[BASE].items, "sft_items.jsonl": sft.items}
    for name, items in copies.items():
        found += differences(read_jsonl(paths.results / name, EvaluationItem), items, f"{results}/{name}")
    return summary, found


def _training_differences(records: EvaluationRecords, attempt: _Attempt) -> Iterator[str]:
    """Where the training manifest disagrees with the adapter, the dataset, the configuration or its own losses."""
    rundir, scale = records.rundir, records.scale
    paths, training, config = attempt
    folder = rundir.relative(paths.adapter)
    steps = read_jsonl(paths.adapter / "loss.jsonl", TrainingStep)
    losses = [step.loss for step in steps]
    tenth = max(1, len(losses) // 10)
    expected = {
        "dataset": rundir.relative(rundir.dataset),
        "dataset_digest": sha256_file(rundir.dataset),
        "qc_summary": "data/qc_summary.json",
        "qc_summary_digest": sha256_file(rundir.path("data", "qc_summary.json")),
        "scale_verdict": digest_of(scale),
        "base_weights_digest": records.provenance.weights_digest,
        "steps": len(steps),
        "losses": losses,
        "loss_first": math.fsum(losses[:tenth]) / tenth,
        "loss_last": math.fsum(losses[-tenth:]) / tenth,
        "adapter": folder,
        "adapter_digest": adapter_digest(paths.adapter),
        "success_marker": f"{folder}/TRAINING_SUCCESS",
    }
    said = {name: getattr(training, name) for name in expected}
    yield from differences(said, expected, f"{folder}/training_manifest.json")
    asked = {**config.training.model_dump(mode="json"), "control": config.control, "seed": config.seed}
    used = {name: training.hyperparameters.get(name) for name in asked}
    yield from differences(used, asked, f"{folder}/training_manifest.json hyperparameters")
    for name, digest in (
        (training.dataset, training.dataset_digest),
        (training.qc_summary, training.qc_summary_digest),
    ):
        if scale.artifacts.get(name) != digest:
            yield f"{folder}/training_manifest.json: gate scale judged another {name}"
    marker = read_record(paths.adapter / "TRAINING_SUCCESS", _Marker)
    right = _Marker(adapter=training.adapter, sha256=training.adapter_digest)
    yield from differences(marker, right, f"{folder}/TRAINING_SUCCESS")
