"""Gate pilot: a small dataset with its quality control, with up to two retries."""

from pathlib import Path

from ctai.config import RunConfig
from ctai.evidence.result import GateResult
from ctai.evidence.review import ReviewContext, rejected
from ctai.evidence.verdicts import write_evidence
from ctai.generate.retry import retry_generation
from ctai.generate.shard import ShardSpec, make_shard, shard_files
from ctai.pipeline.run import Run
from ctai.records import HeldoutItem, PilotAttempt, PilotHistory, QcSummary, Rejection
from ctai.rundir import read_jsonl


def make_pilot(run: Run) -> GateResult:
    """Make the pilot; when it misses a threshold try again with parameters changed for the reasons, twice at most."""
    config, heldout = run.config, read_jsonl(run.rundir.heldout, HeldoutItem)
    attempts: list[PilotAttempt] = []
    reused = True
    with run.phase("pilot", count=config.pilot.count) as phase:
        for number in range(config.pilot.retries + 1):
            folder = run.rundir.pilot_dir if number == 0 else run.rundir.path("artifacts", f"pilot-retry-{number}")
            spec = ShardSpec("pilot", 0, config.pilot.count, folder, heldout)
            summary, kept = make_shard(run.base, run.with_config(config), spec)
            reused = reused and kept
            attempts.append(_attempt(run, config, folder, summary))
            if summary.thresholds_passed or number == config.pilot.retries:
                break
            config = retry_generation(config, summary.failed_reasons, number + 1)
            run.progress.say(_retried(run.config, number + 1, summary))
        phase.parameters["attempts"] = [attempt.model_dump(mode="json") for attempt in attempts]
        ladder = run.rundir.evidence / "pilot_ladder.json"
        write_evidence(run.rundir, ladder, PilotHistory(attempts=tuple(attempts)))
        measured = run.result("pilot", summary.thresholds, (*shard_files(folder), ladder))
        lost = read_jsonl(folder / "rejections.jsonl", Rejection)
        run.background["pilot"] = ReviewContext(tuple(attempts), rejected(lost))
        return run.finish_gate(measured, reused=reused, phase=phase)


def _retried(config: RunConfig, retry: int, failed: QcSummary) -> str:
    """Which attempt comes next, and why."""
    reasons = "; ".join(failed.failed_reasons)
    return f"pilot: attempt {retry + 1} of {config.pilot.retries + 1}, because the one before failed: {reasons}"


def _attempt(run: Run, config: RunConfig, folder: Path, summary: QcSummary) -> PilotAttempt:
    return PilotAttempt(
        folder=run.rundir.relative(folder),
        generation=config.generation.model_dump(mode="json"),
        passed=summary.thresholds_passed,
        reasons=summary.failed_reasons,
    )
