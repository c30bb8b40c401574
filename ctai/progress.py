"""Progress of long work, as protocols: whoever has a screen implements them."""

from typing import Protocol


class Progress(Protocol):
    """Told of the steps of one stage at a time."""

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of `total` steps."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` finished steps."""

    def finish(self) -> None:
        """End the stage."""


class Display(Progress, Protocol):
    """A `Progress` that can show single lines of text as well."""

    def say(self, text: str) -> None:
        """Show one line."""


class SilentProgress:
    """A `Display` that shows nothing."""

    def start(self, stage: str, total: int) -> None:
        """Show nothing."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""
