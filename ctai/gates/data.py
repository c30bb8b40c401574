"""Gates 2b and 3: the pilot and the merged dataset."""

import math
from pathlib import Path

from ctai.config import GenerationSettings, RunConfig
from ctai.errors import UnfinishedError
from ctai.gates.evidence import Measured, write_evidence
from ctai.gates.review import Background, rejected
from ctai.gates.run import Run
from ctai.gates.shards import Order, finished_shard, make_here, make_shards, unfinished
from ctai.generate.merge import merge_shards
from ctai.generate.shard import pilot_ladder
from ctai.provenance import OpenPhase
from ctai.records import HeldoutItem, Metric, PilotAttempt, PilotLadder, QcSummary, Rejection
from ctai.rundir import read_jsonl, read_record

# ------------------------------------------------------------------------------------------------------- 2b: pilot


def make_pilot(run: Run) -> Measured:
    """Make the pilot; when it misses a threshold try again with parameters changed for the reasons, twice at most."""
    config, heldout = run.config, read_jsonl(run.rundir.heldout, HeldoutItem)
    attempts: list[PilotAttempt] = []
    reused = True
    with run.phase("pilot", count=config.pilot.count) as phase:
        for number in range(config.pilot.retries + 1):
            folder = run.rundir.pilot_dir if number == 0 else run.rundir.path("artifacts", f"pilot-retry-{number}")
            summary, kept = make_here(run, config, folder, "pilot", 0, config.pilot.count, heldout)
            reused = reused and kept
            attempts.append(_attempt(run, config, folder, summary))
            if summary.thresholds_passed or number == config.pilot.retries:
                break
            config = pilot_ladder(config, summary.failed_reasons, number + 1)
            run.progress.say(_retried(run.config, number + 1, summary))
        phase.parameters["attempts"] = [attempt.model_dump(mode="json") for attempt in attempts]
        ladder = run.rundir.evidence / "pilot_ladder.json"
        write_evidence(run.rundir, ladder, PilotLadder(attempts=tuple(attempts)))
        measured = run.judged("pilot", summary.thresholds, (*_shard_files(folder), ladder))
        lost = read_jsonl(folder / "rejections.jsonl", Rejection)
        run.background["pilot"] = Background(tuple(attempts), rejected(lost))
        return run.finish_gate(measured, reused=reused, phase=phase)


def _retried(config: RunConfig, retry: int, failed: QcSummary) -> str:
    """Which attempt comes next, and why."""
    reasons = "; ".join(failed.failed_reasons)
    return f"pilot: attempt {retry + 1} of {config.pilot.retries + 1}, because the one before failed: {reasons}"


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


# ------------------------------------------------------------------------------------------------------- 3: scale


def make_scale_dataset(run: Run) -> Measured:
    """Make all shards with the parameters that the pilot passed with, and merge them.

    Raises:
        UnfinishedError: some shards are to be made in other sessions, or on other machines.
    """
    config, heldout = _piloted_config(run), read_jsonl(run.rundir.heldout, HeldoutItem)
    target = math.ceil(config.scale.count * config.scale.oversample / config.scale.shards)
    order = Order(config, heldout, target)
    with run.phase("scale", shards=config.scale.shards, count=config.scale.count, **run.sharing.record()) as phase:
        missing = unfinished(run, order)
        mine = [number for number in missing if not run.sharing.only or number in run.sharing.only]
        make_shards(run, order, mine)
        left = [str(number) for number in missing if number not in mine]
        if not left:
            return _merge(run, order, phase, reused=not missing)
        phase.outcome = "incomplete"
        phase.reasons.append(f"shard(s) {', '.join(left)} are missing")
    raise UnfinishedError(
        f"shard(s) {', '.join(left)} are missing: make them without --only-shards, or copy them into "
        f"{run.rundir.shard_dir(0).parent}, and run the gates again"
    )


def _merge(run: Run, order: Order, phase: OpenPhase, *, reused: bool) -> Measured:
    """Merge shards that are all there, and measure the union."""
    numbers = range(order.config.scale.shards)
    made = [finished_shard(run, order, number).summary for number in numbers]
    folders = [run.rundir.shard_dir(number) for number in numbers]
    merged = merge_shards(order.config, run.rundir, folders, order.heldout, run.run_id, run.progress)
    failed = [folder.name for folder, summary in zip(folders, made, strict=True) if not summary.thresholds_passed]
    phase.parameters["failed_shards"] = failed
    shards = Metric(
        name="failed_shards", value=len(failed), comparison="==", threshold=0, n=len(made), note=", ".join(failed),
        artifact=run.rundir.relative(merged.qc_path),
    )  # fmt: skip
    files = [run.rundir.dataset, merged.qc_path, *(file for folder in folders for file in _shard_files(folder))]
    measured = run.judged("scale", (*merged.summary.thresholds, shards), files)
    return run.finish_gate(measured, reused=reused and merged.reused, phase=phase)


def _piloted_config(run: Run) -> RunConfig:
    """The configuration with the generation settings of the pilot attempt that passed."""
    ladder = read_record(run.rundir.evidence / "pilot_ladder.json", PilotLadder)
    generation = GenerationSettings.model_validate(ladder.attempts[-1].generation)
    return run.config.model_copy(update={"generation": generation})
