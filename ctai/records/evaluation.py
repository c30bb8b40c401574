"""Records of training and evaluation: training manifest, scored answers and the comparison of the arms."""

from typing import Any, Literal

from pydantic import Field

from ctai.records.core import ClusteredRate, FinishReason, Interval, Rate, Record, Split, VersionedRecord
from ctai.records.session import MadeBy


class TrainingManifest(VersionedRecord):
    """Manifest of a trained adapter: data, hyperparameters, losses (nats) and digests.

    Attributes:
        examples: pairs that were trained on.
        planned_steps: optimizer steps of the learning rate schedule; `steps` are those that were made.
        dev_examples: pairs of the development split.
        dev_note: reason why there is no development split, or empty.
        dev_losses: loss on the development split at each evaluation, as in `dev_loss.jsonl`.
        stopped_early: the development loss ended the training.
        kept_step: optimizer steps after which the adapter was taken.
    """

    dataset: str
    dataset_digest: str
    qc_summary: str
    base_weights_digest: str
    hyperparameters: dict[str, Any]
    examples: int
    supervised_tokens: int
    planned_steps: int
    steps: int
    epochs: float
    loss_first: float
    loss_last: float
    losses: tuple[float, ...]
    dev_examples: int
    dev_note: str
    dev_losses: tuple[float, ...]
    stopped_early: bool
    kept_step: int
    checkpoints: tuple[str, ...]
    adapter: str
    adapter_digest: str
    success_marker: str
    evaluation: str
    run_id: str
    made_by: MadeBy | None = None


class DevEvaluation(Record):
    """Evaluation on the development split after `step` optimizer steps; `loss` is the mean per supervised token, in nats."""

    step: int
    epoch: float
    loss: float


class TrainingStep(Record):
    """Optimizer step; `loss` is the mean over the supervised tokens of the step, in nats."""

    step: int
    epoch: float
    learning_rate: float
    loss: float


class TrainingSuccess(Record):
    """Success marker of a training, written last.

    Attributes:
        adapter: folder of the adapter, relative to the run directory.
        sha256: digest of the adapter.
        git_commit: commit of the code that trained it.
    """

    adapter: str
    sha256: str
    git_commit: str


class EvaluationItem(VersionedRecord):
    """Answer of one arm to one held-out item, scored on the raw output.

    Attributes:
        split: of the held-out item: `asked`, or `unseen` if its family is held out whole.
        content: the answer is correct up to the point where a stop rule cuts it.
        strict: the content is correct, and the model stopped by itself.
        tokens: generated tokens.
        prompt_tokens: tokens of the prompt as sent, a beginning-of-sequence token included.
    """

    arm: str
    item: int
    family: str
    type: str
    split: Split
    instruction: str
    prompt: str
    response: str
    raw: str
    finish_reason: FinishReason
    content: bool
    strict: bool
    failure_reason: str
    tokens: int
    prompt_tokens: int


class McNemar(Record):
    """McNemar's test on paired outcomes (McNemar 1947), with discordant counts named so that they cannot be swapped.

    Attributes:
        only_base: pairs in which only the base succeeds.
        only_sft: pairs in which only SFT succeeds.
        statistic: test statistic.
        p_value: two-sided p-value.
        exact: the p-value is that of the exact binomial test.
    """

    only_base: int
    only_sft: int
    statistic: float
    p_value: float
    exact: bool


class PairedComparison(Record):
    """Comparison of two arms on the same items, which come in clusters (families), at one success level.

    Attributes:
        n: number of items.
        base: success rate of the base.
        sft: success rate of SFT.
        lift: difference of the rates, `sft` - `base`.
        lift_interval: 95% interval of the lift.
        mcnemar: test of the items as if they were independent.
        cohens_h: effect size, positive if SFT is better.
        clusters: number of families.
        design_effect: variance of the lift over that of as many independent items, at least 1.
        effective_n: number of independent items that would tell as much, `n` / `design_effect`.
        interval_method: `clustered`, or, for fewer families than their variance can be estimated from, item level with
            the number of items divided by the design effect of all items.
        clustered_p_value: two-sided p-value of a lift of 0, with the design effect.
        p_adjusted: `p_value` adjusted over the types.
        significant: rejected in that adjustment.
        regression: the interval of the lift lies below 0.
    """

    n: int
    base: ClusteredRate
    sft: ClusteredRate
    lift: float
    lift_interval: Interval
    mcnemar: McNemar
    cohens_h: float
    clusters: int
    design_effect: float
    effective_n: float
    interval_method: Literal["clustered", "overall design effect"]
    clustered_p_value: float
    p_adjusted: float | None = None
    significant: bool | None = None
    regression: bool = False

    @property
    def p_value(self) -> float:
        """Two-sided p-value of a lift of 0: the larger one of McNemar's test and of the clustered test."""
        return max(self.mcnemar.p_value, self.clustered_p_value)

    @property
    def p_gain(self) -> float:
        """p-value as evidence that SFT is better: 1 if it does not win more discordant pairs than it loses."""
        return self.p_value if self.mcnemar.only_sft > self.mcnemar.only_base else 1.0


class ArmCheck(VersionedRecord):
    """Largest difference of a next-token log-probability between the base and the adapted model, in nats."""

    logit_difference: float


class TestSetComparison(Record):
    """One comparison of an adapter with its base on a test set, and its number among those on that test set and base.

    All digests are of contents, so that a renamed file, model or run directory is the same comparison. The record has no
    schema version: the ledger outside the run directories outlives the versions of ctai.

    Attributes:
        adapter_tensors_digest: of the names, types, shapes and bytes of the tensors of the adapter.
        training_pairs_digest: of the instructions and responses of the training dataset, in order.
        test_set_digest: of the instructions of the test set.
        base_weights_digest: of the weights of the base model.
        number: n of the alpha that the comparison is tested at, from 1.
    """

    adapter_tensors_digest: str
    training_pairs_digest: str
    test_set_digest: str
    base_weights_digest: str
    number: int = Field(ge=1)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Digests of adapter, data, test set and base: equal for two records of the same comparison."""
        return (self.adapter_tensors_digest, self.training_pairs_digest, *self.pool)

    @property
    def pool(self) -> tuple[str, str]:
        """Digests of test set and base: comparisons that share them share one alpha."""
        return (self.test_set_digest, self.base_weights_digest)


class EvaluationSummary(VersionedRecord):
    """Evaluation of one adapter against its base.

    Attributes:
        overall: SFT against the zero-shot base on content, where a stop rule ends the base's answers.
        overall_strict: the same comparison on strict success, which includes stopping.
        by_type: comparison by type of item.
        baselines: success rate of each baseline arm.
        against_baselines: SFT against each baseline arm on content.
        bh_correction: Benjamini-Hochberg correction over types: `fdr`, number of `tests` and of `significant` ones.
        logit_difference: maximum difference of a log-probability between the arms (nats).
        noise_floor: rate of items on whose content two runs of the base in different batches disagree.
        go: all criteria are met.
    """

    overall: PairedComparison
    overall_strict: PairedComparison
    by_type: dict[str, PairedComparison]
    baselines: dict[str, ClusteredRate]
    against_baselines: dict[str, PairedComparison]
    bh_correction: dict[str, float]
    non_regression: dict[str, str]
    arms: dict[str, str]
    logit_difference: float
    noise_floor: Rate
    go: bool
    metadata: dict[str, Any]
    run_id: str
    made_by: MadeBy | None = None
