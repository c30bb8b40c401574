"""Every record that reaches a disk: typed, frozen, and with a schema version.

This module defines shapes only. It computes nothing but properties that follow from a record's own fields.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Literal[1] = 1

FinishReason = Literal["stop", "eos", "length"]
Comparison = Literal["<", "<=", ">", ">=", "=="]
Outcome = Literal["passed", "failed", "incomplete"]


class Record(BaseModel):
    """Base of all records: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Stored(Record):
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

    temperature: float = Field(0.0, ge=0, le=5)
    top_p: float = Field(1.0, gt=0, le=1)
    repetition_penalty: float = Field(1.0, gt=0, le=5)
    max_new_tokens: int = Field(200, ge=1)
    stop: tuple[str, ...] = ()


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


class SentinelResult(Record):
    """One prompt of the sentinel suite and what the model did with it."""

    name: str
    kind: Literal["completion", "bare_instruction", "control_token"]
    prompt: str
    response: str
    finish_reason: FinishReason | None
    passed: bool
    value: float
    detail: str = ""


class SentinelReport(Record):
    """The suite's two findings, kept apart: instruct weights (stops everything) and instruction-following (reported)."""

    completion_rate: Rate
    followed_rate: Rate
    followed_and_stopped_rate: Rate
    control_token_mass: float
    statistic: str
    instruct_weights: bool
    follows_instructions: bool
    reasons: tuple[str, ...]
    results: tuple[SentinelResult, ...]


class Environment(Record):
    """What the code ran on. Times and host names are not here: they belong to the session manifest."""

    git_commit: str
    git_branch: str
    git_dirty: bool
    code_digest: str
    loader_version: str
    python: str
    torch: str
    transformers: str
    packages: dict[str, str]
    cuda: str | None
    device: str
    device_memory_bytes: int | None
    platform: str
    cpu_count: int


class ModelProvenance(Record):
    """Which model was loaded, how, and what the checks said. `requested_*` is what was asked for."""

    loader_version: str
    requested: str
    model_id: str
    revision: str | None
    weights_digest: str
    tokenizer_digest: str
    architecture: str
    parameters: int
    requested_quantization: str
    quantization: Literal["none", "nf4"]
    double_quantization: bool
    compute_dtype: str
    device: str
    template_disabled: bool
    template_was_present: bool
    add_special_tokens: bool
    bos_allowed: bool
    special_token_delta: int
    control_token_ids: tuple[int, ...]
    control_tokens: tuple[str, ...]
    adapter_digest: str | None = None
    sentinels: SentinelReport | None = None

    def identity(self) -> dict[str, str]:
        """All that was resolved and changes what the base computes, as inputs of a stage; an adapter comes on top."""
        return {
            "weights_digest": self.weights_digest,
            "tokenizer_digest": self.tokenizer_digest,
            "quantization": self.quantization,
            "compute_dtype": self.compute_dtype,
            "device": self.device,
            "bos_allowed": str(self.bos_allowed),
        }


class ContaminationFinding(Record):
    """One reason why a model must not be used as a base model."""

    name: str
    message: str


class ContaminationReport(Stored):
    """What gate 1 found; `provenance` is None when a finding forbade even to load the weights."""

    findings: tuple[ContaminationFinding, ...]
    provenance: ModelProvenance | None


class ExampleMetadata(Record):
    """Where an example comes from; with the recorded prompt it is enough to make the example again."""

    git_commit: str
    git_dirty: bool
    loader_version: str
    model: str
    weights_digest: str
    quantization: str
    template_disabled: bool
    sentinel_tests_passed: bool
    stage: str
    shard: int
    item: int
    seed: int
    sampling: Sampling
    run_id: str
    response_tokens: int


class Example(Stored):
    """One line of a dataset: a pair, how it was made and how it was judged."""

    instruction: str
    response: str
    prompt: str
    completion: str
    finish_reason: FinishReason
    instruction_critique: Critique
    pair_critique: Critique
    metadata: ExampleMetadata


class Rejection(Stored):
    """Something generated that was not kept, with the phase and the reason, so that no loss is silent.

    `prompt` and `seed` are those of the response, where there was one; those of lists are in the `GenerationRound`.
    """

    phase: Literal["parse", "instruction", "response", "pair", "dedup", "decontaminate"]
    reason: str
    instruction: str
    response: str = ""
    completion: str = ""
    finish_reason: FinishReason | None = None
    critique: Critique | None = None
    shard: int
    item: int
    repeats: str = ""
    prompt: str = ""
    seed: int | None = None


class GeneratedResponse(Record):
    """What quality control needs to know of one generated response, kept or not.

    `tokens` counts the cleaned text. `faults` are those of the cleaned text, `raw_faults` those of all that the model
    wrote. `heuristic_cut` says that the cleaner had to cut more than the stop string and what follows it.
    """

    item: int
    tokens: int
    finish_reason: FinishReason
    delimiter_found: bool
    heuristic_cut: bool
    faults: tuple[str, ...]
    raw_faults: tuple[str, ...]


class GeneratedList(Record):
    """One list of instructions as it was asked for and as it came back."""

    prompt: str
    seed: int
    raw: str
    finish_reason: FinishReason


class GenerationRound(Stored):
    """Everything that one round of a shard generated and judged, so that rates are over all of it.

    `list_lines` counts the lines in the generated lists, `parsed` the instructions found in them.
    """

    shard: int
    round: int
    lists: tuple[GeneratedList, ...]
    list_lines: int
    parsed: int
    instruction_critiques: tuple[Critique, ...]
    responses: tuple[GeneratedResponse, ...]
    pair_critiques: tuple[Critique, ...]


