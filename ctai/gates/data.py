"""Gates 2 and 3: the test set, the critic's calibration, the pilot and the merged dataset."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ctai.config import GenerationSettings, RunConfig
from ctai.gates.evidence import Measured
from ctai.gates.review import write_packet
from ctai.gates.run import Run
from ctai.generate.critic import CriticCalibration, InstructionCritic, calibrate
from ctai.generate.merge import merge_shards
from ctai.generate.shard import make_shard, pilot_ladder
from ctai.records import HeldoutItem, Metric, PilotAttempt, PilotLadder, QcSummary, Rejection
from ctai.rundir import read_jsonl, read_record, sha256_file, write_json, write_jsonl
from ctai.statistics import mcnemar_power
from ctai.tasks.heldout import build_heldout
from ctai.tasks.probes import instruction_probes, pair_probes

# Discordant pairs expected beyond the lift itself, as a share of the items: what a noisy tie costs in power.
_EXTRA_DISCORDANCE = 0.10


# ------------------------------------------------------------------------------------------------ 2a: instruments


def calibrate_instruments(run: Run) -> Measured:
    """Freeze the test set, then measure its power and the critic's accuracy on labelled probes."""
    folder = run.rundir.evidence / "instruments"
    with run.phase("instruments", probes=run.config.critic.probes, heldout=run.config.heldout.count):
        heldout, heldout_reused = freeze_heldout(run)
        stage = run.stage(
            "instruments",
            folder,
            {"critic": run.config.critic, "seed": run.config.seed, "embedded": run.config.generation.embedded_world},
            {"weights": run.base.weights_digest},
        )
        paths = {kind: folder / f"critic_{kind}.json" for kind in ("instructions", "pairs")}
        reused = stage.complete() is not None
        if not reused:
            stage.begin()
            for kind, calibration in _calibrations(run).items():
                write_json(paths[kind], calibration)
            stage.finish(list(paths.values()), run.run_id)
        calibrations = {kind: read_record(path, CriticCalibration) for kind, path in paths.items()}
        artifacts = {run.rundir.relative(path): sha256_file(path) for path in (run.rundir.heldout, *paths.values())}
        metrics = (*_heldout_metrics(run, heldout), *_critic_metrics(run, calibrations, paths))
        measured = Measured("instruments", metrics, artifacts, run.base.weights_digest)
    return run.finish_gate(measured, reused=reused and heldout_reused)


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


def _calibrations(run: Run) -> dict[str, CriticCalibration]:
    config = run.config
    critic = InstructionCritic(run.base.engine, margin=config.critic.confident_margin)
    embedded = config.generation.embedded_world
    instructions = instruction_probes(config.critic.probes, config.seed)
    pairs = pair_probes(config.critic.probes, config.seed, heldout=True, embedded=embedded)
    run.progress.start("critic calibration", 2)
    found = {}
    for kind, probes in (("instructions", instructions), ("pairs", pairs)):
        found[kind] = calibrate(critic, probes)
        run.progress.advance()
    run.progress.finish()
    return found


def _critic_metrics(run: Run, calibrations: dict[str, CriticCalibration], paths: dict[str, Path]) -> tuple[Metric, ...]:
    """The floors are asserted on the lower bounds: an instrument has to be shown good enough."""
    names = {"instructions": "instruction_critic_balanced_accuracy", "pairs": "pair_critic_balanced_accuracy"}
    return tuple(
        Metric(
            name=names[kind],
            value=found.balanced_accuracy_interval.low,
            comparison=">=",
            threshold=run.config.critic.balanced_accuracy_floor,
            interval=found.balanced_accuracy_interval,
            n=found.n,
            artifact=run.rundir.relative(paths[kind]),
            note=f"lower bound; point value {found.balanced_accuracy:.3f}, AUROC {found.auroc:.3f}",
        )
        for kind, found in calibrations.items()
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
        write_json(ladder, PilotLadder(attempts=tuple(attempts), run_id=run.run_id))
        files = (folder / "dataset.jsonl", folder / "qc_summary.json", folder / "manifest.json", ladder)
        measured = _measured(run, "pilot", summary.thresholds, files)
        if not summary.thresholds_passed:
            write_packet(run.rundir, measured, attempts, read_jsonl(folder / "rejections.jsonl", Rejection))
    return run.finish_gate(measured, reused=reused)


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


def _measured(run: Run, gate: str, metrics: Sequence[Metric], files: Sequence[Path]) -> Measured:
    artifacts = {run.rundir.relative(path): sha256_file(path) for path in files}
    return Measured(gate, tuple(metrics), artifacts, run.base.weights_digest)


# ------------------------------------------------------------------------------------------------------- 3: scale


def make_scale_dataset(run: Run) -> Measured:
    """Make all shards with the parameters that the pilot passed with, and merge them."""
    config, heldout = _piloted_config(run), read_jsonl(run.rundir.heldout, HeldoutItem)
    target = math.ceil(config.scale.count * config.scale.oversample / config.scale.shards)
    with run.phase("scale", shards=config.scale.shards, count=config.scale.count) as phase:
        folders = [run.rundir.shard_dir(shard) for shard in range(config.scale.shards)]
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
        files = [run.rundir.dataset, merged.qc_path, *(folder / "manifest.json" for folder in folders)]
        measured = _measured(run, "scale", (*merged.summary.thresholds, shards), files)
    return run.finish_gate(measured, reused=merged.reused and all(reused for _, reused in made))


def _piloted_config(run: Run) -> RunConfig:
    """The configuration with the generation settings of the pilot attempt that passed."""
    ladder = read_record(run.rundir.evidence / "pilot_ladder.json", PilotLadder)
    generation = GenerationSettings.model_validate(ladder.attempts[-1].generation)
    return run.config.model_copy(update={"generation": generation})
