"""Small finished run directory, written with the real records, for tests of its readers; its texts can be hostile."""

from collections.abc import Callable
from pathlib import Path

from ctai.config import QcThresholds, RunConfig
from ctai.evaluate.comparison import ArmAnswers, ArmIdentity, summarize_evaluation
from ctai.evaluate.text import write_evaluation
from ctai.evidence.preregistration import preregister
from ctai.evidence.result import GateResult
from ctai.evidence.verdicts import record_verdict
from ctai.provenance import DeviceInfo, Session, collect_environment
from ctai.qc.summary import MinimumCount, QcInput, SummaryHeader, summarize
from ctai.records import (
    BudgetEntry,
    BudgetLedger,
    ContaminationReport,
    CriticCalibration,
    DetectorCalibration,
    DetectorRates,
    DetectorSample,
    DevEvaluation,
    EvaluationItem,
    Example,
    FamilyAgreement,
    HeldoutItem,
    Interval,
    Metric,
    PilotAttempt,
    PilotHistory,
    PromptFormatRates,
    Rejection,
    ScorerCalibration,
    SentinelReport,
    SentinelResult,
    TrainingManifest,
    TrainingStep,
)
from ctai.registry import GATES, GateSpec
from ctai.rundir import RunDir, sha256_file, write_json, write_jsonl, write_text
from ctai.statistics import rate
from tests.support.generated import critique, example, generated, provenance, round_of

TextMap = Callable[[str], str]

CONFIG = RunConfig()
ITEMS = 20
LOSS = "checkpoints/stage1_sft/loss.jsonl"
DEV_LOSSES = tuple(DevEvaluation(step=step, epoch=step / 10, loss=6.0 / step) for step in (10, 20, 30))


def finished_run(root: Path, transform: TextMap = str, *, failed: str = "", price: float = 0.0) -> RunDir:
    """Write a run in which all gates passed, or in which the named gate missed its first threshold.

    Args:
        root: run directory.
        transform: function applied to every text of a model.
        failed: name of a gate.
        price: US dollars an hour.
    """
    rundir = RunDir.open(root)
    session = Session(rundir, CONFIG, collect_environment(DeviceInfo("cpu")), "run")
    write_json(rundir.path("evidence", "preregistration.json"), preregister(CONFIG))
    entry = BudgetEntry(stage="scale shard 0", seconds=7200.0, steps=16)
    ledger = BudgetLedger(
        cost_per_hour_usd=price, budget_usd=300.0, hours=2.0, cost_usd=2 * price, entries=(entry,)
    )  # fmt: skip
    write_json(rundir.logs / "budget_ledger.json", ledger)
    for gate in GATES:
        with session.phase(gate.name, {"gate": gate.name}):
            files = _MAKERS[gate.name](rundir, transform)
        _judge(rundir, gate, files, transform, passed=gate.name != failed)
        if gate.name == failed:
            break
    session.note(transform("session ended"))
    return rundir


def _judge(rundir: RunDir, gate: GateSpec, files: list[Path], transform: TextMap, *, passed: bool) -> None:
    artifacts = {rundir.relative(path): sha256_file(path) for path in files}
    metrics = tuple(
        Metric(
            name=name, value=0.01 if passed or name != gate.metric_names[0] else 0.2, comparison="<", threshold=0.05,
            interval=Interval(low=0.0, high=0.03), n=100, artifact=next(iter(artifacts)), note=transform("as measured"),
        )
        for name in gate.metric_names
    )  # fmt: skip
    result = GateResult(gate.name, metrics, artifacts, "weights", (transform("a note"),))
    outcomes = {metric.name: "passed" if metric.passed else "failed" for metric in metrics}
    record_verdict(rundir, CONFIG, result, outcomes)


def _contamination(rundir: RunDir, transform: TextMap) -> list[Path]:
    results = tuple(
        SentinelResult(
            name="capital", kind=kind, prompt=transform("The capital of France is"), response=transform(" Paris."),
            finish_reason="length", passed=passed, value=1.0, detail=transform("as expected"),
        )
        for kind, passed in (("completion", True), ("bare_instruction", True), ("control_token", False))
    )  # fmt: skip
    sentinels = SentinelReport(
        completion_rate=rate(9, 10), followed_rate=rate(0, 10), followed_and_stopped_rate=rate(0, 10),
        prompt_formats=(PromptFormatRates(form="question page", followed=rate(1, 20), stopped=rate(0, 20)),),
        control_token_mass=1e-7, statistic="", instruct_weights=False, follows_instructions=False, reasons=(),
        results=results,
    )  # fmt: skip
    path = rundir.path("evidence", "contamination", "model_check.json")
    model = provenance(sentinels=sentinels, control_tokens=(transform("<|im_start|>"),), model_id=transform("a model"))
    write_json(path, ContaminationReport(findings=(), provenance=model))
    return [path]


