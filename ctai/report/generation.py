"""Generation data of the report: funnel, rejection reasons, critic margins, lengths, duplicates and samples."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from ctai.provenance import derive_seed
from ctai.records import BEYOND_TARGET, Critique, Example, GenerationRound, Rejection
from ctai.report.charts import Bin, compute_bins, draw_bar, draw_histogram
from ctai.report.text import format_number, ratio
from ctai.rundir.reader import GenerationData

SAMPLES = 12
SAMPLES_PER_REASON = 3
CLUSTERS = 15
PHASE_LABELS = {
    "parse": "unusable instruction",
    "dedup": "duplicate",
    "decontaminate": "overlaps the test set",
    "instruction": "instruction critic",
    "response": "response format",
    "pair": "pair critic",
}
_NO_INSTRUCTION = "no instruction in the list"
_NOT_PARSED = "no instruction: truncated, unnumbered or a comment on the list"
_TOO_LONG = "too long"


class RejectionCount(NamedTuple):
    """Number of rejections for one reason."""

    reason: str
    n: int


class FunnelStage(NamedTuple):
    """Stage of the funnel: remaining count, share of the previous stage, and rejections by reason."""

    name: str
    n: int
    share: float
    rejections: tuple[RejectionCount, ...]
    bar: Markup


class Chart(NamedTuple):
    """Drawing with the numbers behind it."""

    title: str
    drawing: Markup
    bins: tuple[Bin, ...]
    note: str = ""


class DuplicateCluster(NamedTuple):
    """Instruction with the number of its duplicates."""

    instruction: str
    duplicates: int
    bar: Markup


class DuplicateClusters(NamedTuple):
    """Duplicates within and across shards; `largest` holds the largest clusters."""

    total: int
    distinct: int
    largest: tuple[DuplicateCluster, ...]


class RejectionSamples(NamedTuple):
    """Sample of the rejections in one phase for one reason."""

    phase: str
    reason: str
    n: int
    samples: tuple[Rejection, ...]


# --------------------------------------------------------------------------------------------------------- funnel


def build_funnel(generation: GenerationData) -> tuple[FunnelStage, ...]:
    """Return the stages from generated list lines to unique examples; empty when nothing was generated."""
    rounds, kept = generation.rounds, len(generation.examples)
    if not rounds:
        return ()
    rejected: Counter[tuple[str, str]] = Counter((r.phase, r.reason) for r in generation.rejections)
    response_reasons = _reasons(rejected, "response")
    too_long = {reason: n for reason, n in response_reasons.items() if _TOO_LONG in reason}
    malformed = {reason: n for reason, n in response_reasons.items() if _TOO_LONG not in reason}
    responses = sum(len(record.responses) for record in rounds)
    surplus = rejected["pair", BEYOND_TARGET]
    pair_reasons = {reason: n for reason, n in _reasons(rejected, "pair").items() if reason != BEYOND_TARGET}
    counts = [
        ("List lines generated", sum(record.list_lines for record in rounds), {}),
        ("Instructions parsed", sum(record.parsed for record in rounds), {}),
        (
            "After deduplication and decontamination",
            sum(len(record.instruction_critiques) for record in rounds),
            _reasons_before_critic(rejected),
        ),
        ("Instructions accepted", responses + sum(too_long.values()), _reasons(rejected, "instruction")),
        ("Responses generated", responses, too_long),
        ("Responses of valid format", sum(len(record.pair_critiques) for record in rounds), malformed),
        ("Pairs accepted", kept + surplus, pair_reasons),
        ("Kept", kept, {BEYOND_TARGET: surplus}),
    ]
    if generation.removed:
        dropped = Counter((r.phase, r.reason) for r in generation.removed)
        reasons = {f"{PHASE_LABELS[phase]} in another shard ({reason})": n for (phase, reason), n in dropped.items()}
        counts.append(("Unique across shards", kept - len(generation.removed), reasons))
    return tuple(_funnel_stages(counts))


def _reasons(rejected: Counter[tuple[str, str]], phase: str) -> dict[str, int]:
    return {reason: n for (other, reason), n in rejected.items() if other == phase}


def _reasons_before_critic(rejected: Counter[tuple[str, str]]) -> dict[str, int]:
    """Return the reasons for which parsed instructions never reached the critic."""
    phases = ("parse", "dedup", "decontaminate")
    return {
        f"{PHASE_LABELS[phase]} ({reason})": n
        for (phase, reason), n in rejected.items()
        if phase in phases and reason != _NO_INSTRUCTION
    }


def _funnel_stages(counts: Sequence[tuple[str, int, dict[str, int]]]) -> Iterable[FunnelStage]:
    """Yield the stages with their rejections; a count that the records do not explain gets a reason that says so."""
    first, before = max(counts[0][1], 1), counts[0][1]
    for position, (name, count, reasons) in enumerate(counts):
        rejections = [
            RejectionCount(reason, n) for reason, n in sorted(reasons.items(), key=lambda item: -item[1]) if n
        ]
        rest = before - count - sum(rejection.n for rejection in rejections)
        if rest:
            reason = _NOT_PARSED if position == 1 else "not explained by the records"
            rejections.append(RejectionCount(reason, rest))
        drawing = draw_bar(f"{name}: {count:,}", ratio(count, first))
        yield FunnelStage(name, count, ratio(count, before), tuple(rejections), drawing)
        before = count


# -------------------------------------------------------------------------------------------------- distributions


def margin_charts(rounds: Sequence[GenerationRound], confident: float) -> tuple[Chart, ...]:
    """Return histograms of the critic's log p(A) - log p(B) in nats, for instructions and for pairs."""
    by_kind = {
        "Instructions": [critique for record in rounds for critique in record.instruction_critiques],
        "Pairs": [critique for record in rounds for critique in record.pair_critiques],
    }
    return tuple(_margin_chart(name, critiques, confident) for name, critiques in by_kind.items() if critiques)


