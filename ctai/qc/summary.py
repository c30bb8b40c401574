"""QC summary of a pilot, a shard or the merged dataset: counts, rates and metrics against thresholds.

Owns the computation of each metric. Denominators of rates are all generated or judged items, never only the kept ones.
Does not own the faults of a response (`ctai.qc.faults`) or the decision whether a run continues (`ctai.gates`).
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from ctai.config import MetricValue, QcThresholds, to_metric
from ctai.qc.faults import FAULTS, find_faults
from ctai.qc.purity import MIN_PAIRS, PurityCounter
from ctai.records import (
    Critique,
    Example,
    GenerationRound,
    MadeBy,
    Metric,
    PairPurity,
    QcSummary,
    Rate,
    Rejection,
    TokenStats,
)
from ctai.registry import QC_METRICS, MetricSpec, metric_spec
from ctai.statistics import describe, rate
from ctai.tasks.base import normalize_case_and_spacing

__all__ = ["FAULTS", "MinimumCount", "QcCounter", "QcInput", "SummaryHeader", "find_faults", "summarize"]


class MinimumCount(NamedTuple):
    """Minimum number of examples.

    Attributes:
        metric: name of the gate's metric.
        at_least: the number.
    """

    metric: str
    at_least: int


class QcInput(NamedTuple):
    """Data of a summary.

    Attributes:
        examples: kept examples.
        rejections: rejected items with their reasons.
        rounds: everything that was generated and judged.
        overlapping: number of kept examples that overlap the held-out set.
    """

    examples: Sequence[Example]
    rejections: Sequence[Rejection]
    rounds: Sequence[GenerationRound]
    overlapping: int


class _Judgements:
    """Counts and margins of the critic's judgements of one kind."""

    def __init__(self) -> None:
        self.accepted = 0
        self.n = 0
        self.margins = array("d")

    def add(self, critiques: Iterable[Critique]) -> None:
        for critique in critiques:
            self.n += 1
            self.accepted += critique.accepted
            if math.isfinite(critique.margin):  # other margins count in `n` only
                self.margins.append(critique.margin)

    def acceptance(self) -> Rate:
        return rate(self.accepted, self.n)

    def summary(self) -> dict[str, float]:
        """Return statistics of the margins."""
        counts = {"n": float(self.n), "not_finite": float(self.n - len(self.margins))}
        return {**counts, **describe(self.margins)._asdict()} if self.margins else counts


class QcCounter:
    """Streaming counters for a QC summary; they store no texts."""

    def __init__(self) -> None:
        self.overlapping = 0
        self.kept = 0
        self.kept_faults = 0
        self.repetitions = 0
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.tokens = array("q")
        self.instructions = _Judgements()
        self.pairs = _Judgements()
        self.purity = PurityCounter()
        self._distinct: set[bytes] = set()

    @classmethod
    def of(cls, data: QcInput) -> "QcCounter":
        """Count all items of the data."""
        counter = cls()
        for example in data.examples:
            counter.keep(example)
        for rejection in data.rejections:
            counter.reject(rejection)
        for generation_round in data.rounds:
            counter.generate(generation_round)
        counter.overlapping = data.overlapping
        return counter

    def keep(self, example: Example) -> None:
        """Count a kept example."""
        self.kept += 1
        self.purity.keep(example)
        self.kept_faults += bool(find_faults(example.response, example.finish_reason))
        text = normalize_case_and_spacing(example.instruction).encode("utf-8", "surrogatepass")
        self._distinct.add(blake2b(text, digest_size=16).digest())

    def reject(self, rejection: Rejection) -> None:
        """Count a rejected item by phase and reason."""
        self.reasons[f"rejected {rejection.phase}: {rejection.reason}"] += 1
        self.repetitions += rejection.phase == "dedup"
        self.purity.reject(rejection)

    def generate(self, generation_round: GenerationRound) -> None:
        """Count the generated and judged items of a round."""
        self.counts["rounds"] += 1
        self.counts["instruction_prompts"] += len(generation_round.lists)
        self.counts["list_lines"] += generation_round.list_lines
        self.counts["parsed_instructions"] += generation_round.parsed
        self.instructions.add(generation_round.instruction_critiques)
        self.pairs.add(generation_round.pair_critiques)
        for response in generation_round.responses:
            self.tokens.append(response.tokens)
            self.counts["delimiter_found"] += response.delimiter_found
            self.counts["heuristic_cut"] += response.heuristic_cut
            self.counts["token_limit_hits"] += response.finish_reason == "length"
            self.faults.update(set(response.faults))
            self.faults.update(f"raw_{fault}" for fault in set(response.raw_faults))

    @property
    def generated(self) -> int:
        """Number of generated responses."""
        return len(self.tokens)

    @property
    def duplicates(self) -> int:
        """Number of kept examples whose normalized instruction an earlier kept example has."""
        return self.kept - len(self._distinct)


