"""Gate 2a: the test set, and every instrument held against labels, before anything is generated."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ctai.config import CriticSettings, HeldoutSettings, InstrumentSettings
from ctai.evidence.result import GateResult
from ctai.generate.critic import InstructionCritic
from ctai.generate.critic_calibration import calibrate, judge_probes
from ctai.pipeline.run import Run
from ctai.qc.calibration import calibrate_detectors
from ctai.records import (
    CriticCalibration,
    DetectorCalibration,
    DetectorRates,
    HeldoutItem,
    Metric,
    Rate,
    Record,
    ScorerCalibration,
)
from ctai.rundir import read_jsonl, read_record, write_json, write_jsonl
from ctai.statistics import mcnemar_power
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
    f"; its checker is not calibrated: it takes {MIN_LABELS} labelled answers or more, of them {MIN_PER_CLASS} right "
    f"and {MIN_PER_CLASS} wrong"
)
# Discordant pairs expected beyond the lift itself, as a share of the items: what a noisy tie costs in power.
_EXTRA_DISCORDANCE = 0.10


def calibrate_instruments(run: Run) -> GateResult:
    """Freeze the test set; measure its power, the checkers, the detectors and the critic against labels."""
    with run.phase("instruments", probes=run.config.critic.probes, heldout=run.config.heldout.count) as phase:
        heldout, heldout_reused = freeze_heldout(run)
        embedded = run.config.generation.embedded_world
        scorers, scorers_reused = _calibrated(run, "scorers", lambda: calibrate_scorers(embedded))
        detectors, detectors_reused = _calibrated(run, "detectors", calibrate_detectors)
        critics = {kind: _critic(run, kind) for kind in _CRITIC_METRICS}
        metrics = [
            *heldout_metrics(run.config.heldout, heldout, run.rundir.relative(run.rundir.heldout)),
            *scorer_metrics(
                run.config.instruments, read_record(scorers, ScorerCalibration), run.rundir.relative(scorers)
            ),
            *detector_metrics(
                run.config.instruments, read_record(detectors, DetectorCalibration), run.rundir.relative(detectors)
            ),
            *(
                critic_metric(run.config.critic, read_record(path, CriticCalibration), run.rundir.relative(path))
                for path, _ in critics.values()
            ),
        ]
        files = [run.rundir.heldout, scorers, detectors]
        files += [file for path, _ in critics.values() for file in (path, path.with_name(_PROBES))]
        reused = all((heldout_reused, scorers_reused, detectors_reused, *(there for _, there in critics.values())))
        return run.finish_gate(run.judged("instruments", metrics, files), reused=reused, phase=phase)


# ---------------------------------------------------------------------------------------------------- making


def freeze_heldout(run: Run) -> tuple[list[HeldoutItem], bool]:
    """The test set of this run, written once; says whether it was already there."""
    settings, embedded = run.config.heldout, run.config.generation.embedded_world
    parameters = {"count": settings.count, "seed": run.config.seed, "embedded": embedded, **plugins.parameters()}
    stage = run.stage("heldout", run.rundir.path("artifacts", "heldout"), parameters, {})
    reused = stage.complete() is not None
    if not reused:
        stage.begin()
        write_jsonl(run.rundir.heldout, build_heldout(settings.count, run.config.seed, embedded))
        stage.finish([run.rundir.heldout], run.run_id)
    return read_jsonl(run.rundir.heldout, HeldoutItem), reused


def _calibrated(run: Run, name: str, measure: Callable[[], Record]) -> tuple[Path, bool]:
    """Where the calibration of an instrument that needs no model lies, and whether it was already there."""
    folder = run.rundir.evidence / "instruments" / name
    path = folder / "calibration.json"
    parameters = {"embedded": run.config.generation.embedded_world, **plugins.parameters()}
    stage = run.stage(name, folder, parameters, {})
    if stage.complete() is not None:
        return path, True
    stage.begin()
    write_json(path, measure())
    stage.finish([path], run.run_id)
    return path, False


def _critic(run: Run, kind: str) -> tuple[Path, bool]:
    """Where the critic's calibration on one kind of probes lies, and whether it was already there."""
    config, folder = run.config, run.rundir.evidence / "instruments" / f"critic_{kind}"
    path, embedded = folder / "calibration.json", config.generation.embedded_world
    parameters = {"critic": config.critic, "seed": config.seed, "embedded": embedded, **plugins.parameters()}
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


