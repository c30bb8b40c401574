"""One gates run: configuration, directory, session, the base model, and the verdicts that gates leave behind.

The stages themselves are `ctai.gates.contamination`, `data` and `evaluation`; this module gives them what they share.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

from ctai.config import MetricValue, RunConfig, gate_metrics
from ctai.errors import PreconditionError
from ctai.evidence.junit import metric_threshold
from ctai.evidence.preregistration import preregister, relaxed_thresholds
from ctai.evidence.result import GateResult
from ctai.evidence.review import (
    COMMAND_VARIABLE,
    ReviewContext,
    archive_review,
    packet_path,
    run_review_command,
    write_packet,
)
from ctai.evidence.verdicts import (
    PREREGISTRATION,
    missing_prerequisite,
    read_verdict,
    record_verdict,
    supersede_outputs,
    verdict_path,
    verdict_status,
)
from ctai.model.devices import device_info
from ctai.model.lazy import LazyBaseModel
from ctai.pipeline.budget import Ledger
from ctai.pipeline.context import RunContext
from ctai.pipeline.executor.options import ExecutionOptions
from ctai.pipeline.limits import LimitedProgress
from ctai.progress import Display, SilentProgress
from ctai.provenance import GitState, OpenPhase, Session, code_digest, collect_environment, run_id
from ctai.records import ContaminationReport, Metric, Verdict, utc_now
from ctai.registry import GATES, gate_named, gates_after
from ctai.rundir import RunDir, digest_of, read_record, sha256_file, write_json

# What gate 1 found, relative to the run directory.
MODEL_CHECK = ("evidence", "contamination", "examination.json")


class Run(RunContext):
    """The context of a run, and the results of its gates. Holds the run directory's lock until `close`.

    Args:
        config: of the run.
        rundir: the run directory.
        execution: how the shards of the scale gate are executed.
        display: shows progress.
    """

    def __init__(
        self,
        config: RunConfig,
        rundir: RunDir,
        execution: ExecutionOptions | None = None,
        display: Display | None = None,
    ) -> None:
        self._open = ExitStack()
        self._open.enter_context(rundir.lock())
        environment = collect_environment(device_info(config.model.device))
        # limits say when to stop, not what is made: raising one must not make a run another run
        identity = run_id(digest_of(config.model_dump(mode="json", exclude={"limits"})), code_digest())
        ledger = Ledger(rundir.logs / "budget_ledger.json", config.limits)
        progress = LimitedProgress(ledger, display or SilentProgress())
        super().__init__(
            config=config,
            rundir=rundir,
            run_id=identity,
            git=GitState(environment.git_commit, environment.git_branch, environment.git_dirty),
            progress=progress,
            base=LazyBaseModel(config.model, progress.say),
            ledger=ledger,
            session=Session(rundir, config, environment, identity),
        )
        self.environment = environment
        self.execution = execution or ExecutionOptions()
        self.preregistration = preregister(config)
        self.measured: dict[str, GateResult] = {}
        self.background: dict[str, ReviewContext] = {}
        self.seconds: dict[str, float] = {}
        self.reused: set[str] = set()

    # -- stages ------------------------------------------------------------------------------------------------------

    @contextmanager
    def phase(self, gate: str, **parameters: Any) -> Iterator[OpenPhase]:
        """A gate's work, after the run has committed itself: logged in the session manifest, held to its time limit."""
        started = utc_now()
        # not before a gate starts: a run that is refused leaves the evidence of another as it is
        write_json(self.rundir.path(*PREREGISTRATION), self.preregistration)
        self.progress.limit(gate, getattr(self.config.limits, gate))
        with self.session.phase(gate, parameters) as opened:
            try:
                yield opened
            finally:
                self.seconds[gate] = self.seconds.get(gate, 0.0) + (utc_now() - started).total_seconds()

    def judged(
        self, gate: str, values: Mapping[str, MetricValue], files: Iterable[Path], notes: tuple[str, ...] = ()
    ) -> GateResult:
        """Hold the values of a gate against the thresholds of the configuration."""
        return self.result(gate, gate_metrics(gate, self.config, values), files, notes)

    def result(
        self, gate: str, metrics: Iterable[Metric], files: Iterable[Path], notes: tuple[str, ...] = ()
    ) -> GateResult:
        """Bind the metrics of a gate to the digests of the files that they were computed from."""
        artifacts = {self.rundir.relative(path): sha256_file(path) for path in files}
        return GateResult(gate, tuple(metrics), artifacts, self.base.weights_digest, notes)

    def finish_gate(self, measured: GateResult, *, reused: bool, phase: OpenPhase | None = None) -> GateResult:
        """Keep what a gate measured, for its tests, its verdict and the session manifest."""
        self.measured[measured.gate] = measured
        if phase is not None:
            phase.artifacts = dict(measured.artifacts)
            phase.outcome = "reused" if reused else "made"
            phase.reasons += [metric.failure() for metric in measured.metrics if not metric.passed]
        if reused:
            self.reused.add(measured.gate)
            self.progress.say(f"{measured.gate}: reused, nothing it depends on has changed")
        return measured

    # -- verdicts ----------------------------------------------------------------------------------------------------

    def require_passed(self, gate: str) -> Verdict:
        """The standing verdict of a gate, on standing verdicts of all gates before it.

        Raises:
            PreconditionError: there is none, or one that no longer counts; says which evidence is missing or stale.
        """
        found = verdict_status(self.rundir, self.config, gate_named(gate))
        problem = missing_prerequisite(self.rundir, self.config, gate_named(gate)) or found.problem
        if found.verdict is None or problem:
            raise PreconditionError(f"{problem}; run the gates before this one first")
        if not self.base.is_passed:
            report = read_record(self.rundir.path(*MODEL_CHECK), ContaminationReport)
            if report.provenance is None:
                raise PreconditionError("gate contamination has passed no model; run it first")
            self.base.mark_passed(report.provenance)
        return found.verdict

    def problem_before(self, gate: str) -> str:
        """Why a gate may not start on the evidence in the run directory; empty if it may."""
        problem = missing_prerequisite(self.rundir, self.config, gate_named(gate))
        first = read_verdict(self.rundir, GATES[0])
        if not problem and gate != GATES[0].name and first and first.weights_digest != self.base.weights_digest:
            problem = f"the verdict of gate {GATES[0].name} is stale: the weights of the model have changed"
        return problem

    def decide(self, gate: str, outcomes: Mapping[str, str], errors: tuple[str, ...]) -> Verdict | None:
        """Write the verdict of a gate that was measured; None when there was nothing to judge.

        When a gate has failed, what later gates left in the run directory earlier is moved aside, and a review packet is
        written; when it has passed, the packet of an earlier failure is moved aside.
        """
        measured = self.measured.get(gate)
        if measured is None:
            return None
        verdict = record_verdict(self.rundir, self.config, measured, outcomes, errors)
        if verdict.outcome == "failed":
            supersede_outputs(self.rundir, gates_after(gate))
            self._review(measured)
        elif verdict.passed:
            archive_review(self.rundir, gate)
        self.session.note(f"gate {gate}: {verdict.outcome} {'; '.join(verdict.reasons)}".rstrip())
        return verdict

    def _review(self, measured: GateResult) -> None:
        """Write the packet of a failed gate, and run the user's review command on it, if there is one."""
        packet = write_packet(self.rundir, measured, self.background.get(measured.gate, ReviewContext()))
        command = os.environ.get(COMMAND_VARIABLE, "").strip()
        if command:
            said = run_review_command(self.rundir, packet, command, self.config.limits.review)
            self.session.note(said)
            self.progress.say(said)

    def close(self) -> None:
        """Write what was used, and let the run directory go."""
        with self._open:  # the lock goes even if the ledger cannot be written
            self.ledger.finish()

    # -- what people see ---------------------------------------------------------------------------------------------

    def suite_properties(self) -> dict[str, str]:
        """The properties of the JUnit suite: what ran, on what, from which code."""
        env, model = self.environment, self.config.model
        return {
            "run_id": self.run_id,
            "git_commit": env.git_commit,
            "git_dirty": str(env.git_dirty).lower(),
            "code_digest": env.code_digest,
            "config_digest": digest_of(self.config),
            "preregistration": digest_of(self.preregistration),
            "relaxed_thresholds": "; ".join(relaxed_thresholds(self.config, GATES[-1])) or "none",
            "profile": self.config.profile,
            "control": self.config.control,
            "seed": str(self.config.seed),
            "model": model.name,
            "weights_digest": self.base.weights_digest,
            "python": env.python,
            "torch": env.torch,
            "transformers": env.transformers,
            "packages": ", ".join(f"{name} {version}" for name, version in env.packages.items()),
            "cuda": str(env.cuda),
            "device": env.device,
            "device_memory_bytes": str(env.device_memory_bytes),
            "platform": env.platform,
            "cpu_count": str(env.cpu_count),
        }

    def metric_properties(self, measured: GateResult, metric: Metric) -> dict[str, str]:
        """The JUnit properties of one test: metric, value, threshold, interval, artifact and its SHA-256."""
        properties = {
            "gate": measured.gate,
            "metric": metric.name,
            "value": repr(metric.value),
            "threshold": metric_threshold(metric),
        }
        if metric.interval is not None:
            properties["interval"] = f"[{metric.interval.low:.6g}, {metric.interval.high:.6g}]"
        if metric.n is not None:
            properties["n"] = str(metric.n)
        if note := "; ".join(filter(None, (metric.note, *measured.notes))):
            properties["note"] = note
        if metric.artifact is not None:
            properties["artifact"] = metric.artifact
            properties["artifact_sha256"] = measured.artifacts[metric.artifact]
        return properties

    def header(self) -> list[str]:
        """What the run is and what of it already stands, for the head of the report."""
        # a gate that stands on one that does not is going to be decided again
        standing_gates = takewhile(lambda gate: verdict_status(self.rundir, self.config, gate).verdict, GATES)
        done = [gate.name for gate in standing_gates]
        control = f", control {self.config.control}" if self.config.control != "none" else ""
        lines = [
            f"ctai: profile {self.config.profile}, model {self.config.model.name}, seed {self.config.seed}{control}",
            f"ctai: run directory {self.rundir.root}",
        ]
        return lines + ([f"ctai: already passed: {', '.join(done)}"] if done else [])

    def table(
        self, selected: Iterable[str], verdicts: Mapping[str, Verdict | None], failure_reason: Callable[[str], str]
    ) -> list[str]:
        """The lines of the table of gates."""
        lines = []
        for gate in (gate_named(name) for name in selected):
            verdict = verdicts.get(gate.name)
            word = (
                verdict.outcome
                if verdict
                else "blocked"
                if "blocked by" in failure_reason(gate.name)
                else "not measured"
            )
            seconds = f"{self.seconds[gate.name]:.0f} s" if gate.name in self.seconds else ""
            reused = "(reused)" if gate.name in self.reused else ""
            lines.append(f"{gate.number:>3}  {gate.name:<14}{word.upper():<13}{seconds:>6} {reused}".rstrip())
            if verdict and verdict.passed:
                lines += [f"       relaxed threshold: {relaxed}" for relaxed in verdict.relaxed_thresholds]
                # what was measured on nothing passes too, which has to be seen
                shown = (m for m in verdict.metrics if m.name in _KEY_NUMBERS or m.n == 0)
                lines += [f"       {metric.sentence()}" for metric in shown]
            else:
                lines += [f"       {line}" for line in _misses(verdict) or [_short(failure_reason(gate.name))]]
            if verdict:
                lines.append(f"       {self.rundir.path(verdict_path(self.rundir, gate))}")
            if verdict and verdict.outcome == "failed":
                lines.append(f"       {packet_path(self.rundir, gate.name)}: samples of what went wrong")
        return lines


def _short(failure_reason: str) -> str:
    """Why a gate has no verdict; what the gate that blocks it missed stands in that gate's own lines."""
    return failure_reason.split(":")[0] if failure_reason.startswith("blocked by") else failure_reason


def _misses(verdict: Verdict | None) -> list[str]:
    """What a gate missed, each with value, interval and threshold, and what else speaks against it."""
    missed = [metric for metric in verdict.metrics if not metric.passed] if verdict else []
    said = {metric.failure() for metric in missed}
    others = [reason for reason in verdict.reasons if reason not in said] if verdict else []
    return [*(metric.sentence() for metric in missed), *others]


_KEY_NUMBERS = frozenset(
    {
        "sentinel_completion_rate",
        "sentinel_followed_and_stopped_rate",
        "heldout_items",
        "pair_critic_balanced_accuracy",
        "kept_examples",
        "pair_acceptance",
        "unique_examples",
        "base_zero_shot_content",
        "content_lift",
        "content_p_value",
    }
)
