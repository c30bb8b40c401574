"""Gate instruments: the frozen test set, and calibration of scorers, detectors and critic on labelled examples."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ctai.config import MetricValue
from ctai.evaluate.heldout_size import heldout_values
from ctai.evidence.result import GateResult
from ctai.evidence.review import ReviewContext, misjudged_probe_samples
from ctai.generate.critic import InstructionCritic
from ctai.generate.critic_calibration import calibrate, judge_probes
from ctai.pipeline.run import Run
from ctai.qc.calibration import calibrate_detectors
from ctai.records import (
    CriticCalibration,
    DetectorCalibration,
    HeldoutItem,
    ProbeJudgement,
    Rate,
    Record,
    ScorerCalibration,
)
from ctai.rundir import read_jsonl, read_record, write_json, write_jsonl
from ctai.tasks import plugins
from ctai.tasks.calibration import MIN_LABELS, MIN_PER_CLASS, calibrate_scorers
from ctai.tasks.heldout import build_heldout
from ctai.tasks.probes import InstructionProbe, PairProbe, instruction_probes, pair_probes

_CRITIC_METRICS = {
    "instructions": "instruction_critic_balanced_accuracy",
    "pairs": "pair_critic_balanced_accuracy",
}
_PROBES = "probes.jsonl"
_NOT_CALIBRATED = (
    f"; its scorer is not calibrated: at least {MIN_LABELS} labelled answers are required, {MIN_PER_CLASS} right "
    f"and {MIN_PER_CLASS} wrong"
)


def calibrate_instruments(run: Run) -> GateResult:
    """Freeze the test set; compute its power, and calibrate scorers, detectors and critic on labelled examples."""
    with run.phase("instruments", probes=run.config.critic.probes, heldout=run.config.heldout.count) as phase:
        heldout, heldout_reused = freeze_heldout(run)
        embedded = run.config.generation.embedded_world
        scorers, scorers_reused = _calibrate(run, "scorers", lambda: calibrate_scorers(embedded))
        detectors, detectors_reused = _calibrate(run, "detectors", calibrate_detectors)
        critics = {kind: _calibrate_critic(run, kind) for kind in _CRITIC_METRICS}
        values = {
            **heldout_values(run.config, heldout, run.rundir.relative(run.rundir.heldout)),
            **scorer_values(read_record(scorers, ScorerCalibration), run.rundir.relative(scorers)),
            **detector_values(read_record(detectors, DetectorCalibration), run.rundir.relative(detectors)),
        }
        for path, _ in critics.values():
            values |= critic_values(read_record(path, CriticCalibration), run.rundir.relative(path))
        files = [run.rundir.heldout, scorers, detectors]
        judgements = [j for path, _ in critics.values() for j in read_jsonl(path.with_name(_PROBES), ProbeJudgement)]
        run.review_contexts["instruments"] = ReviewContext(samples=misjudged_probe_samples(judgements))
        files += [file for path, _ in critics.values() for file in (path, path.with_name(_PROBES))]
        reused = all(
            (heldout_reused, scorers_reused, detectors_reused, *(is_reused for _, is_reused in critics.values()))
        )
        return run.finish_gate(run.judge_values("instruments", values, files), reused=reused, phase=phase)


# ---------------------------------------------------------------------------------------------------- artifacts


def freeze_heldout(run: Run) -> tuple[list[HeldoutItem], bool]:
    """Build and write the test set, or reuse a complete one; returns the items and whether they were reused."""
    settings, embedded = run.config.heldout, run.config.generation.embedded_world
    drawn = {"count": settings.count, "unseen": settings.unseen_count, "seed": run.config.seed, "embedded": embedded}
    parameters = {**drawn, **plugins.parameters()}
    stage = run.stage("heldout", run.rundir.heldout_stage_dir, parameters, {})
    reused = stage.complete() is not None
    if not reused:
        stage.begin()
        write_jsonl(run.rundir.heldout, build_heldout(settings.count, run.config.seed, embedded, settings.unseen_count))
        stage.finish([run.rundir.heldout], run.run_id)
    return read_jsonl(run.rundir.heldout, HeldoutItem), reused


def _calibrate(run: Run, name: str, compute: Callable[[], Record]) -> tuple[Path, bool]:
    """Calibrate an instrument that needs no model; returns the path of the record and whether it was reused."""
    folder = run.rundir.instrument_dir(name)
    path = folder / "calibration.json"
    parameters = {"embedded": run.config.generation.embedded_world, **plugins.parameters()}
    stage = run.stage(name, folder, parameters, {})
    if stage.complete() is not None:
        return path, True
    stage.begin()
    write_json(path, compute())
    stage.finish([path], run.run_id)
    return path, False


def _calibrate_critic(run: Run, kind: str) -> tuple[Path, bool]:
    """Calibrate the critic on one kind of probes; returns the path of the record and whether it was reused."""
    config, folder = run.config, run.rundir.instrument_dir(f"critic_{kind}")
    path, embedded = folder / "calibration.json", config.generation.embedded_world
    parameters = {
        "critic": config.critic.calibration(),
        "seed": config.seed,
        "embedded": embedded,
        **plugins.parameters(),
    }
    stage = run.stage(f"critic-{kind}", folder, parameters, run.base.provenance.identity())
    if stage.complete() is not None:
        return path, True
    stage.begin()
    run.progress.start(f"critic calibration on {kind}", config.critic.probes)
    critic = InstructionCritic(run.base.engine, margin=config.critic.confident_margin)
    probes: Sequence[InstructionProbe] | Sequence[PairProbe]
    if kind == "instructions":
        probes = instruction_probes(config.critic.probes, config.seed, embedded=embedded)
    else:
        probes = pair_probes(config.critic.probes, config.seed, heldout=True, embedded=embedded)
    judgements = judge_probes(critic, probes)
    write_jsonl(path.with_name(_PROBES), judgements)
    write_json(path, calibrate(judgements))
    stage.finish([path, path.with_name(_PROBES)], run.run_id)
    run.progress.advance(config.critic.probes)
    run.progress.finish()
    return path, False


# --------------------------------------------------------------------------------------------------- metrics


def scorer_values(scorers: ScorerCalibration, artifact: str) -> dict[str, MetricValue]:
    """Compute Cohen's kappa of scorers and labels: over all answers (lower bound), and in the worst family.

    A family has few labels, so its point value is compared.
    """
    weakest = scorers.weakest_family
    family = scorers.by_family[weakest]
    overall_note = (
        f"value is the lower bound of Cohen's kappa on content; point value {scorers.kappa:.3f}, on strict success "
        f"{scorers.strict_kappa:.3f}; {scorers.false_passes.k} of {scorers.false_passes.n} wrong answers pass"
    )
    family_note = f"Cohen's kappa on content of family {weakest}, the weakest of {len(scorers.by_family)}"
    if not family.kappa >= -1:
        family_note += _NOT_CALIBRATED
    return {
        "scorer_kappa": MetricValue(scorers.kappa, scorers.kappa_interval, scorers.n, artifact, overall_note),
        "scorer_family_kappa": MetricValue(family.kappa, n=family.n, artifact=artifact, note=family_note),
    }


def detector_values(detectors: DetectorCalibration, artifact: str) -> dict[str, MetricValue]:
    """Compute the worst precision and the worst recall of a detector, as point values since some faults have few labels."""
    rates = detectors.overall.detectors
    return {
        "detector_precision": _worst_rate({fault: rate.precision for fault, rate in rates.items()}, artifact),
        "detector_recall": _worst_rate({fault: rate.recall for fault, rate in rates.items()}, artifact),
    }


def _worst_rate(rates: dict[str, Rate], artifact: str) -> MetricValue:
    """Return the lowest rate; nan (a detector without labels) counts as the lowest."""
    worst = min(rates, key=lambda fault: (rates[fault].value >= 0, rates[fault].value))
    each = ", ".join(f"{fault} {rate.value:.3f}" for fault, rate in rates.items())
    return MetricValue(
        rates[worst].value, rates[worst].interval, rates[worst].n, artifact, f"the worst detector counts; {each}"
    )


def critic_values(critic: CriticCalibration, artifact: str) -> dict[str, MetricValue]:
    """Compute the critic's balanced accuracy; its lower bound is compared."""
    note = (
        f"value is the lower bound; point value {critic.balanced_accuracy:.3f}, AUROC {critic.auroc:.3f}, "
        f"P(A) + P(B) {critic.coverage_mean:.3f}, with the letters exchanged {critic.swapped_balanced_accuracy:.3f}"
    )
    interval = critic.balanced_accuracy_interval
    value = MetricValue(critic.balanced_accuracy, interval, critic.n, artifact, note)
    return {_CRITIC_METRICS[critic.kind]: value}
