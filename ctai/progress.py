"""Protocols for progress of long work, and a silent implementation.

Does not draw anything; the terminal implementation is in `ctai.pytest_plugin.progress`.
"""

from typing import Protocol


class Progress(Protocol):
    """Progress of one stage at a time, counted in steps."""

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of `total` steps."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` finished steps."""

    def finish(self) -> None:
        """End the stage."""


class Display(Progress, Protocol):
    """`Progress` that can also show single lines of text."""

    def say(self, text: str) -> None:
        """Show one line."""


class SilentProgress:
    """`Display` that shows nothing."""

    def start(self, stage: str, total: int) -> None:
        """Show nothing."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""