class RoundBatch(Stored):
    """The file of one finished round: what it generated, what was kept of it and what was not."""

    generation: GenerationRound
    examples: tuple[Example, ...]
    rejections: tuple[Rejection, ...]


class CriticCalibration(Stored):
    """How well the critic agrees with labelled probes on the model at hand.

    `balanced_accuracy` is of `is_good`, `auroc` of `logp_a - logp_b`. `coverage_mean` is the mean of P(A) + P(B).
    `label_bias` is the mean P(A) / (P(A) + P(B)) where there is nothing to judge; 0.5 is no bias. `swap_agreement` is
    the rate of the same verdict when the worked examples stand in reverse order. `acceptance` is the rate of accepted
    probes by kind; `good` ones should be.
    """

    kind: Literal["instructions", "pairs"]
    n: int
    balanced_accuracy: float
    balanced_accuracy_interval: Interval
    auroc: float
    auroc_interval: Interval
    coverage_mean: float
    coverage_minimum: float
    label_bias: float
    swap_agreement: Rate
    acceptance: dict[str, Rate]


class TokenStats(Record):
    """Response lengths in tokens."""

    n: int
    median: float
    mean: float
    p95: float
    maximum: int


class QcSummary(Stored):
    """Quality control of a pilot, a shard or the merged union."""

    stage: str
    counts: dict[str, int]
    acceptance: dict[str, Rate]
    token_stats: TokenStats
    margins: dict[str, dict[str, float]]
    rates: dict[str, Rate]
    thresholds: tuple[Metric, ...]
    thresholds_passed: bool
    failed_reasons: tuple[str, ...]
    inputs: dict[str, str]
    run_id: str


class Verdict(Stored):
    """What a gate decided, bound to what it judged.

    `artifacts` maps paths relative to the run directory to SHA-256; `previous` is the digest of the verdict before
    it; `key` is the digest of everything the gate depends on. A verdict is `incomplete` when not all of the gate's
    tests ran.
    """

    gate: str
    outcome: Outcome
    key: str
    metrics: tuple[Metric, ...]
    artifacts: dict[str, str]
    previous: str | None
    reasons: tuple[str, ...]
    config_digest: str
    code_digest: str
    weights_digest: str
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the next gate may start."""
        return self.outcome == "passed"


class HeldoutItem(Stored):
    """One instruction of the frozen test set; its family's checker scores the answers."""

    item: int
    family: str
    type: str
    key: str
    instruction: str


class StageManifest(Stored):
    """Written last by a stage: its existence means that the stage is complete."""

    stage: str
    key: str
    inputs: dict[str, str]
    artifacts: dict[str, str]
    parameters: dict[str, Any]
    outcome: str = "complete"
    notes: tuple[str, ...] = ()
    run_id: str


class PilotAttempt(Record):
    """One rung of the pilot's ladder: the parameters it used, and what quality control said."""

    folder: str
    generation: dict[str, Any]
    passed: bool
    reasons: tuple[str, ...]


class PilotLadder(Stored):
    """The pilot and its retries, in order; the last one is the pilot that the gate judges."""

    attempts: tuple[PilotAttempt, ...]


class TrainingManifest(Stored):
    """What an adapter was trained on, and how it went."""

    dataset: str
    dataset_digest: str
    qc_summary: str
    qc_summary_digest: str
    scale_verdict: str
    base_weights_digest: str
    hyperparameters: dict[str, Any]
    examples: int
    supervised_tokens: int
    steps: int
    epochs: float
    loss_first: float
    loss_last: float
    losses: tuple[float, ...]
    checkpoints: tuple[str, ...]
    adapter: str
    adapter_digest: str
    success_marker: str
    evaluation: str
    run_id: str


class TrainingStep(Record):
    """One optimizer step; `loss` is the mean over the step's supervised tokens, in nats."""

    step: int
    epoch: float
    learning_rate: float
    loss: float


class EvaluationItem(Stored):
    """One answer of one arm to one held-out item, scored on raw output."""

    arm: str
    item: int
    family: str
    type: str
    instruction: str
    prompt: str
    response: str
    raw: str
    finish_reason: FinishReason
    content: bool
    strict: bool
    failure_reason: str
    tokens: int


class McNemar(Record):
    """McNemar's test on paired outcomes: the two discordant counts, named so that they cannot be swapped."""

    only_base: int
    only_sft: int
    statistic: float
    p_value: float
    exact: bool


class PairedComparison(Record):
    """Two arms on the same items, on one success level."""

    n: int
    base: Rate
    sft: Rate
    lift: float
    lift_interval: Interval
    mcnemar: McNemar
    cohens_h: float
    p_adjusted: float | None = None
    significant: bool | None = None
    regression: bool = False


class EvaluationSummary(Stored):
    """The evaluation of one adapter against its base."""

    overall: PairedComparison
    overall_strict: PairedComparison
    by_type: dict[str, PairedComparison]
    baselines: dict[str, Rate]
    bh_correction: dict[str, float]
    non_regression: dict[str, str]
    arms: dict[str, str]
    logit_difference: float
    noise_floor: Rate
    go: bool
    metadata: dict[str, Any]
    run_id: str


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
    artifacts: dict[str, str] = {}


class SessionManifest(Stored):
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


def utc_now() -> datetime:
    """The time with its zone, UTC."""
    return datetime.now(UTC)
