"""Quality control of a pilot, a shard or the merged union: counts, rates and metrics against thresholds.

Owns how each metric is computed. Rates are over everything that was generated or judged, never over what survived;
the faults of a response are `ctai.detectors`'. Whether a summary lets the run go on is decided by the gates.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ctai.config import QcThresholds
from ctai.detectors import FAULTS, find_faults
from ctai.records import (
    Critique,
    Example,
    GeneratedResponse,
    GenerationRound,
    Metric,
    QcSummary,
    Rate,
    Rejection,
    TokenStats,
)
from ctai.statistics import describe, rate
from ctai.tasks.families import normalize

__all__ = ["FAULTS", "Material", "Wanted", "find_faults", "summarize"]


class Wanted(NamedTuple):
    """How many examples there must be, under the name by which the gate asks for it."""

    metric: str
    at_least: int


class Material(NamedTuple):
    """What is judged: the kept examples, what was rejected, and everything that was generated.

    `overlapping` counts the kept examples that overlap the held-out set.
    """

    examples: Sequence[Example]
    rejections: Sequence[Rejection]
    rounds: Sequence[GenerationRound]
    overlapping: int


class _Judged(NamedTuple):
    """The rounds' contents, flat."""

    responses: list[GeneratedResponse]
    instructions: list[Critique]
    pairs: list[Critique]


def summarize(
    stage: str,
    material: Material,
    *,
    wanted: Wanted,
    thresholds: QcThresholds,
    inputs: Mapping[str, str],
    run_id: str,
    artifact: str | None = None,
    more_rates: Mapping[str, Rate] | None = None,
) -> QcSummary:
    """Compute every count, rate and metric.

    Args:
        stage: what is judged: `pilot`, `scale` or `merged`.
        material: what was generated, kept and rejected.
        wanted: how many examples there must be.
        thresholds: what each metric is held against.
        inputs: names and digests of what the material was made from.
        run_id: the run that made it.
        artifact: where the summary will be, relative to the run directory; it names its inputs by digest.
        more_rates: further rates, reported and not judged.
    """
    judged = _flatten(material.rounds)
    accepted = _acceptance(judged.pairs)
    acceptance = {
        "instruction": _acceptance(judged.instructions),
        # a response of bad form was never judged, but is no accepted pair either
        "pair": rate(accepted.k, len(judged.responses)),
        "pair_judged": accepted,
    }
    rates = {**_rates(judged.responses, material), **(more_rates or {})}
    stats = _token_stats([response.tokens for response in judged.responses])
    metrics = _metrics(material, wanted, thresholds, rates, acceptance, stats, artifact)
    return QcSummary(
        stage=stage,
        counts=_counts(material, judged),
        acceptance=acceptance,
        token_stats=stats,
        margins={"instruction": _margins(judged.instructions), "pair": _margins(judged.pairs)},
        rates=rates,
        thresholds=metrics,
        thresholds_passed=all(metric.passed for metric in metrics),
        failed_reasons=tuple(metric.failure() for metric in metrics if not metric.passed),
        inputs=dict(inputs),
        run_id=run_id,
    )


def _flatten(rounds: Sequence[GenerationRound]) -> _Judged:
    return _Judged(
        [response for one in rounds for response in one.responses],
        [critique for one in rounds for critique in one.instruction_critiques],
        [critique for one in rounds for critique in one.pair_critiques],
    )


def _acceptance(critiques: Sequence[Critique]) -> Rate:
    return rate(sum(critique.accepted for critique in critiques), len(critiques))


def _rates(responses: Sequence[GeneratedResponse], material: Material) -> dict[str, Rate]:
    """Faults over all generated responses, cleaned and raw; duplicates, overlap and faults over the kept ones."""
    n, kept = len(responses), len(material.examples)
    rates = {fault: rate(sum(fault in r.faults for r in responses), n) for fault in FAULTS}
    # the generator's own word, not the detector's
    rates["token_limit"] = rate(sum(r.finish_reason == "length" for r in responses), n)
    rates |= {f"raw_{fault}": rate(sum(fault in r.raw_faults for r in responses), n) for fault in FAULTS}
    rates["duplicate"] = rate(kept - len({normalize(e.instruction) for e in material.examples}), kept)
    rates["heldout_overlap"] = rate(material.overlapping, kept)
    rates["kept_faults"] = rate(sum(bool(find_faults(e.response, e.finish_reason)) for e in material.examples), kept)
    parsed = sum(one.parsed for one in material.rounds)
    repeated = sum(rejection.phase == "dedup" for rejection in material.rejections)
    rates["generated_repetitions"] = rate(repeated, parsed)
    return rates


