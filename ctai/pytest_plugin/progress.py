"""Terminal display of progress while pytest captures output: rate and remaining time."""

import os
import sys
import time
from contextlib import nullcontext
from typing import Any

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_REDRAWS = 0.5


class TerminalProgress:
    """`Display` of one stage at a time; silent until attached to a terminal reporter.

    On a terminal the line is redrawn in place. In a pipe, and where the variable `CI` is set, a plain line is written
    every ten seconds.
    """

    def __init__(self) -> None:
        self._reporter: Any = None
        self._capture: Any = None
        self._stage, self._total, self._done, self._note = "", 0, 0, ""
        self._drawing = False
        self._started = self._drawn = time.monotonic()

    def attach(self, reporter: Any, capture: Any) -> None:
        """Write through the terminal reporter of pytest, with capture of output suspended."""
        self._reporter, self._capture = reporter, capture

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of `total` steps."""
        self._stage, self._total, self._done, self._note = stage, total, 0, ""
        self._started = time.monotonic()
        self._drawn = 0.0 if self._on_terminal() else self._started
        self._draw()

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` finished steps."""
        self._done += n
        self._note = note
        self._draw()

    def finish(self) -> None:
        """End the stage, and write its number of steps and duration."""
        seconds = time.monotonic() - self._started
        self._write(f"{self._stage}: {self._done} done in {_duration(seconds)} {self._note}".rstrip(), final=True)

    def say(self, text: str) -> None:
        """Write one line."""
        self._write(text, final=True)

    def _draw(self) -> None:
        now = time.monotonic()
        pause = _SECONDS_BETWEEN_REDRAWS if self._on_terminal() else _SECONDS_BETWEEN_LINES
        if now - self._drawn < pause:
            return
        self._drawn = now
        line = f"{self._stage}: {self._done}/{self._total}"
        if self._done:
            rate = self._done / max(now - self._started, 1e-9)
            remaining = max(self._total - self._done, 0) / rate
            line += f"  {rate:.1f}/s  about {_duration(remaining)} left"
        self._write(f"{line}  {self._note}".rstrip(), final=False)

    def _on_terminal(self) -> bool:
        """Return True if a line can be redrawn; the log of a CI system keeps every line, even if it reports a terminal."""
        is_terminal = self._reporter is not None and self._reporter.isatty and sys.__stdout__ is not None
        return bool(is_terminal and not os.environ.get("CI") and os.environ.get("TERM") != "dumb")

    def _write(self, line: str, *, final: bool) -> None:
        if self._reporter is None:
            return
        with self._capture.global_and_fixture_disabled() if self._capture else nullcontext():
            if not self._drawing and self._reporter._tw.width_of_current_line:
                self._reporter.write("\n")  # after the name of a file or the dots of its tests
            if self._on_terminal():
                width = max(self._reporter._tw.fullwidth - 1, 20)
                self._reporter.write("\r" + line[:width].ljust(width) + ("\n" if final else ""))
                self._drawing = not final
            else:
                self._reporter.write_line(f"  {line}")
            self._reporter.flush()


def _duration(seconds: float) -> str:
    """Format a duration as `42 s`, `3 min 05 s` or `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
