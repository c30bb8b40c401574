"""Quality control of a pilot, a shard or the merged union: counts, rates and metrics against thresholds.

Owns how each metric is computed. Rates are over everything that was generated or judged, never over what survived;
the faults of a response are `ctai.qc.faults`'. Whether a summary lets the run go on is decided by the gates.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from ctai.config import MetricValue, QcThresholds, to_metric
from ctai.qc.faults import FAULTS, find_faults
from ctai.records import Critique, Example, GenerationRound, Metric, QcSummary, Rate, Rejection, TokenStats
from ctai.registry import QC_METRICS, MetricSpec, metric_spec
from ctai.statistics import describe, rate
from ctai.tasks.base import normalize_case_and_spacing

__all__ = ["FAULTS", "MinimumCount", "QcCounter", "QcInput", "SummaryHeader", "find_faults", "summarize"]


class MinimumCount(NamedTuple):
    """How many examples there must be, under the name by which the gate asks for it."""

    metric: str
    at_least: int


class QcInput(NamedTuple):
    """What is judged: the kept examples, what was rejected, and everything that was generated.

    `overlapping` counts the kept examples that overlap the held-out set.
    """

    examples: Sequence[Example]
    rejections: Sequence[Rejection]
    rounds: Sequence[GenerationRound]
    overlapping: int


class _Judgements:
    """The critic's judgements of one kind, counted."""

    def __init__(self) -> None:
        self.accepted = 0
        self.n = 0
        self.margins = array("d")

    def add(self, critiques: Iterable[Critique]) -> None:
        for critique in critiques:
            self.n += 1
            self.accepted += critique.accepted
            if math.isfinite(critique.margin):  # one that is not a number is counted and left out
                self.margins.append(critique.margin)

    def acceptance(self) -> Rate:
        return rate(self.accepted, self.n)

    def summary(self) -> dict[str, float]:
        """How sure the critic was."""
        found = {"n": float(self.n), "not_finite": float(self.n - len(self.margins))}
        return {**found, **describe(self.margins)._asdict()} if self.margins else found


class QcCounter:
    """What a summary needs of all that was generated, kept and rejected, counted as it goes by and not kept."""

    def __init__(self) -> None:
        self.overlapping = 0
        self.kept = 0
        self.kept_faults = 0
        self.repeated = 0
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.tokens = array("q")
        self.instructions = _Judgements()
        self.pairs = _Judgements()
        self._different: set[bytes] = set()

    @classmethod
    def of(cls, material: QcInput) -> "QcCounter":
        """The tally of what is at hand."""
        tally = cls()
        for example in material.examples:
            tally.keep(example)
        for rejection in material.rejections:
            tally.reject(rejection)
        for one in material.rounds:
            tally.generate(one)
        tally.overlapping = material.overlapping
        return tally

    def keep(self, example: Example) -> None:
        """Count a kept example."""
        self.kept += 1
        self.kept_faults += bool(find_faults(example.response, example.finish_reason))
        normal = normalize_case_and_spacing(example.instruction).encode("utf-8", "surrogatepass")
        self._different.add(blake2b(normal, digest_size=16).digest())

    def reject(self, rejection: Rejection) -> None:
        """Count something that was not kept."""
        self.reasons[f"rejected {rejection.phase}: {rejection.reason}"] += 1
        self.repeated += rejection.phase == "dedup"

    def generate(self, one: GenerationRound) -> None:
        """Count all that a round generated and judged."""
        self.counts["rounds"] += 1
        self.counts["instruction_prompts"] += len(one.lists)
        self.counts["list_lines"] += one.list_lines
        self.counts["parsed_instructions"] += one.parsed
        self.instructions.add(one.instruction_critiques)
        self.pairs.add(one.pair_critiques)
        for response in one.responses:
            self.tokens.append(response.tokens)
            self.counts["delimiter_found"] += response.delimiter_found
            self.counts["heuristic_cut"] += response.heuristic_cut
            self.counts["token_limit_hits"] += response.finish_reason == "length"
            self.faults.update(set(response.faults))
            self.faults.update(f"raw_{fault}" for fault in set(response.raw_faults))

    @property
    def generated(self) -> int:
        """How many responses were generated."""
        return len(self.tokens)

    @property
    def duplicates(self) -> int:
        """How many kept examples ask what another one asks, in its words."""
        return self.kept - len(self._different)


