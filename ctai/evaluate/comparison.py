"""Comparison of two arms and the baselines, and the decision go or no go.

Owns the summary record and its text form. Runs no model (`ctai.evaluate.arms`) and asserts nothing (`ctai.gates`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ctai.config import EvaluationSettings, MetricValue, RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.arms import BASE, SFT
from ctai.records import EvaluationItem, EvaluationSummary, PairedComparison, Rate, TrainingManifest
from ctai.rundir import write_json, write_jsonl, write_text
from ctai.statistics import PairedResults, compare, compare_paired, rate
from ctai.tasks import GUARDED_TYPES

BASE_STOP_RULE, BASE_STRICT = "base_stop_rule", "base_strict"
NO_REGRESSION, REGRESSION, NOT_APPLICABLE = "no regression", "regression", "not_applicable"


class ArmAnswers(NamedTuple):
    """Answers of the arms to the same items in the same order.

    Attributes:
        base: of arm `base`.
        sft: of arm `sft`, to the same prompts.
        baselines: of further arms, such as few-shot; their content rate is reported.
        noise: of the base under another partition into batches.
    """

    base: Sequence[EvaluationItem]
    sft: Sequence[EvaluationItem]
    baselines: Mapping[str, Sequence[EvaluationItem]]
    noise: Sequence[EvaluationItem]


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
    """Compare base and SFT on the same items.

    Args:
        answers: of both arms, the baselines and the repartitioned base.
        identity: the digests of the arms and the difference of their logits.
        config: of the run; `evaluation` and `seed` are used.
        run_id: of the record.
        metadata: additional entries of the record.

    Raises:
        CtaiError: the arms are swapped, are one model, or did not answer the same items.
    """
    base_items, sft_items, baselines, noise_items = answers
    arms, logit_difference = identity
    _check_arms(base_items, sft_items, arms)
    _check_items(base_items, noise_items, "the noise floor", same_prompts=True)
    for name, items in baselines.items():
        _check_items(base_items, items, name, same_prompts=False)
    settings = config.evaluation
    content, strict, against = _compare(answers, config)
    non_regression = {kind: _regression_status(content.by_type.get(kind)) for kind in GUARDED_TYPES}
    reasons = no_go_reasons(content.overall, non_regression, logit_difference, settings)
    significant = sum(bool(comparison.significant) for comparison in content.by_type.values())
    return EvaluationSummary(
        overall=content.overall,
        overall_strict=strict,
        by_type=content.by_type,
        baselines={
            BASE_STRICT: strict.base,
            BASE_STOP_RULE: content.overall.base,
            **{name: comparison.base for name, comparison in against.items()},
        },
        against_baselines=against,
        bh_correction={"fdr": settings.fdr, "tests": len(content.by_type), "significant": significant},
        non_regression=non_regression,
        arms=dict(arms),
        logit_difference=logit_difference,
        noise_floor=noise_floor(base_items, noise_items),
        go=not reasons,
        metadata={
            **(metadata or {}),
            "settings": settings.model_dump(mode="json"),
            "no_go_reasons": list(reasons),
            "failure_reasons": {BASE: _failure_counts(base_items), SFT: _failure_counts(sft_items)},
            "finish_reasons": {BASE: _finish_counts(base_items), SFT: _finish_counts(sft_items)},
        },
        run_id=run_id,
    )


class _Comparisons(NamedTuple):
    """SFT against the base on content and on strict success, and against each baseline on content."""

    content: PairedResults
    strict: PairedComparison
    against: dict[str, PairedComparison]


def _compare(answers: ArmAnswers, config: RunConfig) -> _Comparisons:
    correlation, families = config.heldout.intraclass_correlation, [item.family for item in answers.base]
    sft_content = [item.content for item in answers.sft]
    content = compare_paired(
        [item.content for item in answers.base],
        sft_content,
        [item.type for item in answers.base],
        families,
        correlation=correlation,
        fdr=config.evaluation.fdr,
    )
    base_strict, sft_strict = ([item.strict for item in items] for items in (answers.base, answers.sft))
    strict = compare(base_strict, sft_strict, families, correlation=correlation)
    against = {
        name: compare([item.content for item in items], sft_content, families, correlation=correlation)
        for name, items in answers.baselines.items()
    }
    return _Comparisons(content, strict, against)


def noise_floor(first: Sequence[EvaluationItem], second: Sequence[EvaluationItem]) -> Rate:
    """Return the rate of items whose content score differs between two runs of one model in different batches.

    Raises:
        CtaiError: one run answered more items than the other.
    """
    if len(first) != len(second):
        raise CtaiError(f"the noise floor needs two answers to each item, but there are {len(first)} and {len(second)}")
    return rate(sum(a.content != b.content for a, b in zip(first, second, strict=True)), len(first))


def no_go_reasons(
    overall: PairedComparison,
    non_regression: Mapping[str, str],
    logit_difference: float,
    settings: EvaluationSettings,
) -> tuple[str, ...]:
    """Return the reasons against an adapter; empty when it is go.

    Args:
        overall: comparison on content; learning to stop alone does not count.
        non_regression: status of each guarded type.
        logit_difference: between the arms, in nats.
        settings: the thresholds.
    """
    p_value, interval = overall.p_gain, overall.lift_interval
    width = interval.high - interval.low
    conditions = {
        "the arms do not differ: the adapter is not applied": not logit_difference > 0,
        f"SFT is not better on content (lift {overall.lift:+.3f})": not overall.lift > 0,
        f"p = {p_value:.2g} is not below {settings.alpha:g}": not p_value < settings.alpha,
        f"the lift's interval is {width:.3f} wide, more than {settings.max_interval_width:g}": not (
            width <= settings.max_interval_width
        ),
        **{f"SFT is worse on {kind} items": status == REGRESSION for kind, status in non_regression.items()},
    }
    return tuple(reason for reason, holds in conditions.items() if holds)


def evaluation_values(
    summary: EvaluationSummary, training: TrainingManifest, artifact: str, manifest: str
) -> dict[str, MetricValue]:
    """Compute the metrics of the gate.

    Args:
        summary: the comparison of the arms.
        training: the manifest of the adapter.
        artifact: path of the summary, relative to the run directory.
        manifest: path of the manifest, likewise.
    """
    overall, table = summary.overall, summary.overall.mcnemar
    interval = overall.lift_interval
    difference_note = "largest difference of a log-probability between the arms"
    lift_note = f"base {overall.base.value:.3f}, SFT {overall.sft.value:.3f}"
    table_note = f"McNemar: only base {table.only_base}, only SFT {table.only_sft}"
    return {
        "supervised_tokens": MetricValue(training.supervised_tokens, artifact=manifest),
        "arm_difference": MetricValue(summary.logit_difference, artifact=artifact, note=difference_note),
        "content_lift": MetricValue(overall.lift, interval, overall.n, artifact, lift_note),
        "content_p_value": MetricValue(overall.p_gain, None, overall.n, artifact, table_note),
        "lift_interval_width": MetricValue(interval.high - interval.low, None, overall.n, artifact),
        **{f"{kind}_regressions": regression_value(kind, summary, artifact) for kind in GUARDED_TYPES},
    }


def regression_value(kind: str, summary: EvaluationSummary, artifact: str) -> MetricValue:
    """Return 1 where SFT is worse on a guarded type, else 0; a 0 on no items says so."""
    outcome, compared = summary.non_regression[kind], summary.by_type.get(kind)
    note = outcome if compared else "no such items in the test set"
    return MetricValue(float(outcome == REGRESSION), None, compared.n if compared else 0, artifact, note)


def write_evaluation(
    base_items: Sequence[EvaluationItem],
    sft_items: Sequence[EvaluationItem],
    summary: EvaluationSummary,
    folder: Path,
) -> tuple[Path, ...]:
    """Write the answers of both arms, `evaluation.json` and `summary.txt` into a folder, and return their paths."""
    names = ("base_items.jsonl", "sft_items.jsonl", "evaluation.json", "summary.txt")
    paths = tuple(folder / name for name in names)
    write_jsonl(paths[0], base_items)
    write_jsonl(paths[1], sft_items)
    write_json(paths[2], summary)
    write_text(paths[3], summary_text(summary))
    return paths


def summary_text(summary: EvaluationSummary) -> str:
    """Return the summary as a text table, with go or no go in the first line."""
    reasons = summary.metadata["no_go_reasons"]
    rows = {"content": summary.overall, "strict": summary.overall_strict}
    rows |= {f"  {kind} (content)": comparison for kind, comparison in summary.by_type.items()}
    rows |= {f"over {name}": comparison for name, comparison in summary.against_baselines.items()}
    head = f"{'':<22}{'n':>5}  {'base':<21}{'sft':<21}{'lift':<25}{'p':>9}{'p adj.':>9}{'h':>7}"
    return "\n".join(
        [
            f"{'GO' if summary.go else 'NO GO'}: base against SFT on {summary.overall.n} held-out items",
            *(f"  - {reason}" for reason in reasons),
            "",
            head,
            *(_row(name, comparison) for name, comparison in rows.items()),
            "",
            *_lift_lines(summary),
            "",
            "Baselines (success rate, 95% interval)",
            *(f"  {name:<20}{_rate_text(value)}" for name, value in summary.baselines.items()),
            f"Noise floor (base against base, other batches): {_rate_text(summary.noise_floor)}",
            f"Largest difference of a log-probability between the arms: {summary.logit_difference:.3g}",
            *(f"Guarded type {kind}: {status}" for kind, status in summary.non_regression.items()),
            *(f"Arm {name}: {digest}" for name, digest in summary.arms.items()),
            "",
        ]
    )


def _lift_lines(summary: EvaluationSummary) -> Iterator[str]:
    """Yield the lift on content, the additional lift on strict success from stopping, and the lift over baselines."""
    content, strict = summary.overall, summary.overall_strict
    yield f"Learned to answer: {content.lift:+.3f} on content, over the base with a stop rule"
    yield f"Learned to stop:   {strict.lift - content.lift:+.3f} on strict success beyond that"
    for name, comparison in summary.against_baselines.items():
        low, high = comparison.lift_interval.low, comparison.lift_interval.high
        yield f"Over {name}, without training: {comparison.lift:+.3f} [{low:+.3f}, {high:+.3f}] on content"


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


def _regression_status(comparison: PairedComparison | None) -> str:
    if comparison is None:
        return NOT_APPLICABLE
    return REGRESSION if comparison.regression else NO_REGRESSION


def _failure_counts(items: Sequence[EvaluationItem]) -> dict[str, int]:
    return dict(Counter(item.failure_reason for item in items if item.failure_reason).most_common())


def _finish_counts(items: Sequence[EvaluationItem]) -> dict[str, int]:
    return dict(Counter(item.finish_reason for item in items).most_common())


def _rate_text(value: Rate) -> str:
    return f"{value.value:.3f} [{value.interval.low:.3f}, {value.interval.high:.3f}]"


def _row(name: str, c: PairedComparison) -> str:
    lift = f"{c.lift:+.3f} [{c.lift_interval.low:+.3f}, {c.lift_interval.high:+.3f}]"
    adjusted = "" if c.p_adjusted is None else f"{c.p_adjusted:.2g}"
    rates = f"{_rate_text(c.base):<21}{_rate_text(c.sft):<21}{lift:<25}"
    return f"{name:<22}{c.n:>5}  {rates}{c.p_value:>9.2g}{adjusted:>9}{c.cohens_h:>7.2f}"
