"""What was generated and what became of it: the funnel, the reasons of loss, margins, lengths, repetitions, samples."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from ctai.provenance import derive_seed
from ctai.records import Critique, Example, GenerationRound, Rejection
from ctai.report.charts import Bin, bar, bins, histogram
from ctai.report.source import GenerationData
from ctai.report.text import number, share

SAMPLES = 12
SAMPLES_A_REASON = 3
CLUSTERS = 15
PLACES = {
    "parse": "unfit to be sent",
    "dedup": "came before",
    "decontaminate": "overlaps the test set",
    "instruction": "instruction critic",
    "response": "form of the response",
    "pair": "pair critic",
}
_NO_LIST = "no instruction in the list"


class RejectionCount(NamedTuple):
    """How many were lost for one reason."""

    reason: str
    n: int


class FunnelStage(NamedTuple):
    """A step of the funnel: how many are left after it, the share of the step before, and why the others are not."""

    name: str
    n: int
    share: float
    losses: tuple[RejectionCount, ...]
    bar: Markup


class Chart(NamedTuple):
    """A drawing with the numbers that it shows."""

    title: str
    drawing: Markup
    bins: tuple[Bin, ...]
    note: str = ""


class DuplicateCluster(NamedTuple):
    """An instruction that came again, and how often."""

    instruction: str
    again: int
    bar: Markup


class DuplicateClusters(NamedTuple):
    """What came more than once, over shards and within them."""

    total: int
    distinct: int
    shown: tuple[DuplicateCluster, ...]


class LostSamples(NamedTuple):
    """Examples of what was lost at one place for one reason."""

    place: str
    reason: str
    n: int
    samples: tuple[Rejection, ...]


# --------------------------------------------------------------------------------------------------------- funnel


def funnel(batch: GenerationData) -> tuple[FunnelStage, ...]:
    """From the lines of the generated lists to the unique examples; empty when nothing was generated."""
    rounds, kept = batch.rounds, len(batch.examples)
    if not rounds:
        return ()
    lost: Counter[tuple[str, str]] = Counter((r.phase, r.reason) for r in batch.rejections)
    answered = sum(len(one.responses) for one in rounds)
    accepted = answered + sum(n for (phase, reason), n in lost.items() if phase == "response" and "too long" in reason)
    beyond = lost["pair", "beyond the target"]
    counts = [
        ("Lines in the generated lists", sum(one.list_lines for one in rounds), {}),
        ("Instructions parsed", sum(one.parsed for one in rounds), {}),
        ("New and not held out", sum(len(one.instruction_critiques) for one in rounds), _early(lost)),
        ("Instructions accepted", accepted, _of(lost, "instruction")),
        ("Answered", answered, {r: n for r, n in _of(lost, "response").items() if "too long" in r}),
        ("Answers of good form", sum(len(one.pair_critiques) for one in rounds), _formless(lost)),
        ("Pairs accepted", kept + beyond, {r: n for r, n in _of(lost, "pair").items() if r != "beyond the target"}),
        ("Kept", kept, {"beyond the target": beyond}),
    ]
    if batch.dropped:
        dropped = Counter((r.phase, r.reason) for r in batch.dropped)
        reasons = {f"{PLACES[phase]} in another shard ({reason})": n for (phase, reason), n in dropped.items()}
        counts.append(("Unique over all shards", kept - len(batch.dropped), reasons))
    return tuple(_steps(counts))


def _of(lost: Counter[tuple[str, str]], phase: str) -> dict[str, int]:
    return {reason: n for (other, reason), n in lost.items() if other == phase}


def _early(lost: Counter[tuple[str, str]]) -> dict[str, int]:
    """Why parsed instructions were not even judged."""
    early = ("parse", "dedup", "decontaminate")
    return {
        f"{PLACES[phase]} ({reason})": n for (phase, reason), n in lost.items() if phase in early and reason != _NO_LIST
    }


def _formless(lost: Counter[tuple[str, str]]) -> dict[str, int]:
    return {reason: n for reason, n in _of(lost, "response").items() if "too long" not in reason}


def _steps(counts: Sequence[tuple[str, int, dict[str, int]]]) -> Iterable[FunnelStage]:
    """The steps with their losses; what the records do not explain is a loss of its own."""
    first, before = max(counts[0][1], 1), counts[0][1]
    for position, (name, count, reasons) in enumerate(counts):
        losses = [RejectionCount(reason, n) for reason, n in sorted(reasons.items(), key=lambda item: -item[1]) if n]
        rest = before - count - sum(loss.n for loss in losses)
        if rest:
            why = (
                "no instruction: cut off, unnumbered or about the list"
                if position == 1
                else "not explained by the records"
            )
            losses.append(RejectionCount(why, rest))
        drawing = bar(f"{name}: {count:,}", share(count, first))
        yield FunnelStage(name, count, share(count, before), tuple(losses), drawing)
        before = count


# -------------------------------------------------------------------------------------------------- distributions


def margins(rounds: Sequence[GenerationRound], confident: float) -> tuple[Chart, ...]:
    """How the critic judged: the log-probability of A less that of B, for instructions and for pairs."""
    judged = {
        "Instructions": [critique for one in rounds for critique in one.instruction_critiques],
        "Pairs": [critique for one in rounds for critique in one.pair_critiques],
    }
    return tuple(_margin_chart(name, critiques, confident) for name, critiques in judged.items() if critiques)


def _margin_chart(name: str, critiques: Sequence[Critique], confident: float) -> Chart:
    accepted = sum(critique.accepted for critique in critiques)
    unsure = sum(critique.is_good and not critique.confident for critique in critiques)
    found = tuple(
        one._replace(kind="bar good" if one.low >= confident else "bar bad" if one.high <= -confident else "bar unsure")
        for one in bins([critique.logp_a - critique.logp_b for critique in critiques])
    )
    note = f"{accepted:,} of {len(critiques):,} accepted, {unsure:,} good but not confident"
    title = f"{name}: log-probability of A (good) less that of B (bad), {note}"
    unit = f"log p(A) − log p(B); accepted to the right of {number(confident)}"
    inside = [m for m in (-confident, confident) if found and found[0].low <= m <= found[-1].high]
    return Chart(name, histogram(title, found, unit, inside), found, note)


def lengths(rounds: Sequence[GenerationRound], limit: float | None) -> Chart | None:
    """How many tokens the generated responses have after cleaning; the threshold of their median is marked if in sight."""
    tokens = [share(response.tokens, 1) for one in rounds for response in one.responses]
    if not any(map(math.isfinite, tokens)):
        return None
    each = all(0 <= n <= 24 for n in tokens)
    found = _each(tokens) if each else tuple(bins(tokens, wanted=24))
    marked = [limit] if limit is not None and found[0].low <= limit <= found[-1].high else []
    title = f"Response lengths in tokens, of {len(tokens):,} responses"
    note = f"{len(tokens):,} responses" + (f"; the median must be below {number(limit)}" if limit is not None else "")
    drawing = histogram(title, found, "tokens of the cleaned response", marked, each=each)
    return Chart("Response lengths", drawing, found, note)


def _each(tokens: Sequence[float]) -> tuple[Bin, ...]:
    counts = Counter(tokens)
    return tuple(Bin(float(n), float(n + 1), counts[float(n)]) for n in range(int(max(tokens)) + 1))


# ---------------------------------------------------------------------------------------------------- repetitions


def repetitions(batch: GenerationData) -> DuplicateClusters | None:
    """Which instructions came again, the most frequent first; None when none did."""
    again = Counter(r.repeats or r.instruction for r in (*batch.rejections, *batch.dropped) if r.phase == "dedup")
    if not again:
        return None
    most = again.most_common(CLUSTERS)
    top = most[0][1]
    shown = tuple(DuplicateCluster(name, n, bar(f"{n} times again", n / top, 120)) for name, n in most)
    return DuplicateClusters(again.total(), len(again), shown)


# -------------------------------------------------------------------------------------------------------- samples


def random_examples(examples: Sequence[Example], seed: int) -> list[Example]:
    """Some examples, the same ones for the same run."""
    rng = random.Random(derive_seed(seed, "report", "samples"))
    return rng.sample(list(examples), min(SAMPLES, len(examples)))


def least_certain(examples: Sequence[Example]) -> list[Example]:
    """The kept examples of which the pair critic was least sure."""
    return sorted(examples, key=lambda example: example.pair_critique.margin)[:SAMPLES]


def lost_samples(batch: GenerationData, seed: int) -> tuple[LostSamples, ...]:
    """For each place and reason of loss some examples, the most frequent first."""
    rng = random.Random(derive_seed(seed, "report", "lost"))
    by_reason: dict[tuple[str, str], list[Rejection]] = {}
    for rejection in (*batch.rejections, *batch.dropped):
        by_reason.setdefault((rejection.phase, rejection.reason), []).append(rejection)
    found = [
        LostSamples(PLACES[phase], reason, len(some), tuple(rng.sample(some, min(SAMPLES_A_REASON, len(some)))))
        for (phase, reason), some in by_reason.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.n))
