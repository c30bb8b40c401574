"""What became of each gate in one session of pytest: outcomes, verdicts, errors, and what could not be written.

Owns the order of deciding: a gate is decided when the next one begins, and what comes after a gate that did not pass is
blocked. The hooks that tell it what happens are `ctai.pytest_plugin.hooks`'s.
"""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ctai.errors import CtaiError, disk_error_message
from ctai.pytest_plugin.progress import TerminalProgress
from ctai.registry import GATE_NAMES, GateSpec, gates_before

if TYPE_CHECKING:
    from ctai.pipeline.run import Run
    from ctai.records import Verdict


class GateSession:
    """What happened to each gate in this session."""

    def __init__(self, run: "Run", display: TerminalProgress) -> None:
        self.run = run
        self.display = display
        self.selected: list[str] = []
        self.current: str | None = None
        self.outcomes: dict[str, dict[str, str]] = {}
        self.errors: dict[str, list[str]] = {}
        self.verdicts: dict[str, Verdict | None] = {}
        self.asserted: dict[str, str] = {}
        self.interrupted = False
        self.page = ""
        self.write_errors: list[str] = []
        self.on_sigterm: Any = signal.SIG_DFL
        self.draft = run.rundir.logs / f"junit-{run.session.session_id}.xml"

    @contextmanager
    def tells(self) -> Iterator[None]:
        """Keep as one sentence that something could not be written when the gates had run; the exit status tells it."""
        try:
            yield
        except (CtaiError, OSError) as error:
            if not (sentence := user_message(error)):
                raise
            self.write_errors.append(sentence)

    def write_page(self) -> None:
        """Write the report as a page; that it cannot be written changes no verdict."""
        from ctai.report import write_report

        self.page = "report: not written"
        with self.tells():
            self.page = f"report: {write_report(self.run.rundir.root)}"

    def file_report(self, written: Path) -> None:
        """File the JUnit report in the evidence, then state what the evidence is, file by file.

        A refusal, an interrupted session or a part of the gates never replaces the report of a whole run. What is filed
        is without times, which stay in what pytest wrote.

        Args:
            written: where pytest wrote the report; a user's own file stays there too.
        """
        from ctai.evidence.attestation import write_attestations
        from ctai.evidence.junit import link_verdicts, strip_volatile_attributes, write_jenkins_report
        from ctai.rundir import write_bytes

        if not self.selected or self.interrupted:
            return
        if written.is_file():
            link_verdicts(written, self.run.rundir, self.verdicts)
            whole = self.run.rundir.evidence / "gates.xml"
            is_whole = tuple(self.selected) == GATE_NAMES or not whole.exists()
            name = whole.name if is_whole else f"gates-{self.run.session.session_id}.xml"
            write_bytes(whole.with_name(name), strip_volatile_attributes(written))
            write_jenkins_report(written, self.run.rundir.report / "junit.xml")
        write_attestations(self.run.rundir)

    def enter(self, gate: str) -> None:
        """Note that a test of this gate is about to run; a gate that has ended is decided first."""
        if gate != self.current:
            self.leave()
            self.current = gate

    def leave(self) -> None:
        """Decide the current gate and write its verdict, if its fixture measured anything."""
        gate, self.current = self.current, None
        if gate is None or gate in self.verdicts:
            return
        errors = self.errors.setdefault(gate, [])
        self.verdicts[gate] = None
        try:
            self.verdicts[gate] = self.run.decide(gate, self.outcomes.get(gate, {}), tuple(errors))
        except CtaiError as error:  # what comes after is blocked by this very sentence
            errors.append(str(error))

    def reason_to_block(self, gate: GateSpec) -> str:
        """Why a gate may not start: the first gate before it that did not pass in this session; empty if it may."""
        for before in gates_before(gate.name):
            if before.name in self.selected and not self.passed(before.name):
                return f"blocked by gate {before.name}: {self.failure_reason(before.name)}"
        return ""

    def passed(self, gate: str) -> bool:
        """Whether a gate of this session has passed."""
        verdict = self.verdicts.get(gate)
        return verdict is not None and verdict.passed

    def failure_reason(self, gate: str) -> str:
        """Why a gate of this session has not passed."""
        verdict = self.verdicts.get(gate)
        if verdict is not None:
            return "; ".join(verdict.reasons)
        if self.interrupted and gate == self.current:
            return "interrupted; the same command resumes it"
        return "; ".join(self.errors.get(gate, [])) or "it was not run"

    def explanation(self, gate: str, metric: str) -> Any:
        """Why the test of a metric failed, in the place of a traceback; None if the metric has met its threshold."""
        from ctai.explain import explain

        measured = self.run.measured.get(gate)
        found = measured.metric(metric) if measured else None
        return explain(self.run.rundir, gate, found) if found and not found.passed else None

    def note(self, gate: str, metric: str | None, report: pytest.TestReport) -> None:
        """Keep what one phase of one test says about its gate."""
        if metric is not None and report.when == "call":
            self.outcomes.setdefault(gate, {})[metric] = report.outcome
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.trouble(gate, _first_line(crash.message if crash else str(report.longrepr)))

    def trouble(self, gate: str, text: str) -> None:
        """Keep why a gate could not be measured."""
        known = self.errors.setdefault(gate, [])
        if text not in known:  # a fixture that failed fails every test that asks for it
            known.append(text)


def user_message(error: Exception) -> str:
    """What a user can do something about, as one sentence; empty for a bug."""
    if isinstance(error, OSError) and error.filename:
        return f"cannot use {error.filename}: {error.strerror}"
    return str(error) if isinstance(error, CtaiError) else disk_error_message(error)


def _first_line(text: str) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "it could not be measured")
    return re.sub(r"^[\w.]+(Error|Exception): ", "", line)