# --------------------------------------------------------------------------------------------------- judging


def heldout_metrics(settings: HeldoutSettings, heldout: Sequence[HeldoutItem], artifact: str) -> tuple[Metric, ...]:
    """The size of the test set, and its power to show the lift that the run is after."""
    lift = settings.lift_to_detect
    power = mcnemar_power(len(heldout), lift, lift + _EXTRA_DISCORDANCE)
    note = f"to see a lift of {lift:g} with {_EXTRA_DISCORDANCE:g} of the items discordant by chance"
    return (
        Metric(
            name="heldout_items", value=len(heldout), comparison=">=", threshold=settings.minimum, artifact=artifact
        ),
        Metric(
            name="heldout_power", value=power, comparison=">=", threshold=settings.power, n=len(heldout), note=note,
            artifact=artifact,
        ),
    )  # fmt: skip


def scorer_metrics(settings: InstrumentSettings, found: ScorerCalibration, artifact: str) -> tuple[Metric, ...]:
    """The checkers' agreement with labelled answers: of all, with the floor on the lower bound, and of the worst family.

    A family has a score of labels only, so its floor is asserted on the point value.
    """
    weakest = found.weakest_family
    overall = Metric(
        name="scorer_kappa",
        value=found.kappa_interval.low,
        comparison=">=",
        threshold=settings.scorer_kappa,
        interval=found.kappa_interval,
        n=found.n,
        artifact=artifact,
        note=(
            f"value is the lower bound of Cohen's kappa on content; point value {found.kappa:.3f}, on strict success "
            f"{found.strict_kappa:.3f}; {found.false_passes.k} of {found.false_passes.n} wrong answers pass"
        ),
    )
    worst = Metric(
        name="scorer_family_kappa",
        value=found.by_family[weakest].kappa,
        comparison=">=",
        threshold=settings.scorer_family_kappa,
        n=found.by_family[weakest].n,
        artifact=artifact,
        note=f"Cohen's kappa on content of family {weakest}, the weakest of {len(found.by_family)}"
        + ("" if found.by_family[weakest].kappa >= -1 else _NOT_CALIBRATED),
    )
    return overall, worst


def detector_metrics(settings: InstrumentSettings, found: DetectorCalibration, artifact: str) -> tuple[Metric, ...]:
    """The worst precision and the worst recall of a detector, point values: some faults are rare among the labels."""
    rates = found.everything.detectors
    return (
        _worst("detector_precision", rates, lambda one: one.precision, settings.detector_precision, artifact),
        _worst("detector_recall", rates, lambda one: one.recall, settings.detector_recall, artifact),
    )


def _worst(
    name: str, rates: dict[str, DetectorRates], of: Callable[[DetectorRates], Rate], floor: float, artifact: str
) -> Metric:
    values = {fault: of(one) for fault, one in rates.items()}
    # one that is not a number, for want of labels, is the worst
    worst = min(values, key=lambda fault: (values[fault].value >= 0, values[fault].value))
    return Metric(
        name=name,
        value=values[worst].value,
        comparison=">=",
        threshold=floor,
        interval=values[worst].interval,
        n=values[worst].n,
        artifact=artifact,
        note="the worst detector counts; " + ", ".join(f"{fault} {rate.value:.3f}" for fault, rate in values.items()),
    )


def critic_metric(settings: CriticSettings, found: CriticCalibration, artifact: str) -> Metric:
    """The critic's balanced accuracy; the floor is asserted on the lower bound: it has to be shown good enough."""
    return Metric(
        name=_CRITIC_METRICS[found.kind],
        value=found.balanced_accuracy_interval.low,
        comparison=">=",
        threshold=settings.balanced_accuracy_floor,
        interval=found.balanced_accuracy_interval,
        n=found.n,
        artifact=artifact,
        note=(
            f"value is the lower bound; point value {found.balanced_accuracy:.3f}, AUROC {found.auroc:.3f}, "
            f"P(A) + P(B) {found.coverage_mean:.3f}, with the letters exchanged {found.swapped_balanced_accuracy:.3f}"
        ),
    )
