"""Comparison of the trained model with its base and the other rivals, on the same items.

Owns the summary record. Runs no model (`ctai.evaluate.arms`), and decides go or no go by the metrics of the gate
(`ctai.evaluate.metrics`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.arms import BASE, BASE_FEW_SHOT, BASE_REPARTITIONED, SFT
from ctai.evaluate.claims import rival_comparison, strongest
from ctai.evaluate.metrics import no_go_reasons
from ctai.records import ClusteredRate, EvaluationItem, EvaluationSummary, PairedComparison, Rate, RivalComparison
from ctai.registry import RIVALS
from ctai.statistics import PairedResults, clustered_rate, compare, compare_paired, rate, surely_worse
from ctai.tasks import GUARDED_TYPES

BASE_STRICT = "base_strict"
_TRANSFER_RIVALS = (BASE, BASE_FEW_SHOT)


class ArmAnswers(NamedTuple):
    """Answers of the arms to the same items in the same order.

    Attributes:
        base: of arm `base`.
        sft: of arm `sft`, to the same prompts.
        rivals: of the other arms of the base, such as few-shot; SFT is compared with each on content.
        noise: of the base under another partition into batches.
    """

    base: Sequence[EvaluationItem]
    sft: Sequence[EvaluationItem]
    rivals: Mapping[str, Sequence[EvaluationItem]]
    noise: Sequence[EvaluationItem]

    @classmethod
    def of(cls, base_arms: Mapping[str, Sequence[EvaluationItem]], sft: Sequence[EvaluationItem]) -> "ArmAnswers":
        """Return the answers of SFT beside those of the arms of the base, by arm (`ctai.evaluate.arms.base_arms`)."""
        rivals = {name: base_arms[name] for name in RIVALS if name != BASE}
        return cls(base_arms[BASE], sft, rivals, base_arms[BASE_REPARTITIONED])

    def select(self, split: str) -> "ArmAnswers":
        """Return the answers to the items of one part of the test set: `asked` or `unseen` families."""

        def of(items: Sequence[EvaluationItem]) -> list[EvaluationItem]:
            return [item for item in items if item.split == split]

        return ArmAnswers(
            of(self.base), of(self.sft), {name: of(items) for name, items in self.rivals.items()}, of(self.noise)
        )

    @property
    def all_rivals(self) -> dict[str, Sequence[EvaluationItem]]:
        """Answers of every rival by arm, the zero-shot base first."""
        return {BASE: self.base, **self.rivals}


class ArmIdentity(NamedTuple):
    """Evidence that two arms are two models.

    Attributes:
        digests: digest of the model of each arm, under `base` and `sft`.
        logit_difference: from `ctai.evaluate.arms.arm_check`, in nats.
    """

    digests: Mapping[str, str]
    logit_difference: float


def summarize_evaluation(
    answers: ArmAnswers,
    identity: ArmIdentity,
    config: RunConfig,
    run_id: str,
    metadata: Mapping[str, Any] | None = None,
) -> EvaluationSummary:
    """Compare SFT with its base and the other rivals on the same items, and decide go or no go.

    Args:
        answers: of all arms.
        identity: the digests of the arms and the difference of their logits.
        config: of the run; `evaluation` and `heldout` are used.
        run_id: of the record.
        metadata: additional entries of the record.

    Raises:
        CtaiError: the arms are swapped, are one model, or did not answer the same items.
    """
    _check_answers(answers, identity)
    asked, unseen = answers.select("asked"), answers.select("unseen")
    if not asked.base:
        raise CtaiError("the test set has no items of the families that the run may generate")
    content = _by_type(asked.base, asked.sft, config)
    rivals = _against_rivals(asked, config)
    guarded, by_type_few_shot = _against_few_shot(asked, config)
    significant = sum(bool(comparison.significant) for comparison in content.by_type.values())
    summary = EvaluationSummary(
        overall=content.overall,
        overall_strict=_against_stop_rule(asked, config),
        by_type=content.by_type,
        bh_correction={"fdr": config.evaluation.fdr, "tests": len(content.by_type), "significant": significant},
        rates={
            BASE_STRICT: _rate([item.strict for item in asked.base], asked.base, config),
            **{name: rival.comparison.base for name, rival in rivals.items()},
        },
        stop_rate=_rate([item.stopped for item in asked.sft], asked.sft, config),
        strict_share=_strict_share(asked.sft, config),
        rivals=rivals,
        strongest_rival=strongest(rivals),
        by_type_few_shot=by_type_few_shot,
        guarded=guarded,
        regressions=surely_worse(by_type_few_shot, config.evaluation.fdr),
        transfer=_against_rivals(unseen, config, _TRANSFER_RIVALS) if unseen.base else {},
        arms=dict(identity.digests),
        logit_difference=identity.logit_difference,
        noise_floor=noise_floor(answers.base, answers.noise),
        go=False,
        metadata={
            **(metadata or {}),
            "settings": config.evaluation.model_dump(mode="json"),
            "failure_reasons": {BASE: _failure_counts(asked.base), SFT: _failure_counts(asked.sft)},
            "finish_reasons": {BASE: _finish_counts(asked.base), SFT: _finish_counts(asked.sft)},
        },
        run_id=run_id,
    )
    reasons = no_go_reasons(summary, config)
    return summary.model_copy(
        update={"go": not reasons, "metadata": {**summary.metadata, "no_go_reasons": list(reasons)}}
    )


# ------------------------------------------------------------------------------------------------- comparisons


def _against_stop_rule(answers: ArmAnswers, config: RunConfig) -> PairedComparison:
    """Compare strict success of SFT with the content of the base: that is, with the base and a stop rule."""
    return compare(
        [item.content for item in answers.base],
        [item.strict for item in answers.sft],
        _families(answers.sft),
        correlation=config.heldout.intraclass_correlation,
    )


def _against_rivals(
    answers: ArmAnswers, config: RunConfig, names: Sequence[str] | None = None
) -> dict[str, RivalComparison]:
    """Compare SFT with each rival on content; with `names`, only with those."""
    return {
        name: rival_comparison(_content(items, answers.sft, config), items, answers.sft, config.evaluation)
        for name, items in answers.all_rivals.items()
        if names is None or name in names
    }


def _against_few_shot(
    answers: ArmAnswers, config: RunConfig
) -> tuple[PairedComparison | None, dict[str, PairedComparison]]:
    """Compare SFT with the few-shot base: on the guarded types together, and by type."""
    few_shot = answers.rivals[BASE_FEW_SHOT]
    by_type = _by_type(few_shot, answers.sft, config)
    indices = [i for i, item in enumerate(answers.sft) if item.type in GUARDED_TYPES]
    if not indices:
        return None, by_type.by_type
    guarded = _content(
        [few_shot[i] for i in indices], [answers.sft[i] for i in indices], config, by_type.overall.design_effect
    )
    return guarded, by_type.by_type


def _content(
    rival: Sequence[EvaluationItem],
    sft: Sequence[EvaluationItem],
    config: RunConfig,
    design_effect: float | None = None,
) -> PairedComparison:
    """Compare on content; items of few families take the design effect of the sample that they are a part of."""
    return compare(
        [item.content for item in rival],
        [item.content for item in sft],
        _families(sft),
        correlation=config.heldout.intraclass_correlation,
        design_effect=design_effect,
    )


def _by_type(rival: Sequence[EvaluationItem], sft: Sequence[EvaluationItem], config: RunConfig) -> PairedResults:
    return compare_paired(
        [item.content for item in rival],
        [item.content for item in sft],
        [item.type for item in sft],
        _families(sft),
        correlation=config.heldout.intraclass_correlation,
        fdr=config.evaluation.fdr,
    )


# ------------------------------------------------------------------------------------------------------- rates


def _strict_share(sft: Sequence[EvaluationItem], config: RunConfig) -> ClusteredRate:
    """Return the rate of strict success among the correct answers."""
    correct = [item for item in sft if item.content]
    return _rate([item.strict for item in correct], correct, config)


def _rate(successes: Sequence[bool], items: Sequence[EvaluationItem], config: RunConfig) -> ClusteredRate:
    return clustered_rate(successes, _families(items), config.heldout.intraclass_correlation)


def noise_floor(first: Sequence[EvaluationItem], second: Sequence[EvaluationItem]) -> Rate:
    """Return the rate of items whose content score differs between two runs of one model in different batches.

    Raises:
        CtaiError: one run answered more items than the other.
    """
    if len(first) != len(second):
        raise CtaiError(f"the noise floor needs two answers to each item, but there are {len(first)} and {len(second)}")
    return rate(sum(a.content != b.content for a, b in zip(first, second, strict=True)), len(first))


def _families(items: Sequence[EvaluationItem]) -> list[str]:
    return [item.family for item in items]


def _failure_counts(items: Sequence[EvaluationItem]) -> dict[str, int]:
    return dict(Counter(item.failure_reason for item in items if item.failure_reason).most_common())


def _finish_counts(items: Sequence[EvaluationItem]) -> dict[str, int]:
    return dict(Counter(item.finish_reason for item in items).most_common())


# ------------------------------------------------------------------------------------------------------- checks


def _check_answers(answers: ArmAnswers, identity: ArmIdentity) -> None:
    """Check that the arms are two models which answered the same items.

    Raises:
        CtaiError: they are not.
    """
    _check_arms(answers.base, answers.sft, identity.digests)
    _check_items(answers.base, answers.noise, "the noise floor", same_prompts=True)
    for name, items in answers.rivals.items():
        _check_items(answers.base, items, name, same_prompts=False)


def _check_arms(
    base_items: Sequence[EvaluationItem], sft_items: Sequence[EvaluationItem], arms: Mapping[str, str]
) -> None:
    for name, items in ((BASE, base_items), (SFT, sft_items)):
        foreign = sorted({item.arm for item in items} - {name})
        if foreign:
            raise CtaiError(f"the answers of arm {name} come from arm {', '.join(foreign)}: the arms are mixed up")
    if arms[BASE] == arms[SFT]:
        raise CtaiError(
            f"both arms ran on {arms[BASE][:12]}: an evaluation needs the base and the base with its adapter"
        )
    _check_items(base_items, sft_items, SFT, same_prompts=True)


def _check_items(
    base_items: Sequence[EvaluationItem], items: Sequence[EvaluationItem], name: str, *, same_prompts: bool
) -> None:
    """Check that both lists answer the same items in the same order; with `same_prompts`, to the same prompts."""
    if not base_items or len(base_items) != len(items):
        raise CtaiError(
            f"base answered {len(base_items)} items and {name} {len(items)}: evaluate both on the same items"
        )
    for position, (a, b) in enumerate(zip(base_items, items, strict=True)):
        if (a.item, a.instruction) != (b.item, b.instruction) or (same_prompts and a.prompt != b.prompt):
            raise CtaiError(
                f"base and {name} differ at position {position}: "
                f"item {a.item} {a.prompt!r} and item {b.item} {b.prompt!r}"
            )
