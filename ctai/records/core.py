"""Base classes of all records and the building blocks of larger ones: rates, metrics, sampling parameters, critiques."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Literal[3] = 3

FinishReason = Literal["stop", "eos", "length"]
Comparison = Literal["<", "<=", ">", ">=", "=="]
Outcome = Literal["passed", "failed", "incomplete"]
Split = Literal["asked", "unseen"]


class Record(BaseModel):
    """Base class of all records: immutable, unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class VersionedRecord(Record):
    """Record that is a whole file or a whole line of a file, and therefore carries its schema version."""

    schema_version: Literal[3] = SCHEMA_VERSION


class Interval(Record):
    """Closed interval [low, high]."""

    low: float
    high: float


class Rate(Record):
    """Proportion `k` of `n` with its Wilson 95% interval; `value` is nan if n is 0, so that it passes no threshold."""

    k: int
    n: int
    value: float
    interval: Interval

    @property
    def text(self) -> str:
        """Value and interval, such as `0.583 [0.511, 0.651]`."""
        return f"{self.value:.3f} [{self.interval.low:.3f}, {self.interval.high:.3f}]"


class ClusteredRate(Rate):
    """Proportion of items that come in clusters (families); the interval is clustered.

    Attributes:
        clusters: number of clusters.
        design_effect: variance of the proportion over that of as many independent items, at least 1.
        effective_n: number of independent items that would tell as much, `n` / `design_effect`.
    """

    clusters: int
    design_effect: float
    effective_n: float


class Metric(Record):
    """Value that a gate compares with one threshold.

    Attributes:
        name: name in the registry of gates, such as `runaway_rate`.
        value: left side of the comparison; nan never passes.
        comparison: operator that must hold.
        threshold: right side of the comparison.
        interval: 95% interval of the value, if there is one.
        n: sample size, if there is one.
        artifact: file from which the value was computed, relative to the run directory.
        note: limits of the sample, or the details behind the value.
        applicable: False where the run has nothing to measure; such a metric neither passes nor fails.
    """

    name: str
    value: float
    comparison: Comparison
    threshold: float
    interval: Interval | None = None
    n: int | None = None
    artifact: str | None = None
    note: str = ""
    applicable: bool = True

    @property
    def passed(self) -> bool:
        """True if the metric applies and its value meets the threshold."""
        return self.applicable and self._is_met

    @property
    def missed(self) -> bool:
        """True if the metric applies and its value does not meet the threshold."""
        return self.applicable and not self._is_met

    @property
    def _is_met(self) -> bool:
        v, t = self.value, self.threshold
        return {"<": v < t, "<=": v <= t, ">": v > t, ">=": v >= t, "==": v == t}[self.comparison]

    def sentence(self) -> str:
        """Return value, interval and threshold in a line: `runaway_rate 0.21 [0.15, 0.28] (n=150) must be < 0.05`."""
        if not self.applicable:
            return f"{self.name} not applicable{f': {self.note}' if self.note else ''}"
        interval = f" [{self.interval.low:.3g}, {self.interval.high:.3g}]" if self.interval else ""
        count = f" (n={self.n})" if self.n is not None else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.name} {self.value:.4g}{interval}{count} must be {self.comparison} {self.threshold:g}{note}"

    def failure(self) -> str:
        """Return the failed comparison, such as `runaway_rate 0.209 >= 0.05`."""
        inverse = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!="}[self.comparison]
        return f"{self.name} {self.value:.3g} {inverse} {self.threshold:g}"


class Sampling(Record):
    """Sampling parameters of a generation; the defaults are greedy decoding."""

    temperature: float = Field(0.0, ge=0, le=5, description="sampling temperature; 0 is greedy decoding")
    top_p: float = Field(1.0, gt=0, le=1, description="nucleus sampling probability mass (top-p)")
    repetition_penalty: float = Field(1.0, gt=0, le=5, description="repetition penalty; 1 disables it")
    max_new_tokens: int = Field(200, ge=1, description="maximum new tokens per completion")
    stop: tuple[str, ...] = Field((), description="stop strings, which end a completion")


class Completion(Record):
    """Completion of a prompt by a model.

    Attributes:
        text: decoded text up to the stop string, which is excluded.
        raw: decoded text of everything that was generated, including the stop string, without special tokens.
        token_ids: all generated token ids, including the end-of-text id.
        finish_reason: `stop` (stop string), `eos` (end-of-text token) or `length` (token limit).
    """

    text: str
    raw: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason


class Critique(Record):
    """A/B judgement by next-token log-probabilities.

    Attributes:
        is_good: the predicted label is the one that stands for good.
        predicted_label: label with the higher log-probability.
        logp_a: log-probability of label A (nats).
        logp_b: log-probability of label B (nats).
        margin: absolute difference of the two log-probabilities (nats).
        confident: the margin reaches `critic.confident_margin`.
    """

    is_good: bool
    predicted_label: Literal["A", "B"]
    logp_a: float
    logp_b: float
    margin: float
    confident: bool

    @property
    def accepted(self) -> bool:
        """True if good and confident: the single definition of acceptance."""
        return self.is_good and self.confident


def utc_now() -> datetime:
    """Return the current time, with the zone UTC."""
    return datetime.now(UTC)
