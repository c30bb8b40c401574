"""Records of a run: preregistration, verdicts, stage and session manifests, budget."""

from datetime import datetime
from typing import Any

from pydantic import Field

from ctai.records.core import Metric, Outcome, Record, VersionedRecord
from ctai.records.model import Environment


class Hypothesis(Record):
    """A hypothesis that a run is committed to: its name and its statement with test, margin and direction."""

    name: str
    statement: str


class MadeBy(Record):
    """Maker of an artifact: code, versions, device and commands, without times, host names or paths.

    Attributes:
        commands: normalized commands: only the options that determine results, files by their names.
    """

    git_commit: str
    git_dirty: bool
    code_digest: str
    loader_version: str
    python: str
    torch: str
    transformers: str
    cuda: str | None
    device: str
    commands: tuple[str, ...] = ()


class Preregistration(VersionedRecord):
    """Hypotheses, thresholds and test set that a run is committed to before it measures anything.

    Attributes:
        hypotheses: the primary one first.
        alpha_spending: rule by which comparisons on one test set share the significance level.
        thresholds: setting -> value.
        families: family of the test set -> digest of the instructions that it can produce.
        rivals: arms of the base that the trained model is compared with.
        heldout_count: number of items of the test set.
        heldout_sha256: SHA-256 of the file of the frozen test set, which is drawn by a rule and the seed alone.
        seed: seed of the run.
    """

    hypotheses: tuple[Hypothesis, ...]
    alpha_spending: str
    thresholds: dict[str, float | bool | str]
    families: dict[str, str]
    rivals: tuple[str, ...]
    heldout_count: int
    heldout_sha256: str
    seed: int


class PreregistrationStamp(VersionedRecord):
    """Record of an outside time stamp of the preregistration.

    Attributes:
        preregistration: path of the stamped file, relative to the run directory.
        sha256: its SHA-256 when it was stamped.
        answer: path of the stamp, relative to the run directory.
        answer_sha256: SHA-256 of the stamp.
    """

    preregistration: str
    sha256: str
    answer: str
    answer_sha256: str


class Verdict(VersionedRecord):
    """Verdict of a gate, bound by digests to the artifacts that it judged.

    Attributes:
        outcome: result; `incomplete` if not all tests of the gate ran.
        key: digest of everything the gate depends on.
        artifacts: path relative to the run directory -> SHA-256.
        previous: digest of the verdict before this one.
        config: part of the configuration on which the gate depends.
        preregistration: digest of the `Preregistration`.
        relaxed_thresholds: thresholds that are looser than the defaults.
        measured_by: makers of the artifacts, which may be sessions before the one that wrote the verdict.
        claim: statement of the result against the strongest rival; empty for a gate that compares none.
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
    relaxed_thresholds: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    measured_by: tuple[MadeBy, ...] = ()
    claim: str = ""

    @property
    def passed(self) -> bool:
        """True if the next gate may start."""
        return self.outcome == "passed"


class StageManifest(VersionedRecord):
    """Manifest of a stage, written last: its existence means that the stage is complete.

    `made_by` is no part of the key: a stage that another machine finished is reused, with the facts of that machine.
    """

    stage: str
    key: str
    inputs: dict[str, str]
    artifacts: dict[str, str]
    parameters: dict[str, Any]
    outcome: str = "complete"
    notes: tuple[str, ...] = ()
    run_id: str
    made_by: MadeBy | None = None


class BudgetEntry(Record):
    """Time used by one stage so far, over all sessions."""

    stage: str
    seconds: float
    steps: int


class BudgetLedger(VersionedRecord):
    """Cost of a run directory; `hours` are the sum over all machines."""

    cost_per_hour_usd: float
    budget_usd: float
    hours: float
    cost_usd: float
    entries: tuple[BudgetEntry, ...]


class Phase(Record):
    """Entry of the session manifest: one phase of a session, with its outcome."""

    name: str
    started: datetime
    ended: datetime | None
    seconds: float
    commands: tuple[str, ...]
    parameters: dict[str, Any]
    outcome: str
    reasons: tuple[str, ...] = ()
    artifacts: dict[str, str] = Field(default_factory=dict)


class SessionPhase(Record):
    """Phase of a session as the evidence records it: gate, outcome and reasons."""

    name: str
    outcome: str
    reasons: tuple[str, ...] = ()


class SessionEntry(Record):
    """Session that made or judged something.

    Attributes:
        made_by: code, versions, device and command of the session.
        whole: the session selected every test of every gate.
        phases: phases of the session, in order.
        outcomes: outcome of each gate that the session decided.
        failed_tests: failed test -> first line of its message, where no failed verdict accounts for it.
    """

    made_by: MadeBy
    whole: bool
    phases: tuple[SessionPhase, ...]
    outcomes: dict[str, Outcome]
    failed_tests: dict[str, str]


class SessionLog(VersionedRecord):
    """Attested log of the sessions of a run directory, bound to the session manifest by a digest.

    Attributes:
        sessions: sessions that made or judged something, in order.
        failed_tests: failed tests that no later session with every test of every gate has passed.
        phases: number of phases of the session manifest that the digest covers.
        notes: number of its notes that the digest covers.
        manifest_digest: digest of the session manifest, cut off after these phases and notes.
    """

    sessions: tuple[SessionEntry, ...]
    failed_tests: dict[str, str]
    phases: int
    notes: int
    manifest_digest: str


class SessionManifest(VersionedRecord):
    """Log of a run directory, to which every phase of every session is appended."""

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
