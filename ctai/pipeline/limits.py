"""Limits of time and money, enforced wherever a stage reports progress."""

import time

from ctai.errors import CtaiError
from ctai.pipeline.budget import Ledger
from ctai.progress import Display


class LimitedProgress:
    """`Display` that books every step in the budget ledger and stops a stage that passes a limit.

    Args:
        ledger: counts time and money.
        display: shows the progress.
    """

    def __init__(self, ledger: Ledger, display: Display) -> None:
        self._ledger = ledger
        self._display = display
        self._deadline, self._limit_name, self._limit_seconds = float("inf"), "", 0.0

    def limit(self, name: str, seconds: float) -> None:
        """Raise at the next `advance` once this many seconds from now have passed."""
        self._deadline, self._limit_name, self._limit_seconds = time.monotonic() + seconds, name, seconds

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of `total` steps."""
        self._ledger.start(stage, total)
        self._display.start(stage, total)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` finished steps.

        Raises:
            CtaiError: the time limit or the budget has passed; finished batches are on disk, so the same command
                resumes.
        """
        self._display.advance(n, note)
        self._ledger.advance(n)
        if time.monotonic() > self._deadline:
            raise CtaiError(
                f"{self._limit_name} passed its time limit of {self._limit_seconds:.0f} s and was stopped; finished "
                f"batches are kept: rerun the same command to resume, or raise limits.{self._limit_name}"
            )

    def finish(self) -> None:
        """End the stage."""
        self._ledger.finish()
        self._display.finish()

    def say(self, text: str) -> None:
        """Show one line."""
        self._display.say(text)