class SummaryHeader(NamedTuple):
    """Identity of a QC summary.

    Attributes:
        stage: `pilot`, `scale` or `merged`.
        run_id: the run that made the material.
        inputs: names and digests of the files that the material was read from.
        artifact: path of the summary relative to the run directory.
    """

    stage: str
    run_id: str
    inputs: Mapping[str, str]
    artifact: str | None = None


def summarize(
    header: SummaryHeader,
    material: QcInput | QcCounter,
    wanted: MinimumCount,
    thresholds: QcThresholds,
    more_rates: Mapping[str, Rate] | None = None,
) -> QcSummary:
    """Compute every count, rate and metric.

    Args:
        header: the identity of the summary.
        material: everything generated, kept and rejected, or its counts.
        wanted: the minimum number of examples.
        thresholds: the threshold of each metric.
        more_rates: further rates, reported and not judged.
    """
    tally = material if isinstance(material, QcCounter) else QcCounter.of(material)
    accepted = tally.pairs.acceptance()
    acceptance = {
        "instruction": tally.instructions.acceptance(),
        # a response of bad form was never judged, but is no accepted pair either
        "pair": rate(accepted.k, tally.generated),
        "pair_judged": accepted,
    }
    rates = {**_rates(tally), **(more_rates or {})}
    stats = _token_stats(tally.tokens)
    count = to_metric(metric_spec(wanted.metric), MetricValue(tally.kept), wanted.at_least)
    metrics = tuple(
        metric.model_copy(update={"artifact": header.artifact})
        for metric in _metrics(count, thresholds, rates, acceptance, stats)
    )
    return QcSummary(
        stage=header.stage,
        counts=_counts(tally),
        acceptance=acceptance,
        token_stats=stats,
        margins={"instruction": tally.instructions.summary(), "pair": tally.pairs.summary()},
        rates=rates,
        thresholds=metrics,
        thresholds_passed=all(metric.passed for metric in metrics),
        failed_reasons=tuple(metric.failure() for metric in metrics if not metric.passed),
        inputs=dict(header.inputs),
        run_id=header.run_id,
    )


def _rates(tally: QcCounter) -> dict[str, Rate]:
    """Faults over all generated responses, cleaned and raw; duplicates, overlap and faults over the kept ones."""
    n, kept = tally.generated, tally.kept
    rates = {fault: rate(tally.faults[fault], n) for fault in FAULTS}
    # the generator's own word, not the detector's
    rates["token_limit"] = rate(tally.counts["token_limit_hits"], n)
    rates |= {f"raw_{fault}": rate(tally.faults[f"raw_{fault}"], n) for fault in FAULTS}
    rates["duplicate"] = rate(tally.duplicates, kept)
    rates["heldout_overlap"] = rate(tally.overlapping, kept)
    rates["kept_faults"] = rate(tally.kept_faults, kept)
    rates["generated_repetitions"] = rate(tally.repeated, tally.counts["parsed_instructions"])
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


def _counts(tally: QcCounter) -> dict[str, int]:
    found, counted = tally.counts["delimiter_found"], tally.counts
    counts = {
        "rounds": counted["rounds"],
        "instruction_prompts": counted["instruction_prompts"],
        "list_lines": counted["list_lines"],
        "parsed_instructions": counted["parsed_instructions"],
        "judged_instructions": tally.instructions.n,
        "generated": tally.generated,
        "judged_pairs": tally.pairs.n,
        "kept": tally.kept,
        "delimiter_found": found,
        "delimiter_missing": tally.generated - found,
        "heuristic_cut": counted["heuristic_cut"],
        "token_limit_hits": counted["token_limit_hits"],
    }
    return {**counts, **dict(sorted(tally.reasons.items()))}


def _token_stats(tokens: Sequence[int]) -> TokenStats:
    found = describe(tokens)
    return TokenStats(
        n=len(tokens), median=found.median, mean=found.mean, p95=found.p95, maximum=max(tokens, default=0)
    )
