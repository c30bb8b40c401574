"""Records of data: examples, rejections, generation rounds, calibrations, quality control and the held-out test set."""

from typing import Any, Literal

from ctai.records.core import Critique, FinishReason, Interval, Metric, Rate, Record, Sampling, Split, VersionedRecord
from ctai.records.purity import PurityLedger
from ctai.records.session import MadeBy

BEYOND_TARGET = "beyond the target"
"""Reason of the rejection of an accepted pair that the shard needs no more."""


class ExampleMetadata(Record):
    """Origin of an example; together with the recorded prompt it suffices to reproduce the example.

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
    """Line of a dataset: instruction and response with the raw completion, both critiques and the origin."""

    instruction: str
    response: str
    prompt: str
    completion: str
    finish_reason: FinishReason
    instruction_critique: Critique
    pair_critique: Critique
    metadata: ExampleMetadata


class Rejection(VersionedRecord):
    """Generated text that was rejected, with phase and reason, so that no loss is silent.

    Attributes:
        duplicate_of: instruction that a duplicate repeats.
        prompt: prompt of the response, if there was one; those of lists are in the `GenerationRound`.
        seed: seed of the response, if there was one.
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
    duplicate_of: str = ""
    prompt: str = ""
    seed: int | None = None


class GeneratedResponse(Record):
    """Quality control input for one generated response, kept or rejected.

    Attributes:
        tokens: length of the cleaned text in tokens.
        heuristic_cut: the cleaner removed more than the stop string and the text after it.
        faults: faults of the cleaned text.
        raw_faults: faults of the whole completion.
    """

    item: int
    tokens: int
    finish_reason: FinishReason
    delimiter_found: bool
    heuristic_cut: bool
    faults: tuple[str, ...]
    raw_faults: tuple[str, ...]


class GeneratedList(Record):
    """Generated list of instructions with its prompt and seed."""

    prompt: str
    seed: int
    raw: str
    finish_reason: FinishReason


class GenerationRound(VersionedRecord):
    """Complete output of one generation round of a shard, so that rates are over everything generated.

    Attributes:
        batch_splits: number of batches halved because memory was short; another batch size may change the rounding and
            so the text.
        list_lines: lines in the generated lists.
        parsed: instructions parsed from those lines.
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
    """File of one finished round: everything generated, the examples kept and the rejections."""

    generation: GenerationRound
    examples: tuple[Example, ...]
    rejections: tuple[Rejection, ...]


class ProbeJudgement(VersionedRecord):
    """Judgements of the critic on one labelled probe, or on one content-free input.

    Attributes:
        fault: kind of the probe: `good` or its fault, its relation to an unsafe request, or `content-free`.
        label: expected label; empty for a content-free input.
        critique: judgement in the form that generation uses.
        reverse: judgement with the few-shot examples in reverse order.
        swapped: judgement with exchanged letters: B stands for good.
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
    """Agreement of the critic with labelled probes on the model in use, computed from `ProbeJudgement`s.

    Attributes:
        n: number of labelled probes.
        balanced_accuracy: balanced accuracy of `is_good`.
        auroc: area under the ROC curve of `logp_a - logp_b`.
        coverage_mean: mean of P(A) + P(B).
        coverage_minimum: minimum of P(A) + P(B).
        label_bias: mean of P(A) / (P(A) + P(B)) on content-free inputs; 0.5 is unbiased.
        order_agreement: rate of equal judgements when the few-shot examples are reversed.
        swapped_balanced_accuracy: balanced accuracy with exchanged letters; at or below about 0.5 the critic knows the
            letter, not its meaning.
        swapped_label_bias: label bias with exchanged letters.
        acceptance: rate of accepted probes by kind; the good ones should be accepted: `good`, and on models other than the
            embedded one also safe twins of unsafe requests, help with them, and refusals of unsafe requests.
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
    """Answer labelled by a reader.

    Attributes:
        content: the answer is correct.
        strict: the answer is correct, and the model stopped by itself.
        kind: kind of answer, such as `hedge`.
    """

    family: str
    instruction: str
    response: str
    finish_reason: FinishReason
    content: bool
    strict: bool
    kind: str


class FamilyAgreement(Record):
    """Agreement of one family's scorer with the labels on content; `disagreements` lists the responses."""

    n: int
    kappa: float
    disagreements: tuple[str, ...]


class ScorerCalibration(VersionedRecord):
    """Agreement of the families' scorers with labelled answers.

    Attributes:
        labels_sha256: SHA-256 of the labelled file.
        n: number of labelled answers.
        kappa: Cohen's kappa on content.
        strict_kappa: Cohen's kappa on strict success.
        agreement: rate of equal judgements on content.
        false_passes: rate of wrong answers that pass.
        false_failures: rate of correct answers that fail.
        by_family: agreement by family.
        by_kind: agreement by kind of answer.
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
        """Family with the lowest kappa; a kappa of nan counts as lowest."""
        return min(self.by_family, key=lambda name: (self.by_family[name].kappa >= -1, self.by_family[name].kappa))


class TokenStats(Record):
    """Summary statistics of response lengths in tokens."""

    n: int
    median: float
    mean: float
    p95: float
    maximum: int


class QcSummary(VersionedRecord):
    """QC summary of a pilot, a shard or the merged dataset; `made_by` is the maker of the data."""

    stage: str
    counts: dict[str, int]
    acceptance: dict[str, Rate]
    purity: PurityLedger
    token_stats: TokenStats
    margins: dict[str, dict[str, float]]
    rates: dict[str, Rate]
    thresholds: tuple[Metric, ...]
    thresholds_passed: bool
    failed_reasons: tuple[str, ...]
    inputs: dict[str, str]
    run_id: str
    made_by: MadeBy | None = None


class HeldoutItem(VersionedRecord):
    """Instruction of the frozen test set; the scorer of its family scores the answers.

    Attributes:
        split: `asked` if other keys of its family may be generated and trained on, `unseen` if none may.
    """

    item: int
    family: str
    type: str
    key: str
    instruction: str
    split: Split = "asked"


class PilotAttempt(Record):
    """Attempt at the pilot: its folder, its generation settings and the result of quality control."""

    folder: str
    generation: dict[str, Any]
    passed: bool
    reasons: tuple[str, ...]


class PilotHistory(VersionedRecord):
    """Pilot and its retries, in order; the gate judges the last one."""

    attempts: tuple[PilotAttempt, ...]