def _instruments(rundir: RunDir, transform: TextMap) -> list[Path]:
    kinds = {"good": rate(47, 50), "wrong fact": rate(2, 50)}
    paths = []
    for kind in ("instructions", "pairs"):
        path = rundir.path("evidence", "instruments", f"critic_{kind}", "calibration.json")
        interval = Interval(low=0.9, high=0.99)
        calibration = CriticCalibration(
            kind=kind, n=100, balanced_accuracy=0.95, balanced_accuracy_interval=interval, auroc=0.97,
            auroc_interval=interval, coverage_mean=0.99, coverage_minimum=0.9, label_bias=0.5,
            order_agreement=rate(98, 100), swapped_balanced_accuracy=0.9, swapped_balanced_accuracy_interval=interval,
            swapped_label_bias=0.5, acceptance=kinds,
        )  # fmt: skip
        write_json(path, calibration)
        paths.append(path)
    paths += _labelled(rundir, transform)
    items = [
        HeldoutItem(item=i, family="capital", type="fact", key=str(i), instruction=transform(f"Capital {i}?"))
        for i in range(ITEMS)
    ]
    write_jsonl(rundir.heldout, items)
    return [rundir.heldout, *paths]


def _labelled(rundir: RunDir, transform: TextMap) -> list[Path]:
    """Write the calibrations of answer scorers and fault detectors."""
    folder, interval = rundir.path("evidence", "instruments"), Interval(low=0.9, high=1.0)
    family = FamilyAgreement(n=10, kappa=0.8, disagreements=(transform("about Paris"),))
    scorers = ScorerCalibration(
        labels_sha256="l", n=40, kappa=0.95, kappa_interval=interval, strict_kappa=0.9, strict_kappa_interval=interval,
        agreement=rate(39, 40), false_passes=rate(1, 20), false_failures=rate(0, 20), by_family={"capital": family},
        by_kind={"hedge": rate(9, 10)},
    )  # fmt: skip
    detector = DetectorRates(precision=rate(19, 20), recall=rate(18, 20))
    sample = DetectorSample(n=60, clean=40, detectors={"runaway": detector})
    detectors = DetectorCalibration(labels_sha256="l", overall=sample, by_origin={"a": sample})
    paths = [folder / name / "calibration.json" for name in ("scorers", "detectors")]
    for path, record in zip(paths, (scorers, detectors), strict=True):
        write_json(path, record)
    return paths


def _pilot(rundir: RunDir, transform: TextMap) -> list[Path]:
    history = rundir.path("evidence", "pilot_history.json")
    attempt = PilotAttempt(folder="artifacts/pilot", generation={}, passed=True, reasons=())
    write_json(history, PilotHistory(attempts=(attempt,)))
    return [*_shard(rundir, rundir.pilot_dir, 0, transform), history]


def _shard(rundir: RunDir, folder: Path, shard: int, transform: TextMap) -> list[Path]:
    """Write a shard: 30 lines, 27 parsed, 24 new, 20 accepted and answered, 19 of valid format, 17 accepted, 16 kept."""
    examples = [_transformed(example(i, shard=shard), transform) for i in range(16)]
    rejections = [
        *(_rejection("dedup", "exact", transform, shard, duplicate_of="Name thing 0.") for _ in range(2)),
        _rejection("decontaminate", "heldout key", transform, shard, duplicate_of="Capital 1?"),
        *(_rejection("instruction", "judged bad", transform, shard) for _ in range(4)),
        _rejection("response", "truncated", transform, shard),
        *(_rejection("pair", "judged bad", transform, shard) for _ in range(2)),
        _rejection("pair", "beyond the target", transform, shard),
    ]
    record = round_of(
        [generated(i, tokens=i % 5 + 1) for i in range(20)],
        [critique(2.0)] * 20 + [critique(-3.0)] * 4, [critique(2.5)] * 17 + [critique(-2.0)] * 2, shard,
    )  # fmt: skip
    record = record.model_copy(update={"list_lines": 30, "parsed": 27})
    write_jsonl(folder / "dataset.jsonl", examples)
    write_jsonl(folder / "rejections.jsonl", rejections)
    write_jsonl(folder / "generation.jsonl", [record])
    qc_input, minimum = QcInput(examples, rejections, [record], 0), MinimumCount("kept_examples", 16)
    summary = summarize(SummaryHeader("pilot", "run", {}), qc_input, minimum, QcThresholds())
    write_json(folder / "qc_summary.json", summary)
    return [folder / name for name in ("qc_summary.json", "dataset.jsonl", "rejections.jsonl", "generation.jsonl")]


def _transformed(original: Example, transform: TextMap) -> Example:
    texts = {name: transform(getattr(original, name)) for name in ("instruction", "response", "prompt", "completion")}
    return original.model_copy(update=texts)


