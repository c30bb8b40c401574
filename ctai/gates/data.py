"""Gates 2 and 3: the test set, the critic's calibration, the pilot and the merged dataset."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ctai.config import GenerationSettings, RunConfig
from ctai.gates.evidence import Measured
from ctai.gates.review import Background, rejected
from ctai.gates.run import Run
from ctai.generate.calibration import calibrate, judge_probes
from ctai.generate.critic import InstructionCritic
from ctai.generate.merge import merge_shards
from ctai.generate.shard import make_shard, pilot_ladder
from ctai.records import CriticCalibration, HeldoutItem, Metric, PilotAttempt, PilotLadder, QcSummary, Rejection
from ctai.rundir import read_jsonl, read_record, write_json, write_jsonl
from ctai.statistics import mcnemar_power
from ctai.tasks.heldout import build_heldout
from ctai.tasks.probes import InstructionProbe, PairProbe, instruction_probes, pair_probes

_CRITIC_METRICS = {
    "instructions": "instruction_critic_balanced_accuracy",
    "pairs": "pair_critic_balanced_accuracy",
}
_PROBES = "probes.jsonl"
# Discordant pairs expected beyond the lift itself, as a share of the items: what a noisy tie costs in power.
_EXTRA_DISCORDANCE = 0.10


# ------------------------------------------------------------------------------------------------ 2a: instruments


def calibrate_instruments(run: Run) -> Measured:
    """Freeze the test set, then measure its power and the critic's accuracy on labelled probes."""
    with run.phase("instruments", probes=run.config.critic.probes, heldout=run.config.heldout.count) as phase:
        heldout, heldout_reused = freeze_heldout(run)
        found = {kind: _calibration(run, kind) for kind in _CRITIC_METRICS}
        metrics = list(_heldout_metrics(run, heldout))
        metrics += [_critic_metric(run, kind, path) for kind, (path, _) in found.items()]
        files = [run.rundir.heldout, *(file for path, _ in found.values() for file in (path, path.with_name(_PROBES)))]
        reused = heldout_reused and all(reused for _, reused in found.values())
        return run.finish_gate(run.judged("instruments", metrics, files), reused=reused, phase=phase)


def freeze_heldout(run: Run) -> tuple[list[HeldoutItem], bool]:
    """The test set of this run, written once; says whether it was already there."""
    settings, embedded = run.config.heldout, run.config.generation.embedded_world
    parameters = {"count": settings.count, "seed": run.config.seed, "embedded": embedded}
    stage = run.stage("heldout", run.rundir.path("artifacts", "heldout"), parameters, {})
    reused = stage.complete() is not None
    if not reused:
        stage.begin()
        write_jsonl(run.rundir.heldout, build_heldout(settings.count, run.config.seed, embedded))
        stage.finish([run.rundir.heldout], run.run_id)
    return read_jsonl(run.rundir.heldout, HeldoutItem), reused


def _heldout_metrics(run: Run, heldout: Sequence[HeldoutItem]) -> tuple[Metric, ...]:
    settings = run.config.heldout
    artifact = run.rundir.relative(run.rundir.heldout)
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


def _calibration(run: Run, kind: str) -> tuple[Path, bool]:
    """Where the critic's calibration on one kind of probes lies, and whether it was already there."""
    config, folder = run.config, run.rundir.evidence / "instruments" / f"critic_{kind}"
    path, embedded = folder / "calibration.json", config.generation.embedded_world
    parameters = {"critic": config.critic, "seed": config.seed, "embedded": embedded}
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


def _critic_metric(run: Run, kind: str, path: Path) -> Metric:
    """The floor is asserted on the lower bound: an instrument has to be shown good enough."""
    found = read_record(path, CriticCalibration)
    return Metric(
        name=_CRITIC_METRICS[kind],
        value=found.balanced_accuracy_interval.low,
        comparison=">=",
        threshold=run.config.critic.balanced_accuracy_floor,
        interval=found.balanced_accuracy_interval,
        n=found.n,
        artifact=run.rundir.relative(path),
        note=(
            f"value is the lower bound; point value {found.balanced_accuracy:.3f}, AUROC {found.auroc:.3f}, "
            f"P(A) + P(B) {found.coverage_mean:.3f}, with the letters exchanged {found.swapped_balanced_accuracy:.3f}"
        ),
    )


# ------------------------------------------------------------------------------------------------------- 2b: pilot


