"""Gate 4 again: every answer judged again by its family's checker, the statistics, and what training says of itself."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate import BASE, BASE_FEW_SHOT, BASE_REPARTITIONED, CONTROL_TOKEN, SFT, Arm, base_arms, scored, sft_arm
from ctai.evaluate_summary import summarize_evaluation, summary_text
from ctai.gates.looks import Look, charged, look_at, number_of, tuned
from ctai.gates.recompute.compare import differences
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
from ctai.tasks import families


class ArmAgain(NamedTuple):
    """An arm's answers judged again, and what differed."""

    items: list[EvaluationItem]
    differences: tuple[str, ...]


class EvaluationAgain(NamedTuple):
    """The look that counts, with the configuration it was made with, and what differed in any look."""

    summary: EvaluationSummary
    training: TrainingManifest
    look: Look
    config: RunConfig
    differences: tuple[str, ...]


class _Marker(Record):
    """What the success marker of a training says."""

    adapter: str
    sha256: str


def base_again(rundir: RunDir, config: RunConfig, heldout: Sequence[HeldoutItem]) -> dict[str, ArmAgain]:
    """The answers of the base, by arm.

    Raises:
        CtaiError: a record is missing or unreadable, or an item is of no family.
    """
    return {arm.name: _arm_again(rundir, f"results/headroom/{arm.name}", arm, heldout) for arm in base_arms(config)}


def _arm_again(rundir: RunDir, folder: str, arm: Arm, heldout: Sequence[HeldoutItem]) -> ArmAgain:
    name = f"{folder}/items.jsonl"
    stored = read_jsonl(rundir.path(name), EvaluationItem)
    again = [_scored_again(arm, item, one) for item, one in zip(heldout, stored, strict=False)]
    found = list(differences(stored, again, name))
    if len(stored) != len(heldout):
        found.insert(0, f"{name}: answers {len(stored)} of {len(heldout)} held-out items")
    return ArmAgain(again, tuple(found))


def _scored_again(arm: Arm, item: HeldoutItem, stored: EvaluationItem) -> EvaluationItem:
    """An answer judged again. That it ended with a control token is taken from the record: token ids are not kept."""
    if families.parse(item.instruction) is None:
        raise CtaiError(f"held-out item {item.item}: no family asks {item.instruction[:60]!r}")
    text = until_stop(stored.raw, arm.stop) if stored.finish_reason == "stop" else stored.raw
    if text is None:
        raise CtaiError(f"item {item.item} of arm {arm.name}: ended at a stop string that is not in it")
    ids = (0,) * stored.tokens
    completion = Completion(text=text, raw=stored.raw, token_ids=ids, finish_reason=stored.finish_reason)
    wrote_control = stored.failure_reason == CONTROL_TOKEN
    return scored(arm.name, item, arm.prompt(item.instruction), completion, wrote_control)


# ----------------------------------------------------------------------------------------------- training and looks


def evaluation_again(
    rundir: RunDir,
    config: RunConfig,
    heldout: Sequence[HeldoutItem],
    base: Mapping[str, ArmAgain],
    provenance: ModelProvenance,
    scale: Verdict,
) -> EvaluationAgain:
    """Every look at the test set judged again, each with the training before it.

    Raises:
        CtaiError: a record is missing or unreadable, or the arms do not fit together.
    """
    found: list[str] = []
    for attempt in range(config.evaluation.retries + 1):
        look = look_at(rundir, attempt)
        training = read_record(look.adapter / "training_manifest.json", TrainingManifest)
        found += _training_differences(rundir, look, training, config, provenance, scale)
        judged = charged(config, number_of(rundir, training.adapter_digest))
        summary, differing = _look_again(rundir, look, training, judged, heldout, base, provenance)
        found += differing
        if summary.go or attempt == config.evaluation.retries:
            break
        config = tuned(config)
    return EvaluationAgain(summary, training, look, judged, tuple(found))


def _look_again(
    rundir: RunDir,
    look: Look,
    training: TrainingManifest,
    config: RunConfig,
    heldout: Sequence[HeldoutItem],
    base: Mapping[str, ArmAgain],
    provenance: ModelProvenance,
) -> tuple[EvaluationSummary, list[str]]:
    results = rundir.relative(look.results)
    sft = _arm_again(rundir, f"{results}/arms/{SFT}", sft_arm(config), heldout)
    stored = read_record(look.results / "evaluation.json", EvaluationSummary)
    summary = summarize_evaluation(
        base[BASE].items,
        sft.items,
        {BASE_FEW_SHOT: base[BASE_FEW_SHOT].items},
        base[BASE_REPARTITIONED].items,
        config,
        arms={
            BASE: provenance.weights_digest,
            SFT: digest_of([provenance.weights_digest, adapter_digest(look.adapter)]),
        },
        logit_difference=stored.logit_difference,
        run_id=stored.run_id,
        metadata={
            "control": config.control,
            "training_manifest": rundir.relative(look.adapter / "training_manifest.json"),
        },
    )
    found = [*sft.differences, *differences(stored, summary, f"{results}/evaluation.json")]
    if (look.results / "summary.txt").read_bytes() != summary_text(stored).encode("utf-8"):
        found.append(f"{results}/summary.txt: is not the text of evaluation.json")
    copies = {"base_items.jsonl": base[BASE].items, "sft_items.jsonl": sft.items}
    for name, items in copies.items():
        found += differences(read_jsonl(look.results / name, EvaluationItem), items, f"{results}/{name}")
    return summary, found


def _training_differences(
    rundir: RunDir,
    look: Look,
    training: TrainingManifest,
    config: RunConfig,
    provenance: ModelProvenance,
    scale: Verdict,
) -> Iterator[str]:
    """Where the training manifest disagrees with the adapter, the dataset, the configuration or its own losses."""
    folder = rundir.relative(look.adapter)
    steps = read_jsonl(look.adapter / "loss.jsonl", TrainingStep)
    losses = [step.loss for step in steps]
    tenth = max(1, len(losses) // 10)
    expected = {
        "dataset": rundir.relative(rundir.dataset),
        "dataset_digest": sha256_file(rundir.dataset),
        "qc_summary": "data/qc_summary.json",
        "qc_summary_digest": sha256_file(rundir.path("data", "qc_summary.json")),
        "scale_verdict": digest_of(scale),
        "base_weights_digest": provenance.weights_digest,
        "steps": len(steps),
        "losses": losses,
        "loss_first": math.fsum(losses[:tenth]) / tenth,
        "loss_last": math.fsum(losses[-tenth:]) / tenth,
        "adapter": folder,
        "adapter_digest": adapter_digest(look.adapter),
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
    marker = read_record(look.adapter / "TRAINING_SUCCESS", _Marker)
    right = _Marker(adapter=training.adapter, sha256=training.adapter_digest)
    yield from differences(marker, right, f"{folder}/TRAINING_SUCCESS")