def _rejection(phase: str, reason: str, transform: TextMap, shard: int, duplicate_of: str = "") -> Rejection:
    values = {"phase": phase, "reason": transform(reason) if phase == "response" else reason, "shard": shard, "item": 0}
    texts = {
        "instruction": transform("Name a thing."),
        "completion": transform(" a thing"),
        "duplicate_of": transform(duplicate_of),
    }
    return Rejection.model_validate({**values, **texts})


def _scale(rundir: RunDir, transform: TextMap) -> list[Path]:
    files = [path for shard in range(2) for path in _shard(rundir, rundir.shard_dir(shard), shard, transform)]
    dropped = [_rejection("dedup", "near", transform, 1, duplicate_of="Name thing 0.") for _ in range(3)]
    examples = [_transformed(example(i), transform) for i in range(29)]
    write_jsonl(rundir.path("data", "removed.jsonl"), dropped)
    write_jsonl(rundir.dataset, examples)
    qc_input, minimum = QcInput(examples, dropped, [round_of()], 0), MinimumCount("unique_examples", 29)
    summary = summarize(SummaryHeader("merged", "run", {}), qc_input, minimum, QcThresholds())
    write_json(rundir.path("data", "qc_summary.json"), summary)
    return [rundir.path("data", "qc_summary.json"), rundir.dataset, *files]


def answers(arm: str, right: range, transform: TextMap, *, stops: bool) -> list[EvaluationItem]:
    """Return the answers of an arm that is correct on some items and always or never stops by itself."""
    return [
        EvaluationItem(
            arm=arm, item=i, family="capital", type="fact" if i % 2 else "word", split="asked",
            instruction=f"Capital {i}?", prompt=f"Capital {i}?", response=transform("Paris"), raw=transform(f" {arm} says {i}"),
            finish_reason="eos" if stops else "length", content=i in right, strict=i in right and stops, stopped=stops,
            failure_reason="" if i in right and stops else transform("wrong answer"), tokens=2,
            prompt_tokens=3,
        )
        for i in range(ITEMS)
    ]  # fmt: skip


def _headroom(rundir: RunDir, transform: TextMap) -> list[Path]:
    rivals = {"base_raw": range(3), "base": range(8), "base_few_shot": range(15), "base_restyled": range(12)}
    arms = {**rivals, "base_repartitioned": range(8)}
    paths = [rundir.path("results", "headroom", arm, "items.jsonl") for arm in arms]
    for path, (arm, right) in zip(paths, arms.items(), strict=True):
        write_jsonl(path, answers(arm, right, transform, stops=False))
    return paths


def _evaluation(rundir: RunDir, transform: TextMap) -> list[Path]:
    """Write an evaluation: both correct on 7 items, only the base on 1, only SFT on 10, neither on 2."""
    base, sft = answers("base", range(8), transform, stops=False), answers("sft", range(1, 18), transform, stops=True)
    few_shot = answers("base_few_shot", range(15), transform, stops=False)
    arms = ArmAnswers(base, sft, {"base_few_shot": few_shot}, base)
    identity = ArmIdentity({"base": "a" * 64, "sft": "b" * 64}, 3.0)
    summary = summarize_evaluation(arms, identity, CONFIG, "run", {"control": "none"})
    paths = write_evaluation(base, sft, summary, rundir.results_dir)
    steps = [TrainingStep(step=i, epoch=i / 10, learning_rate=1e-3, loss=5.0 / (i + 1)) for i in range(30)]
    write_jsonl(rundir.path(*LOSS.split("/")), steps)
    write_jsonl(rundir.adapter_dir / "dev_loss.jsonl", DEV_LOSSES)
    manifest = rundir.adapter_dir / "training_manifest.json"
    write_json(manifest, _training(steps))
    write_text(rundir.adapter_dir / "adapter_config.json", "{}")
    return [paths[2], manifest, paths[0], paths[1]]


def _training(steps: list[TrainingStep]) -> TrainingManifest:
    return TrainingManifest(
        dataset="data/stage1_sft_data.jsonl", dataset_digest="d", qc_summary="data/qc_summary.json",
        base_weights_digest="w", hyperparameters={"rank": 16}, examples=29,
        supervised_tokens=60, planned_steps=len(steps), steps=len(steps), epochs=3.0, loss_first=5.0, loss_last=0.2,
        losses=tuple(step.loss for step in steps), dev_examples=16, dev_note="",
        dev_losses=tuple(evaluation.loss for evaluation in DEV_LOSSES), stopped_early=False, kept_step=30, checkpoints=(),
        adapter="checkpoints/stage1_sft",
        adapter_digest="a", success_marker="checkpoints/stage1_sft/TRAINING_SUCCESS",
        evaluation="results/sft_eval/evaluation.json", run_id="run",
    )  # fmt: skip


_MAKERS: dict[str, Callable[[RunDir, TextMap], list[Path]]] = {
    "contamination": _contamination,
    "instruments": _instruments,
    "pilot": _pilot,
    "scale": _scale,
    "headroom": _headroom,
    "evaluation": _evaluation,
}