class SummaryHeader(NamedTuple):
    """Identity of a QC summary.

    Attributes:
        stage: `pilot`, `scale` or `merged`.
        run_id: run that generated the data.
        inputs: names and digests of the input files.
        artifact: path of the summary relative to the run directory.
        made_by: maker of the data.
    """

    stage: str
    run_id: str
    inputs: Mapping[str, str]
    artifact: str | None = None
    made_by: MadeBy | None = None


def summarize(
    header: SummaryHeader,
    data: QcInput | QcCounter,
    minimum: MinimumCount,
    thresholds: QcThresholds,
    extra_rates: Mapping[str, Rate] | None = None,
    *,
    filters: bool | None = None,
) -> QcSummary:
    """Compute every count, rate and metric.

    Args:
        header: identity of the summary.
        data: everything generated, kept and rejected, or its counts.
        minimum: minimum number of examples.
        thresholds: threshold of each metric.
        extra_rates: further rates, reported without a threshold.
        filters: whether the critic filters the pairs; None leaves its gain without a threshold, as for the part of a dataset.
    """
    counter = data if isinstance(data, QcCounter) else QcCounter.of(data)
    accepted = counter.pairs.acceptance()
    acceptance = {
        "instruction": counter.instructions.acceptance(),
        # includes responses with formal faults, which the critic never judges
        "pair": rate(accepted.k, counter.generated),
        "pair_judged": accepted,
    }
    rates = {**_rates(counter), **(extra_rates or {})}
    stats = _token_stats(counter.tokens)
    purity = counter.purity.ledger()
    value = MetricValue(counter.kept, note=purity.sentence())
    count = to_metric(metric_spec(minimum.metric), value, minimum.at_least)
    metrics = tuple(
        metric.model_copy(update={"artifact": header.artifact})
        for metric in (
            *_metrics(count, thresholds, rates, acceptance, stats),
            *((_critic_gain(purity.pairs, thresholds, filters),) if filters is not None else ()),
        )
    )
    return QcSummary(
        stage=header.stage,
        counts=_counts(counter),
        acceptance=acceptance,
        purity=purity,
        token_stats=stats,
        margins={"instruction": counter.instructions.summary(), "pair": counter.pairs.summary()},
        rates=rates,
        thresholds=metrics,
        thresholds_passed=not any(metric.missed for metric in metrics),
        failed_reasons=tuple(metric.failure() for metric in metrics if metric.missed),
        inputs=dict(header.inputs),
        run_id=header.run_id,
        made_by=header.made_by,
    )


def _rates(counter: QcCounter) -> dict[str, Rate]:
    """Compute fault rates of all generated responses, cleaned and raw, and rates of the kept examples."""
    n, kept = counter.generated, counter.kept
    rates = {fault: rate(counter.faults[fault], n) for fault in FAULTS}
    # as the generator reports it, not the detector
    rates["token_limit"] = rate(counter.counts["token_limit_hits"], n)
    rates |= {f"raw_{fault}": rate(counter.faults[f"raw_{fault}"], n) for fault in FAULTS}
    rates["duplicate"] = rate(counter.duplicates, kept)
    rates["heldout_overlap"] = rate(counter.overlapping, kept)
    rates["kept_faults"] = rate(counter.kept_faults, kept)
    rates["generated_duplicates"] = rate(counter.repetitions, counter.counts["parsed_instructions"])
    return rates


