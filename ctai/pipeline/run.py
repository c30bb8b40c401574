"""A gates run: its context, the results of its gates and their verdicts.

Gates are computed in `ctai.gates` and displayed in a pytest session by `ctai.pytest_plugin`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ctai.config import MetricValue, RunConfig, gate_metrics
from ctai.errors import PreconditionError
from ctai.evidence.preregistration import preregister
from ctai.evidence.result import GateResult
from ctai.evidence.review import (
    COMMAND_VARIABLE,
    ReviewContext,
    archive_review,
    run_review_command,
    write_packet,
)
from ctai.evidence.stamp import write_preregistration
from ctai.evidence.verdicts import (
    missing_prerequisite,
    read_verdict,
    record_verdict,
    supersede_outputs,
    verdict_status,
)
from ctai.model.devices import device_info
from ctai.model.lazy import LazyBaseModel
from ctai.pipeline.budget import Ledger
from ctai.pipeline.context import RunContext
from ctai.pipeline.executor.options import ExecutionOptions
from ctai.pipeline.limits import LimitedProgress
from ctai.progress import Display, SilentProgress
from ctai.provenance import GitState, OpenPhase, Session, code_digest, collect_environment, made_by, run_id
from ctai.records import ContaminationReport, Metric, Verdict, utc_now
from ctai.registry import GATES, gate_named, gates_after
from ctai.rundir import RunDir, digest_of, read_record, sha256_file


class Run(RunContext):
    """Context of a run, and the results of its gates. Holds the run directory's lock until `close`.

    Args:
        config: of the run.
        rundir: the run directory.
        execution: options for executing the shards of the scale gate.
        display: shows progress.
        command: normalized command of the session, for the records.
    """

    def __init__(
        self,
        config: RunConfig,
        rundir: RunDir,
        execution: ExecutionOptions | None = None,
        display: Display | None = None,
        command: str = "",
    ) -> None:
        rundir.check_schema_version()
        self._open = ExitStack()
        self._open.enter_context(rundir.lock())
        environment = collect_environment(device_info(config.model.device))
        # limits say when to stop, not what is made: raising one must not make a run another run
        identity = run_id(digest_of(config.model_dump(mode="json", exclude={"limits"})), code_digest())
        ledger = Ledger(rundir.budget_ledger, config.limits)
        progress = LimitedProgress(ledger, display or SilentProgress())
        super().__init__(
            config=config,
            rundir=rundir,
            run_id=identity,
            git=GitState(environment.git_commit, environment.git_branch, environment.git_dirty),
            progress=progress,
            made_by=made_by(environment, *filter(None, [command])),
            base=LazyBaseModel(config.model, progress.say),
            ledger=ledger,
            session=Session(rundir, config, environment, identity),
        )
        self.environment = environment
        self.execution = execution or ExecutionOptions()
        self.preregistration = preregister(config)
        self.results: dict[str, GateResult] = {}
        self.review_contexts: dict[str, ReviewContext] = {}
        self.seconds: dict[str, float] = {}
        self.reused: set[str] = set()

    # -- stages ------------------------------------------------------------------------------------------------------

    @contextmanager
    def phase(self, gate: str, **parameters: Any) -> Iterator[OpenPhase]:
        """Log the work of a gate in the session manifest and hold it to its time limit; preregisters the run first."""
        started = utc_now()
        # not before a gate starts: a run that is refused leaves the evidence of another as it is
        write_preregistration(self.rundir, self.preregistration)
        self.progress.limit(gate, getattr(self.config.limits, gate))
        with self.session.phase(gate, parameters) as opened:
            try:
                yield opened
            finally:
                self.seconds[gate] = self.seconds.get(gate, 0.0) + (utc_now() - started).total_seconds()

    def judge_values(
        self, gate: str, values: Mapping[str, MetricValue], files: Iterable[Path], notes: tuple[str, ...] = ()
    ) -> GateResult:
        """Compare the values of a gate with the thresholds of the configuration, and bind the metrics to files."""
        return self.bind_result(gate, gate_metrics(gate, self.config, values), files, notes)

    def bind_result(
        self, gate: str, metrics: Iterable[Metric], files: Iterable[Path], notes: tuple[str, ...] = ()
    ) -> GateResult:
        """Bind the metrics of a gate to the digests of the files that they were computed from."""
        artifacts = {self.rundir.relative(path): sha256_file(path) for path in files}
        return GateResult(gate, tuple(metrics), artifacts, self.base.weights_digest, notes)

    def finish_gate(self, result: GateResult, *, reused: bool, phase: OpenPhase | None = None) -> GateResult:
        """Keep the result of a gate for its tests, its verdict and the session manifest."""
        self.results[result.gate] = result
        if phase is not None:
            phase.artifacts = dict(result.artifacts)
            phase.outcome = "reused" if reused else "made"
            phase.reasons += [metric.failure() for metric in result.metrics if metric.missed]
        if reused:
            self.reused.add(result.gate)
            self.progress.say(f"{result.gate}: reused, nothing it depends on has changed")
        return result

    # -- verdicts ----------------------------------------------------------------------------------------------------

    def require_passed(self, gate: str) -> Verdict:
        """Return the valid verdict of a gate that rests on valid verdicts of all gates before it.

        Raises:
            PreconditionError: there is none, or it is stale; names the missing or stale evidence.
        """
        status = verdict_status(self.rundir, self.config, gate_named(gate))
        problem = missing_prerequisite(self.rundir, self.config, gate_named(gate)) or status.problem
        if status.verdict is None or problem:
            raise PreconditionError(f"{problem}; run the gates before this one first")
        if not self.base.is_passed:
            report = read_record(self.rundir.model_check, ContaminationReport)
            if report.provenance is None:
                raise PreconditionError("gate contamination has passed no model; run it first")
            self.base.mark_passed(report.provenance)
        return status.verdict

    def problem_before(self, gate: str) -> str:
        """Return why a gate may not start on the evidence in the run directory; empty if it may."""
        problem = missing_prerequisite(self.rundir, self.config, gate_named(gate))
        first = read_verdict(self.rundir, GATES[0])
        if not problem and gate != GATES[0].name and first and first.weights_digest != self.base.weights_digest:
            problem = f"the verdict of gate {GATES[0].name} is stale: the weights of the model have changed"
        return problem

    def decide(
        self, gate: str, outcomes: Mapping[str, str], errors: tuple[str, ...], untested: tuple[str, ...] = ()
    ) -> Verdict | None:
        """Write the verdict of a gate, as in `record_verdict`; None when it has no result.

        When a gate fails, earlier outputs of later gates are moved to `superseded/` and a review packet is written; when
        it passes, the packet of an earlier failure is archived.
        """
        result = self.results.get(gate)
        if result is None:
            return None
        verdict = record_verdict(self.rundir, self.config, result, outcomes, errors, untested)
        if verdict.outcome == "failed":
            supersede_outputs(self.rundir, gates_after(gate))
            self._review(result)
        elif verdict.passed:
            archive_review(self.rundir, gate)
        self.session.note(f"gate {gate}: {verdict.outcome} {'; '.join(verdict.reasons)}".rstrip())
        return verdict

    def _review(self, result: GateResult) -> None:
        """Write the review packet of a failed gate, and run the configured review command on it."""
        packet = write_packet(self.rundir, result, self.review_contexts.get(result.gate, ReviewContext()))
        command = os.environ.get(COMMAND_VARIABLE, "").strip()
        if command:
            self.report(run_review_command(self.rundir, packet, command, self.config.limits.review))

    def close(self) -> None:
        """Write the budget ledger and release the lock of the run directory."""
        with self._open:  # the lock is released even if the ledger cannot be written
            self.ledger.finish()
