"""Records about a run: stages, verdicts, and the session manifest."""

from datetime import datetime
from typing import Any

from pydantic import Field

from ctai.records.core import Metric, Outcome, Record, VersionedRecord
from ctai.records.model import Environment


class Preregistration(VersionedRecord):
    """What a run commits itself to before it measures anything.

    `thresholds` maps settings to values, `families` the test set's families to the digest of what they can ask.
    """

    hypothesis: str
    thresholds: dict[str, float | bool | str]
    families: dict[str, str]
    heldout_count: int
    seed: int


class Verdict(VersionedRecord):
    """What a gate decided, bound to what it judged.

    `artifacts` maps paths relative to the run directory to SHA-256; `previous` is the digest of the verdict before
    it; `key` is the digest of everything the gate depends on, of which `config` is the part that was configured;
    `preregistration` is that of what the run had committed itself to. `departures` names each threshold that is looser
    than ctai's own. A verdict is `incomplete` when not all of the gate's tests ran.
    """

    gate: str
    outcome: Outcome
    key: str
    metrics: tuple[Metric, ...]
    artifacts: dict[str, str]
    previous: str | None
    reasons: tuple[str, ...]
    config: dict[str, Any] = Field(default_factory=dict)
    config_digest: str
    code_digest: str
    weights_digest: str
    preregistration: str
    departures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the next gate may start."""
        return self.outcome == "passed"

    @property
    def by_the_book(self) -> bool:
        """Whether the gate has passed with thresholds no looser than ctai's own."""
        return self.passed and not self.departures


class StageManifest(VersionedRecord):
    """Written last by a stage: its existence means that the stage is complete."""

    stage: str
    key: str
    inputs: dict[str, str]
    artifacts: dict[str, str]
    parameters: dict[str, Any]
    outcome: str = "complete"
    notes: tuple[str, ...] = ()
    run_id: str


class BudgetEntry(Record):
    """What one stage has used so far, over all sessions."""

    stage: str
    seconds: float
    steps: int


class BudgetLedger(VersionedRecord):
    """What a run directory has cost; `hours` are those of all machines together."""

    cost_per_hour_usd: float
    budget_usd: float
    hours: float
    cost_usd: float
    entries: tuple[BudgetEntry, ...]


class Phase(Record):
    """One entry of the session manifest."""

    name: str
    started: datetime
    ended: datetime | None
    seconds: float
    commands: tuple[str, ...]
    parameters: dict[str, Any]
    outcome: str
    reasons: tuple[str, ...] = ()
    artifacts: dict[str, str] = Field(default_factory=dict)


class SessionManifest(VersionedRecord):
    """The log of a run directory: every phase of every session appends to it."""

    session_id: str
    run_id: str
    started: datetime
    host: str
    environment: Environment
    model: str
    config: dict[str, Any]
    planned: tuple[str, ...]
    budgets: dict[str, float]
    timeouts: dict[str, float]
    phases: tuple[Phase, ...] = ()
    notes: tuple[str, ...] = ()