def make_pilot(run: Run) -> Measured:
    """Make the pilot; when it misses a threshold try again with parameters changed for the reasons, twice at most."""
    config, heldout = run.config, read_jsonl(run.rundir.heldout, HeldoutItem)
    attempts: list[PilotAttempt] = []
    reused = True
    with run.phase("pilot", count=config.pilot.count) as phase:
        for number in range(config.pilot.retries + 1):
            folder = run.rundir.pilot_dir if number == 0 else run.rundir.path("artifacts", f"pilot-retry-{number}")
            summary, kept = _make_shard(run, config, folder, "pilot", 0, config.pilot.count, heldout)
            reused = reused and kept
            attempts.append(_attempt(run, config, folder, summary))
            if summary.thresholds_passed or number == config.pilot.retries:
                break
            config = pilot_ladder(config, summary.failed_reasons, number + 1)
        phase.parameters["attempts"] = [attempt.model_dump(mode="json") for attempt in attempts]
        ladder = run.rundir.evidence / "pilot_ladder.json"
        write_json(ladder, PilotLadder(attempts=tuple(attempts)))
        measured = run.judged("pilot", summary.thresholds, (*_shard_files(folder), ladder))
        lost = read_jsonl(folder / "rejections.jsonl", Rejection)
        run.background["pilot"] = Background(tuple(attempts), rejected(lost))
        return run.finish_gate(measured, reused=reused, phase=phase)


def _shard_files(folder: Path) -> list[Path]:
    """All that vouches for a shard: what was generated, kept and lost, its quality control and its manifest."""
    names = ("dataset.jsonl", "rejections.jsonl", "generation.jsonl", "qc_summary.json", "manifest.json")
    return [folder / name for name in names]


def _attempt(run: Run, config: RunConfig, folder: Path, summary: QcSummary) -> PilotAttempt:
    return PilotAttempt(
        folder=run.rundir.relative(folder),
        generation=config.generation.model_dump(mode="json"),
        passed=summary.thresholds_passed,
        reasons=summary.failed_reasons,
    )


def _make_shard(
    run: Run,
    config: RunConfig,
    folder: Path,
    stage: Literal["pilot", "scale"],
    shard: int,
    target: int,
    heldout: Sequence[HeldoutItem],
) -> tuple[QcSummary, bool]:
    """A shard's quality control, and whether the shard was already there."""
    made = make_shard(
        model=run.base,
        config=config,
        rundir=run.rundir,
        folder=folder,
        stage=stage,
        shard=shard,
        target=target,
        heldout=heldout,
        run_id=run.run_id,
        progress=run.progress,
        git=(run.environment.git_commit, run.environment.git_dirty),
    )
    return made.summary, made.reused


# ------------------------------------------------------------------------------------------------------- 3: scale


def make_scale_dataset(run: Run) -> Measured:
    """Make all shards with the parameters that the pilot passed with, and merge them."""
    config, heldout = _piloted_config(run), read_jsonl(run.rundir.heldout, HeldoutItem)
    target = math.ceil(config.scale.count * config.scale.oversample / config.scale.shards)
    with run.phase("scale", shards=config.scale.shards, count=config.scale.count) as phase:
        folders = [run.rundir.shard_dir(shard) for shard in range(config.scale.shards)]
        if missing := [folder for folder in folders if not (folder / "manifest.json").exists()]:
            run.announce("scale", target * len(missing), "lower scale.count")
        made = [_make_shard(run, config, folder, "scale", i, target, heldout) for i, folder in enumerate(folders)]
        merged = merge_shards(config, run.rundir, folders, heldout, run.run_id, run.progress)
        failed = [
            folder.name for folder, (summary, _) in zip(folders, made, strict=True) if not summary.thresholds_passed
        ]
        phase.parameters["failed_shards"] = failed
        shards = Metric(
            name="failed_shards", value=len(failed), comparison="==", threshold=0, n=len(made), note=", ".join(failed),
            artifact=run.rundir.relative(merged.qc_path),
        )  # fmt: skip
        files = [run.rundir.dataset, merged.qc_path, *(file for folder in folders for file in _shard_files(folder))]
        measured = run.judged("scale", (*merged.summary.thresholds, shards), files)
        reused = merged.reused and all(reused for _, reused in made)
        return run.finish_gate(measured, reused=reused, phase=phase)


def _piloted_config(run: Run) -> RunConfig:
    """The configuration with the generation settings of the pilot attempt that passed."""
    ladder = read_record(run.rundir.evidence / "pilot_ladder.json", PilotLadder)
    generation = GenerationSettings.model_validate(ladder.attempts[-1].generation)
    return run.config.model_copy(update={"generation": generation})
