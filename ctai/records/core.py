"""What all records share, and the small ones that others are made of: rates, metrics, sampling, critiques."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Literal[1] = 1

FinishReason = Literal["stop", "eos", "length"]
Comparison = Literal["<", "<=", ">", ">=", "=="]
Outcome = Literal["passed", "failed", "incomplete"]


class Record(BaseModel):
    """Base of all records: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class VersionedRecord(Record):
    """A record that is a file, or a line of one, of its own; it names its schema version."""

    schema_version: Literal[1] = SCHEMA_VERSION


class Interval(Record):
    """A closed interval [low, high]."""

    low: float
    high: float


class Rate(Record):
    """`k` of `n`, with the Wilson 95% interval; `value` is nan when n is 0, so that it passes no threshold."""

    k: int
    n: int
    value: float
    interval: Interval


class Metric(Record):
    """One number that a gate judges by one threshold.

    `value` is compared with `threshold`; nan never passes. `note` says what the sample can and cannot show.
    `artifact` is the path, relative to the run directory, of the file the number was computed from.
    """

    name: str
    value: float
    comparison: Comparison
    threshold: float
    interval: Interval | None = None
    n: int | None = None
    artifact: str | None = None
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value meets the threshold."""
        v, t = self.value, self.threshold
        return {"<": v < t, "<=": v <= t, ">": v > t, ">=": v >= t, "==": v == t}[self.comparison]

    def sentence(self) -> str:
        """The number, its interval and the threshold in a line: `runaway_rate 0.21 [0.15, 0.28] (n=150) must be < 0.05`."""
        interval = f" [{self.interval.low:.3g}, {self.interval.high:.3g}]" if self.interval else ""
        count = f" (n={self.n})" if self.n is not None else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.name} {self.value:.4g}{interval}{count} must be {self.comparison} {self.threshold:g}{note}"

    def failure(self) -> str:
        """What went wrong in a few words, such as `runaway_rate 0.209 >= 0.05`."""
        inverse = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!="}[self.comparison]
        return f"{self.name} {self.value:.3g} {inverse} {self.threshold:g}"


class Sampling(Record):
    """How to generate. `temperature` 0 is greedy; `top_p` 1 and `repetition_penalty` 1 change nothing."""

    temperature: float = Field(0.0, ge=0, le=5, description="0 is greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="least mass of the likeliest tokens to draw from")
    repetition_penalty: float = Field(1.0, gt=0, le=5, description="1 is none")
    max_new_tokens: int = Field(200, ge=1, description="budget of one text")
    stop: tuple[str, ...] = Field((), description="strings that end a text")


class Completion(Record):
    """What a model wrote after a prompt.

    `text` is decoded, up to and without the stop string; `raw` is all that was generated, decoded, the stop string
    included and special tokens left out; `token_ids` are all generated ids, the end-of-text id included.
    """

    text: str
    raw: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason


class Critique(Record):
    """An A/B judgement by next-token log-probabilities (natural logarithm)."""

    is_good: bool
    predicted_label: Literal["A", "B"]
    logp_a: float
    logp_b: float
    margin: float
    confident: bool

    @property
    def accepted(self) -> bool:
        """Good and confident: the one definition of acceptance."""
        return self.is_good and self.confident


def utc_now() -> datetime:
    """The time with its zone, UTC."""
    return datetime.now(UTC)