def _margin_chart(name: str, critiques: Sequence[Critique], confident: float) -> Chart:
    accepted = sum(critique.accepted for critique in critiques)
    unsure = sum(critique.is_good and not critique.confident for critique in critiques)
    bins = tuple(
        bin._replace(kind="bar good" if bin.low >= confident else "bar bad" if bin.high <= -confident else "bar unsure")
        for bin in compute_bins([critique.logp_a - critique.logp_b for critique in critiques])
    )
    note = f"{accepted:,} of {len(critiques):,} accepted, {unsure:,} good but not confident"
    title = f"{name}: log p(A, good) minus log p(B, bad), {note}"
    unit = f"log p(A) − log p(B); accepted to the right of {format_number(confident)}"
    marked = [m for m in (-confident, confident) if bins and bins[0].low <= m <= bins[-1].high]
    return Chart(name, draw_histogram(title, bins, unit, marked), bins, note)


def length_chart(rounds: Sequence[GenerationRound], limit: float | None) -> Chart | None:
    """Return a histogram of response lengths in tokens after cleaning, with the threshold of the median if in range."""
    tokens = [ratio(response.tokens, 1) for record in rounds for response in record.responses]
    if not any(map(math.isfinite, tokens)):
        return None
    integer_bins = all(0 <= n <= 24 for n in tokens)
    bins = _integer_bins(tokens) if integer_bins else tuple(compute_bins(tokens, target_count=24))
    marked = [limit] if limit is not None and bins[0].low <= limit <= bins[-1].high else []
    title = f"Response lengths in tokens, of {len(tokens):,} responses"
    note = f"{len(tokens):,} responses" + (
        f"; the median must be below {format_number(limit)}" if limit is not None else ""
    )
    drawing = draw_histogram(title, bins, "tokens of the cleaned response", marked, integer_bins=integer_bins)
    return Chart("Response lengths", drawing, bins, note)


def _integer_bins(tokens: Sequence[float]) -> tuple[Bin, ...]:
    counts = Counter(tokens)
    return tuple(Bin(float(n), float(n + 1), counts[float(n)]) for n in range(int(max(tokens)) + 1))


# ----------------------------------------------------------------------------------------------------- duplicates


def duplicate_clusters(generation: GenerationData) -> DuplicateClusters | None:
    """Return the duplicated instructions, the most frequent first; None without duplicates."""
    rejections = (*generation.rejections, *generation.removed)
    counts = Counter(r.duplicate_of or r.instruction for r in rejections if r.phase == "dedup")
    if not counts:
        return None
    largest = counts.most_common(CLUSTERS)
    top = largest[0][1]
    clusters = tuple(DuplicateCluster(name, n, draw_bar(f"{n} duplicates", n / top, 120)) for name, n in largest)
    return DuplicateClusters(counts.total(), len(counts), clusters)


# -------------------------------------------------------------------------------------------------------- samples


def sample_examples(examples: Sequence[Example], seed: int) -> list[Example]:
    """Draw a random sample that depends on the seed of the run only."""
    rng = random.Random(derive_seed(seed, "report", "samples"))
    return rng.sample(list(examples), min(SAMPLES, len(examples)))


def least_confident(examples: Sequence[Example]) -> list[Example]:
    """Return the examples with the smallest margin of the pair critic."""
    return sorted(examples, key=lambda example: example.pair_critique.margin)[:SAMPLES]


def sample_rejections(generation: GenerationData, seed: int) -> tuple[RejectionSamples, ...]:
    """Draw some rejections for each phase and reason, the most frequent reason first."""
    rng = random.Random(derive_seed(seed, "report", "lost"))
    by_reason: dict[tuple[str, str], list[Rejection]] = {}
    for rejection in (*generation.rejections, *generation.removed):
        by_reason.setdefault((rejection.phase, rejection.reason), []).append(rejection)
    samples = [
        RejectionSamples(
            PHASE_LABELS[phase], reason, len(group), tuple(rng.sample(group, min(SAMPLES_PER_REASON, len(group))))
        )
        for (phase, reason), group in by_reason.items()
    ]
    return tuple(sorted(samples, key=lambda sample: -sample.n))