def _metrics(
    count: Metric,
    thresholds: QcThresholds,
    rates: Mapping[str, Rate],
    acceptance: Mapping[str, Rate],
    stats: TokenStats,
) -> tuple[Metric, ...]:
    """Hold the values of a summary against the thresholds, in the order of the registry."""
    by_metric = {
        **{
            f"{fault}_rate": rates[fault] for fault in ("runaway", "token_limit", "delimiter", "truncated", "duplicate")
        },
        **{f"{kind}_acceptance": acceptance[kind] for kind in ("instruction", "pair")},
        **{name: rates[name] for name in ("heldout_overlap", "kept_faults")},
    }
    median = MetricValue(stats.median, n=stats.n)
    return (
        count,
        *(
            _rate_metric(spec, by_metric[spec.name], _threshold(spec, thresholds))
            if spec.name in by_metric
            else to_metric(spec, median, _threshold(spec, thresholds))
            for spec in QC_METRICS
        ),
    )


def _critic_gain(purity: PairPurity, thresholds: QcThresholds, filters: bool) -> Metric:
    """Hold the gain by the pair critic against its threshold, where there is something to gain."""
    gain, judged = purity.gain, purity.phases["judged"]
    note = f"{judged.k} of {judged.n} judged pairs are right, {gain.rejected} are rejected"
    applicable = filters and judged.n - judged.k >= MIN_PAIRS
    value = MetricValue(
        gain.value,
        gain.interval,
        gain.judged,
        note=note if filters else "the critic filters nothing in this run",
        applicable=applicable,
    )
    spec = metric_spec("critic_gain")
    return to_metric(spec, value, _threshold(spec, thresholds))


def _threshold(spec: MetricSpec, thresholds: QcThresholds) -> float:
    return float(getattr(thresholds, spec.setting.removeprefix("qc."))) if spec.setting else spec.threshold


def _rate_metric(spec: MetricSpec, rate: Rate, threshold: float) -> Metric:
    """Return the metric of a rate's point value; its note says when the sample cannot rule out a miss."""
    metric = to_metric(spec, MetricValue(rate.value, rate.interval, rate.n), threshold)
    worst = rate.interval.high if spec.comparison in ("<", "<=") else rate.interval.low
    if metric.passed and not metric.model_copy(update={"value": worst}).passed:
        note = f"{rate.k} of {rate.n}: the sample cannot rule out {worst:.3g}"
        return metric.model_copy(update={"note": note})
    return metric


def _counts(counter: QcCounter) -> dict[str, int]:
    delimiters, events = counter.counts["delimiter_found"], counter.counts
    counts = {
        "rounds": events["rounds"],
        "instruction_prompts": events["instruction_prompts"],
        "list_lines": events["list_lines"],
        "parsed_instructions": events["parsed_instructions"],
        "judged_instructions": counter.instructions.n,
        "generated": counter.generated,
        "judged_pairs": counter.pairs.n,
        "kept": counter.kept,
        "delimiter_found": delimiters,
        "delimiter_missing": counter.generated - delimiters,
        "heuristic_cut": events["heuristic_cut"],
        "token_limit_hits": events["token_limit_hits"],
    }
    return {**counts, **dict(sorted(counter.reasons.items()))}


def _token_stats(tokens: Sequence[int]) -> TokenStats:
    statistics = describe(tokens)
    return TokenStats(
        n=len(tokens),
        median=statistics.median,
        mean=statistics.mean,
        p95=statistics.p95,
        maximum=max(tokens, default=0),
    )
