"""Display of progress: redrawn on a terminal, plain lines in a pipe and for CI systems, nothing when not attached."""

import io
import sys
import time
from typing import cast

import pytest
from _pytest._io import TerminalWriter

from ctai.config import QcThresholds
from ctai.gates.pilot import make_pilot
from ctai.model.lazy import LazyBaseModel
from ctai.pipeline.run import Run
from ctai.pytest_plugin.progress import TerminalProgress
from ctai.rundir import RunDir, write_jsonl
from ctai.tasks.heldout import build_heldout
from tests.support.finished import CONFIG, ScriptedBase

pytestmark = pytest.mark.unit


class Reporter:
    """The part of pytest's terminal reporter that progress uses, on a string."""

    def __init__(self, isatty: bool) -> None:
        self.isatty = isatty
        self.file = io.StringIO()
        self._tw = TerminalWriter(self.file)
        self._tw.fullwidth = 60

    def write(self, text: str) -> None:
        self._tw.write(text)

    def write_line(self, text: str) -> None:
        self._tw.line(text)

    def flush(self) -> None:
        self._tw.flush()


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "__stdout__", io.StringIO())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Clock that a test advances."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def shown(reporter: Reporter | None, clock: list[float]) -> str:
    """Return the output for a stage of 4 steps of 20 seconds each, after the name of a test file."""
    made = TerminalProgress()
    if reporter is not None:
        reporter.write("tests/test_x.py ")
        made.attach(reporter, None)
    made.start("pilot", 4)
    for _ in range(4):
        clock[0] += 20
        made.advance(1)
    made.finish()
    return reporter.file.getvalue() if reporter is not None else ""


def test_a_pipe_gets_plain_lines_with_rate_and_time_left(clock):
    lines = shown(Reporter(isatty=False), clock).splitlines()
    assert lines == [
        "tests/test_x.py ",
        "  pilot: 1/4  0.1/s  about 1 min 00 s left",
        "  pilot: 2/4  0.1/s  about 40 s left",
        "  pilot: 3/4  0.1/s  about 20 s left",
        "  pilot: 4/4  0.1/s  about 0 s left",
        "  pilot: 4 done in 1 min 20 s",
    ]


def test_a_terminal_gets_one_line_that_is_drawn_again(clock):
    text = shown(Reporter(isatty=True), clock)
    first, line, rest = text.split("\n")
    assert (first, rest) == ("tests/test_x.py ", "")
    drawn = [part.rstrip() for part in line.split("\r")[1:]]
    assert drawn[0] == "pilot: 0/4"
    assert drawn[1] == "pilot: 1/4  0.1/s  about 1 min 00 s left"
    assert drawn[-1] == "pilot: 4 done in 1 min 20 s"
    assert all(len(part) == 59 for part in line.split("\r")[1:])


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_a_log_that_calls_itself_a_terminal_gets_plain_lines(clock, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert "\r" not in shown(Reporter(isatty=True), clock)


def test_colors_are_never_used(clock):
    assert "\x1b" not in shown(Reporter(isatty=True), clock)


def test_without_a_terminal_nothing_is_written_and_nothing_fails(clock):
    assert shown(None, clock) == ""


def test_a_pilot_that_is_tried_again_says_which_attempt_and_why(tmp_path, tiny_model):
    config = CONFIG.model_copy(update={"qc": QcThresholds(median_tokens=0.5)})
    display = TerminalProgress()
    run = Run(config, RunDir.open(tmp_path / "run"), display=display)
    run.base = cast(LazyBaseModel, ScriptedBase(tiny_model))
    write_jsonl(run.rundir.heldout, build_heldout(300, 0, embedded=True))
    reporter = Reporter(isatty=False)
    display.attach(reporter, None)
    assert not all(metric.passed for metric in make_pilot(run).metrics)
    run.close()
    lines = [line.strip() for line in reporter.file.getvalue().splitlines()]
    messages = [line for line in lines if line.startswith("pilot: attempt") or " done in " in line]
    assert [line.split(": ")[0] for line in messages] == ["pilot shard 0", "pilot"] * 2 + ["pilot shard 0"]
    assert messages[1].startswith("pilot: attempt 2 of 3, because the previous one failed: median_tokens ")
    assert messages[3].startswith("pilot: attempt 3 of 3, because the previous one failed: median_tokens ")
