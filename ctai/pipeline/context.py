"""Context of a run, shared by its stages, its scheduler and its gates."""

from dataclasses import dataclass

from ctai.model.lazy import LazyBaseModel
from ctai.pipeline.budget import Ledger
from ctai.pipeline.limits import LimitedProgress
from ctai.provenance import Session, StageContext


@dataclass(kw_only=True)
class RunContext(StageContext):
    """Stage context with the base model, the budget ledger and the session manifest.

    Attributes:
        progress: shows steps, and enforces the limits of time and money.
        base: the base model, loaded on first use.
        ledger: the time and money that the run has used.
        session: the session manifest.
    """

    progress: LimitedProgress
    base: LazyBaseModel
    ledger: Ledger
    session: Session

    def announce(self, stage: str, steps: int, advice: str) -> None:
        """Show the estimated time and cost of a stage.

        Raises:
            PreconditionError: the estimate exceeds the budget; see `Ledger.require`.
        """
        self.progress.say(self.ledger.require(stage, steps, advice))

    def report(self, text: str) -> None:
        """Show a line and note it in the session manifest."""
        self.progress.say(text)
        self.session.note(text)
