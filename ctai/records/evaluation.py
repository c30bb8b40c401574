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
        stopped: the model ended the answer itself, with its end-of-text token and not with that of a chat turn.
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
    stopped: bool
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


Claim = Literal["superior", "non-inferior", "inferior", "undecided"]
"""Statement that a comparison supports about SFT against a rival."""


class RivalComparison(Record):
    """SFT against one rival, an arm of the base without training, on content.

    Attributes:
        comparison: of the two arms; its field `base` is the rival.
        claim: what the comparison shows.
        margin: the smallest preregistered margin at which non-inferiority is shown; None if at none.
        prompt_tokens: mean number of tokens of the rival's prompts.
        prompt_tokens_ratio: mean number of tokens of the rival's prompts over that of SFT's prompts.
    """

    comparison: PairedComparison
    claim: Claim
    margin: float | None
    prompt_tokens: float
    prompt_tokens_ratio: float


class EvaluationSummary(VersionedRecord):
    """Evaluation of one adapter against its base and the other rivals.

    All comparisons but `transfer` are over the families that the run may generate; their intervals are clustered by
    family.

    Attributes:
        overall: SFT against the zero-shot base on content, where a stop rule ends the base's answers.
        overall_strict: strict success of SFT, which includes stopping, against the content of the base, whose answers a
            stop rule ends; strict success of the base without such a rule is near 0 by construction.
        by_type: comparison with the zero-shot base by type of item.
        bh_correction: Benjamini-Hochberg correction over types: `fdr`, number of `tests` and of `significant` ones.
        rates: success rate of each arm of the base on content; `base_strict` is that of the zero-shot base on strict
            success.
        stop_rate: rate of answers of SFT that it ended by itself.
        strict_share: rate of strict success among the correct answers of SFT.
        rivals: SFT against each rival.
        strongest_rival: name of the rival with the most correct answers.
        by_type_few_shot: comparison with the few-shot base by type of item.
        guarded: comparison with the few-shot base on the guarded types together; None if there are no such items.
        regressions: types on which SFT is surely worse than the few-shot base.
        transfer: SFT against rivals on families that were held out whole; empty if there are none.
        logit_difference: maximum difference of a log-probability between the arms (nats).
        noise_floor: rate of items on whose content two runs of the base in different batches disagree.
        go: every metric of the comparison meets its threshold.
    """

    overall: PairedComparison
    overall_strict: PairedComparison
    by_type: dict[str, PairedComparison]
    bh_correction: dict[str, float]
    rates: dict[str, ClusteredRate]
    stop_rate: ClusteredRate
    strict_share: ClusteredRate
    rivals: dict[str, RivalComparison]
    strongest_rival: str
    by_type_few_shot: dict[str, PairedComparison]
    guarded: PairedComparison | None
    regressions: tuple[str, ...]
    transfer: dict[str, RivalComparison]
    arms: dict[str, str]
    logit_difference: float
    noise_floor: Rate
    go: bool
    metadata: dict[str, Any]
    run_id: str
    made_by: MadeBy | None = None
