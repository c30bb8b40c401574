"""State of the gates in one session of pytest: outcomes, verdicts, errors and failed writes.

Owns the order of decisions: a gate is decided when the next one begins, and a gate that did not pass blocks those after
it. Does not implement hooks (`ctai.pytest_plugin.hooks`) or the table (`ctai.pytest_plugin.summary`).
"""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ctai.errors import CtaiError, disk_error_message
from ctai.pytest_plugin.progress import TerminalProgress
from ctai.registry import GateSpec, gates_before

if TYPE_CHECKING:
    from ctai.pipeline.run import Run
    from ctai.records import Verdict


class GateSession:
    """Outcomes, errors and verdicts of the gates of one session.

    Args:
        run: the run.
        display: progress on the terminal.

    Attributes:
        selected: names of the selected gates, in order.
        deselected: a test of a gate was deselected.
        whole: every test of every gate is selected.
        started: start of each gate (UTC).
        gate_of_test: gate of each test that has one, by node id.
        failed_tests: first line of the message of each failed test, by node id.
        outcomes: outcome of the test of each metric, by gate.
        errors: reasons why a gate has no metrics, by gate.
        untested: sentences about the skipped tests of a gate that assert no metric, by gate.
        verdicts: verdict of each decided gate; None where there was no result.
        metric_of_test: name of the metric that a test asserts, by node id.
        write_errors: messages on files that could not be written.
        draft: path of the JUnit report where the user names none.
    """

    def __init__(self, run: "Run", display: TerminalProgress) -> None:
        self.run = run
        self.display = display
        self.selected: list[str] = []
        self.deselected = False
        self.whole = False
        self.started: dict[str, datetime] = {}
        self.gate_of_test: dict[str, str] = {}
        self.failed_tests: dict[str, str] = {}
        self.current: str | None = None
        self.outcomes: dict[str, dict[str, str]] = {}
        self.errors: dict[str, list[str]] = {}
        self.untested: dict[str, list[str]] = {}
        self.verdicts: dict[str, Verdict | None] = {}
        self.metric_of_test: dict[str, str] = {}
        self.interrupted = False
        self.report_line = ""
        self.write_errors: list[str] = []
        self.on_sigterm: Any = signal.SIG_DFL
        self.draft = run.rundir.logs / f"junit-{run.session.session_id}.xml"

    @contextmanager
    def collect_write_errors(self) -> Iterator[None]:
        """Collect the message of a failed write after the gates, which changes the exit status but raises no error."""
        try:
            yield
        except (CtaiError, OSError) as error:
            if not (message := user_message(error)):
                raise
            self.write_errors.append(message)

    def write_report(self) -> None:
        """Write the HTML report; a failure changes no verdict."""
        from ctai.report import write_report

        self.report_line = "report: not written"
        with self.collect_write_errors():
            self.report_line = f"report: {write_report(self.run.rundir.root)}"

    @property
    def is_empty(self) -> bool:
        """True if no gate was selected and no test failed, so that there is nothing to report."""
        return not self.selected and not self.failed_tests

    @property
    def unaccounted_failures(self) -> dict[str, str]:
        """Failed tests of which no failed verdict of this session tells: by node id, the first line of the message."""
        failed = {name for name, verdict in self.verdicts.items() if verdict and verdict.outcome == "failed"}
        return {test: text for test, text in self.failed_tests.items() if self.gate_of_test.get(test) not in failed}

    def file_session(self) -> None:
        """Add this session to the log of the sessions, unless it was interrupted or changed nothing."""
        from ctai.evidence.sessions import file_session, session_entry

        if self.is_empty or self.interrupted:
            return
        run = self.run
        verdicts = {gate: verdict for gate, verdict in self.verdicts.items() if verdict is not None}
        failures = self.unaccounted_failures
        entry = session_entry(run.rundir, run.session, run.made_by, verdicts, failures, whole=self.whole)
        file_session(run.rundir, run.session, entry)

    def file_report(self, written: Path) -> None:
        """Copy the JUnit report without times into the evidence, then write the attestations.

        A refused or interrupted session files none. The report of a whole run is replaced only by a session with every test
        of every gate, and by a failed one only if a verdict in the report was replaced; any other is filed beside it.

        Args:
            written: path of the report that pytest wrote; the file stays there.
        """
        from ctai.evidence.attestation import write_attestations
        from ctai.evidence.junit_report import complete_report, strip_volatile_attributes, write_jenkins_report
        from ctai.rundir import write_bytes

        if self.is_empty or self.interrupted:
            return
        if written.is_file():
            complete_report(written, self.run.rundir, self.verdicts, self.started)
            target = self.run.rundir.junit_report
            if not self._replaces_report():
                target = target.with_name(f"gates-{self.run.session.session_id}.xml")
            write_bytes(target, strip_volatile_attributes(written))
            write_jenkins_report(written, self.run.rundir.report / "junit.xml")
        write_attestations(self.run.rundir)

    def _replaces_report(self) -> bool:
        """Return True if the report of this session becomes that of the run, which must agree with the verdicts."""
        from ctai.evidence.junit import links_recorded_verdicts

        if not self.run.rundir.junit_report.exists():
            return True
        passed = not self.failed_tests and all(map(self.passed, self.selected))
        return self.whole and (passed or not links_recorded_verdicts(self.run.rundir))

    def enter(self, gate: str) -> None:
        """Set the current gate, before a test of it runs; decides the gate before it."""
        if gate != self.current:
            self.leave()
            self.current = gate
            self.started.setdefault(gate, datetime.now(UTC))

    def leave(self) -> None:
        """Decide the current gate and write its verdict, if it has a result."""
        gate, self.current = self.current, None
        if gate is None or gate in self.verdicts:
            return
        errors = self.errors.setdefault(gate, [])
        self.verdicts[gate] = None
        try:
            untested = tuple(self.untested.get(gate, ()))
            self.verdicts[gate] = self.run.decide(gate, self.outcomes.get(gate, {}), tuple(errors), untested)
        except CtaiError as error:  # this message blocks the gates after it
            errors.append(str(error))

    def blocking_reason(self, gate: GateSpec) -> str:
        """Return why a gate is blocked: the first gate before it that did not pass in this session; empty if none."""
        for before in gates_before(gate.name):
            if before.name in self.selected and not self.passed(before.name):
                return f"blocked by gate {before.name}: {self.failure_reason(before.name)}"
        return ""

    def passed(self, gate: str) -> bool:
        """Return True if a gate has passed in this session."""
        verdict = self.verdicts.get(gate)
        return verdict is not None and verdict.passed

    def failure_reason(self, gate: str) -> str:
        """Return why a gate has not passed in this session."""
        verdict = self.verdicts.get(gate)
        if verdict is not None:
            return "; ".join(verdict.reasons)
        if self.interrupted and gate == self.current:
            return "interrupted; rerun the same command to resume"
        return "; ".join(self.errors.get(gate, [])) or "it was not run"

    def explanation(self, gate: str, metric: str) -> Any:
        """Return the explanation of a missed threshold, shown in place of a traceback; None if it was not missed."""
        from ctai.explain import explain

        result = self.run.results.get(gate)
        if result is None or not result.metric(metric).missed:
            return None
        return explain(self.run.rundir, gate, result.metric(metric))

    def add_failure(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Record a failed test, the error of its setup or teardown, or a file that cannot be collected."""
        if report.failed:
            self.failed_tests.setdefault(report.nodeid, _message_of(report))

    def add_outcome(self, gate: str, metric: str | None, report: pytest.TestReport) -> None:
        """Record the outcome of a test of a gate, or the error of its setup or teardown."""
        if metric is not None and report.when == "call":
            self.outcomes.setdefault(gate, {})[metric] = report.outcome
        elif report.failed:
            self.add_error(gate, _message_of(report))
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            name = report.nodeid.rpartition("::")[2]
            self.untested.setdefault(gate, []).append(f"{name} was skipped: {reason.removeprefix('Skipped: ')}")

    def add_error(self, gate: str, text: str) -> None:
        """Record why a gate has no metrics."""
        errors = self.errors.setdefault(gate, [])
        if text not in errors:  # a failed fixture fails every test that requests it
            errors.append(text)


def user_message(error: Exception) -> str:
    """Return the message of an error that a user can act on; empty for a bug."""
    if isinstance(error, OSError) and error.filename:
        return f"cannot use {error.filename}: {error.strerror}"
    return str(error) if isinstance(error, CtaiError) else disk_error_message(error)


def _message_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the first line of the message of a failed test."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return _first_line(crash.message if crash else str(report.longrepr))


def _first_line(text: str) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "it could not be measured")
    return re.sub(r"^[\w.]+(Error|Exception): ", "", line)
