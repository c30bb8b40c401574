"""Records about data: examples, what was rejected and why, what was generated, quality control, the test set."""

from typing import Any, Literal

from ctai.records.core import Critique, FinishReason, Interval, Metric, Rate, Record, Sampling, VersionedRecord


class ExampleMetadata(Record):
    """Where an example comes from; with the recorded prompt it is enough to make the example again.

    An example of a model whose template was not disabled, or whose sentinels failed, can be neither written nor read.
    """

    git_commit: str
    git_dirty: bool
    loader_version: str
    model: str
    weights_digest: str
    quantization: str
    template_disabled: Literal[True]
    sentinel_tests_passed: Literal[True]
    stage: str
    shard: int
    item: int
    seed: int
    sampling: Sampling
    run_id: str
    response_tokens: int


class Example(VersionedRecord):
    """One line of a dataset: a pair, how it was made and how it was judged."""

    instruction: str
    response: str
    prompt: str
    completion: str
    finish_reason: FinishReason
    instruction_critique: Critique
    pair_critique: Critique
    metadata: ExampleMetadata


class Rejection(VersionedRecord):
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


class GenerationRound(VersionedRecord):
    """Everything that one round of a shard generated and judged, so that rates are over all of it.

    `list_lines` counts the lines in the generated lists, `parsed` the instructions found in them, `batch_splits` how
    often a batch was halved for want of memory: other batches, other rounding, so perhaps another text.
    """

    shard: int
    round: int
    batch_splits: int = 0
    lists: tuple[GeneratedList, ...]
    list_lines: int
    parsed: int
    instruction_critiques: tuple[Critique, ...]
    responses: tuple[GeneratedResponse, ...]
    pair_critiques: tuple[Critique, ...]


class RoundBatch(VersionedRecord):
    """The file of one finished round: what it generated, what was kept of it and what was not."""

    generation: GenerationRound
    examples: tuple[Example, ...]
    rejections: tuple[Rejection, ...]


class ProbeJudgement(VersionedRecord):
    """What the critic says of one labelled probe, or of one input with nothing to judge.

    `fault` is `good`, the probe's fault, or `content-free`, whose `label` is empty. `reverse` is the judgement with the
    worked examples in reverse order, `swapped` the one asked with the letters exchanged: B for good.
    """

    kind: Literal["instructions", "pairs"]
    fault: str
    label: Literal["A", "B", ""]
    instruction: str
    response: str
    critique: Critique
    reverse: Critique
    swapped: Critique


class CriticCalibration(VersionedRecord):
    """How well the critic agrees with labelled probes on the model at hand; all of it follows from `ProbeJudgement`s.

    `balanced_accuracy` is of `is_good`, `auroc` of `logp_a - logp_b`. `coverage_mean` is the mean of P(A) + P(B).
    `label_bias` is the mean P(A) / (P(A) + P(B)) where there is nothing to judge; 0.5 is no bias. `order_agreement` is
    the rate of the same verdict when the worked examples stand in reverse order. `swapped_balanced_accuracy` and
    `swapped_label_bias` are measured with the letters exchanged: near or below 0.5 the critic knows the letter, not what
    it means. `acceptance` is the rate of accepted probes by fault; `good` ones should be.
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
    order_agreement: Rate
    swapped_balanced_accuracy: float
    swapped_balanced_accuracy_interval: Interval
    swapped_label_bias: float
    acceptance: dict[str, Rate]


class LabelledAnswer(Record):
    """An answer that a reader has judged: is it right (`content`), and did the model also stop there (`strict`).

    `kind` says what sort of answer it is, such as `hedge`.
    """

    family: str
    instruction: str
    response: str
    finish_reason: FinishReason
    content: bool
    strict: bool
    kind: str


class FamilyAgreement(Record):
    """How well the checker of one family agrees with the labels on content; `disagreements` are the responses."""

    n: int
    kappa: float
    disagreements: tuple[str, ...]


class ScorerCalibration(VersionedRecord):
    """How well the families' checkers agree with labelled answers.

    `kappa` is on content, `strict_kappa` on strict success. `agreement` is the rate of the same verdict on content,
    `false_passes` that of wrong answers judged right, `false_failures` that of right answers judged wrong. `by_kind` is
    the agreement by kind of answer. `labels_sha256` names the labelled file.
    """

    labels_sha256: str
    n: int
    kappa: float
    kappa_interval: Interval
    strict_kappa: float
    strict_kappa_interval: Interval
    agreement: Rate
    false_passes: Rate
    false_failures: Rate
    by_family: dict[str, FamilyAgreement]
    by_kind: dict[str, Rate]

    @property
    def weakest_family(self) -> str:
        """The family whose checker agrees least; one whose kappa is not a number comes first."""
        return min(self.by_family, key=lambda name: (self.by_family[name].kappa >= -1, self.by_family[name].kappa))


class TokenStats(Record):
    """Response lengths in tokens."""

    n: int
    median: float
    mean: float
    p95: float
    maximum: int


class QcSummary(VersionedRecord):
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


class HeldoutItem(VersionedRecord):
    """One instruction of the frozen test set; its family's checker scores the answers."""

    item: int
    family: str
    type: str
    key: str
    instruction: str


class PilotAttempt(Record):
    """One rung of the pilot's ladder: the parameters it used, and what quality control said."""

    folder: str
    generation: dict[str, Any]
    passed: bool
    reasons: tuple[str, ...]


class PilotHistory(VersionedRecord):
    """The pilot and its retries, in order; the last one is the pilot that the gate judges."""

    attempts: tuple[PilotAttempt, ...]
