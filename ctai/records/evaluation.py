"""Records about training and evaluation: the adapter's manifest, answers, and the comparison of the arms."""

from typing import Any

from ctai.records.core import FinishReason, Interval, Rate, Record, VersionedRecord


class TrainingManifest(VersionedRecord):
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


class EvaluationItem(VersionedRecord):
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

    @property
    def p_gain(self) -> float:
        """The p-value as evidence that SFT is better: 1 where it wins no more pairs than it loses."""
        return self.p_value if self.only_sft > self.only_base else 1.0


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


class TestSetComparison(VersionedRecord):
    """That an adapter was compared with its base on the test set of a run directory."""

    adapter_digest: str


class EvaluationSummary(VersionedRecord):
    """The evaluation of one adapter against its base.

    `overall` compares with the base zero-shot, on content, which a stop rule gives the base for free;
    `overall_strict` adds what was learned about stopping. `against` compares SFT with each cheap baseline, on content.
    """

    overall: PairedComparison
    overall_strict: PairedComparison
    by_type: dict[str, PairedComparison]
    baselines: dict[str, Rate]
    against: dict[str, PairedComparison]
    bh_correction: dict[str, float]
    non_regression: dict[str, str]
    arms: dict[str, str]
    logit_difference: float
    noise_floor: Rate
    go: bool
    metadata: dict[str, Any]
    run_id: str
