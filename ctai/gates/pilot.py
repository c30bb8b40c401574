"""Gate pilot: a small dataset with its quality control, retried with other generation settings."""

from pathlib import Path

from ctai.config import RunConfig
from ctai.evidence.result import GateResult
from ctai.evidence.review import ReviewContext, rejection_samples
from ctai.evidence.verdicts import write_evidence
from ctai.generate.retry import retry_generation
from ctai.generate.shard import ShardSpec, make_shard, shard_files
from ctai.pipeline.run import Run
from ctai.records import HeldoutItem, PilotAttempt, PilotHistory, QcSummary, Rejection
from ctai.rundir import read_jsonl


def make_pilot(run: Run) -> GateResult:
    """Generate the pilot; if it misses thresholds, retry with settings changed for them, `pilot.retries` times."""
    config, heldout = run.config, read_jsonl(run.rundir.heldout, HeldoutItem)
    attempts: list[PilotAttempt] = []
    reused = True
    with run.phase("pilot", count=config.pilot.count) as phase:
        for number in range(config.pilot.retries + 1):
            folder = run.rundir.pilot_dir_of(number)
            spec = ShardSpec("pilot", 0, config.pilot.count, folder, heldout)
            summary, is_reused = make_shard(run.base, run.with_config(config), spec)
            reused = reused and is_reused
            attempts.append(_attempt(run, config, folder, summary))
            if summary.thresholds_passed or number == config.pilot.retries:
                break
            config = retry_generation(config, summary.failed_reasons, number + 1)
            run.progress.say(_retry_message(run.config, number + 1, summary))
        phase.parameters["attempts"] = [attempt.model_dump(mode="json") for attempt in attempts]
        history = run.rundir.pilot_history
        write_evidence(run.rundir, history, PilotHistory(attempts=tuple(attempts)))
        result = run.bind_result("pilot", summary.thresholds, (*shard_files(folder), history))
        rejections = read_jsonl(folder / "rejections.jsonl", Rejection)
        run.review_contexts["pilot"] = ReviewContext(tuple((a,) for a in attempts), rejection_samples(rejections))
        return run.finish_gate(result, reused=reused, phase=phase)


def _retry_message(config: RunConfig, retry: int, summary: QcSummary) -> str:
    """Return the progress message with the number of the next attempt and the reasons for it."""
    reasons = "; ".join(summary.failed_reasons)
    return f"pilot: attempt {retry + 1} of {config.pilot.retries + 1}, because the previous one failed: {reasons}"


def _attempt(run: Run, config: RunConfig, folder: Path, summary: QcSummary) -> PilotAttempt:
    return PilotAttempt(
        folder=run.rundir.relative(folder),
        generation=config.generation.model_dump(mode="json"),
        passed=summary.thresholds_passed,
        reasons=summary.failed_reasons,
    )