def _metrics(
    material: Material,
    wanted: Wanted,
    limits: QcThresholds,
    rates: Mapping[str, Rate],
    acceptance: Mapping[str, Rate],
    stats: TokenStats,
    artifact: str | None,
) -> tuple[Metric, ...]:
    metrics = (
        Metric(name=wanted.metric, value=len(material.examples), comparison=">=", threshold=wanted.at_least),
        _of_rate("runaway_rate", rates["runaway"], "<", limits.runaway),
        _of_rate("token_limit_rate", rates["token_limit"], "<", limits.token_limit),
        _of_rate("delimiter_rate", rates["delimiter"], "<=", limits.delimiter),
        _of_rate("truncated_rate", rates["truncated"], "<", limits.truncated),
        Metric(
            name="median_tokens", value=stats.median, comparison="<", threshold=limits.median_tokens, n=stats.n
        ),
        _of_rate("instruction_acceptance", acceptance["instruction"], ">=", limits.instruction_acceptance),
        _of_rate("pair_acceptance", acceptance["pair"], ">=", limits.pair_acceptance),
        _of_rate("duplicate_rate", rates["duplicate"], "<=", limits.duplicates),
        _of_rate("heldout_overlap", rates["heldout_overlap"], "<=", limits.overlap),
        _of_rate("kept_faults", rates["kept_faults"], "<=", 0.0),
    )  # fmt: skip
    return tuple(metric.model_copy(update={"artifact": artifact}) for metric in metrics)


def _of_rate(name: str, found: Rate, comparison: str, threshold: float) -> Metric:
    """A metric on the point value of a rate; its note says when the sample cannot show that the truth is within."""
    metric = Metric.model_validate(
        {"name": name, "value": found.value, "comparison": comparison, "threshold": threshold, "n": found.n}
    )
    worst = found.interval.high if comparison in ("<", "<=") else found.interval.low
    note = ""
    if metric.passed and not metric.model_copy(update={"value": worst}).passed:
        note = f"{found.k} of {found.n}: the sample cannot rule out {worst:.3g}"
    return metric.model_copy(update={"interval": found.interval, "note": note})


def _counts(material: Material, judged: _Judged) -> dict[str, int]:
    rounds, responses = material.rounds, judged.responses
    found = sum(r.delimiter_found for r in responses)
    counts = {
        "rounds": len(rounds),
        "instruction_prompts": sum(len(one.lists) for one in rounds),
        "list_lines": sum(one.list_lines for one in rounds),
        "parsed_instructions": sum(one.parsed for one in rounds),
        "judged_instructions": len(judged.instructions),
        "generated": len(responses),
        "judged_pairs": len(judged.pairs),
        "kept": len(material.examples),
        "delimiter_found": found,
        "delimiter_missing": len(responses) - found,
        "heuristic_cut": sum(r.heuristic_cut for r in responses),
        "token_limit_hits": sum(r.finish_reason == "length" for r in responses),
    }
    reasons = Counter(f"rejected {r.phase}: {r.reason}" for r in material.rejections)
    return {**counts, **dict(sorted(reasons.items()))}


def _token_stats(tokens: Sequence[int]) -> TokenStats:
    found = describe(tokens)
    return TokenStats(
        n=len(tokens), median=found.median, mean=found.mean, p95=found.p95, maximum=max(tokens, default=0)
    )


def _margins(critiques: Sequence[Critique]) -> dict[str, float]:
    """How sure the critic was; a margin that is not a number is counted and left out."""
    margins = [c.margin for c in critiques if math.isfinite(c.margin)]
    found = {"n": float(len(critiques)), "not_finite": float(len(critiques) - len(margins))}
    return {**found, **describe(margins)._asdict()} if margins else found
