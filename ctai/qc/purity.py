"""Purity ledger: shares of right pairs among the generated, judged, accepted, rejected and kept ones.

The scorers of the instruction families decide which pairs are right, wherever a family parses the instruction. They
measure only: no scorer selects data, so that what the ledger reports is not what the filter was told. Everything follows
from the records on disk. Does not own the scorers (`ctai.tasks`) or the intervals (`ctai.statistics`).
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from ctai.records import (
    BEYOND_TARGET,
    ClusteredRate,
    Example,
    InstructionPurity,
    Interval,
    PairPurity,
    PurityLedger,
    Rate,
    Rejection,
    SelectionGain,
    UnparsedEstimate,
)
from ctai.statistics import (
    CorrectedShare,
    SelectionCounts,
    clustered_rate,
    corrected_share,
    rate,
    selection_gain,
    share_among_accepted,
)
from ctai.tasks import registry

InstructionPhase = Literal["generated", "judged", "accepted", "rejected"]
PairPhase = Literal["generated", "judged", "accepted", "rejected", "kept"]
_UNPARSED = ""
_CORRELATION = 0.05  # of the pairs of one family, where too few are wrong to show it
MIN_PAIRS = 10  # right and wrong ones, each, from which the work of the critic is estimated

_NOT_JUDGED: tuple[InstructionPhase, ...] = ("generated",)
_ACCEPTED: tuple[InstructionPhase, ...] = ("generated", "judged", "accepted")
_REJECTED: tuple[InstructionPhase, ...] = ("generated", "judged", "rejected")


class PurityCounter:
    """Streaming counters of the purity ledger; they store no texts."""

    def __init__(self) -> None:
        self._instructions: Counter[tuple[str, str]] = Counter()
        self._pairs: Counter[tuple[str, str, bool]] = Counter()

    def keep(self, example: Example) -> None:
        """Count a kept example."""
        self._count_instruction(_ACCEPTED, example.instruction)
        self._count_pair((*_ACCEPTED, "kept"), example.instruction, example.response)

    def reject(self, rejection: Rejection) -> None:
        """Count a rejected item in the phases that it had passed."""
        if not rejection.instruction:
            return
        self._count_instruction(_instruction_phases(rejection), rejection.instruction)
        self._count_pair(_pair_phases(rejection), rejection.instruction, rejection.response)

    def ledger(self) -> PurityLedger:
        """Return the ledger of everything counted."""
        return PurityLedger(instructions=self._instruction_purity(), pairs=self._pair_purity())

    def _count_instruction(self, phases: Iterable[str], instruction: str) -> None:
        parsed = registry.parse(instruction)
        family = parsed[0] if parsed else _UNPARSED
        self._instructions.update((phase, family) for phase in phases)

    def _count_pair(self, phases: tuple[str, ...], instruction: str, response: str) -> None:
        if not phases:
            return
        parsed = registry.parse(instruction)
        if parsed is None:
            self._pairs.update((phase, _UNPARSED, False) for phase in phases)
        else:
            is_right = registry.by_name(parsed[0]).score(instruction, response).content
            self._pairs.update((phase, parsed[0], is_right) for phase in phases)

    # -- instructions ------------------------------------------------------------------------------------------------

    def _instruction_purity(self) -> InstructionPurity:
        shares = {phase: self._parsed_share(phase) for phase in get_args(InstructionPhase)}
        counts = SelectionCounts(*_right_and_wrong(shares["accepted"]), *_right_and_wrong(shares["rejected"]))
        families = sorted({family for _, family in self._instructions if family})
        return InstructionPurity(
            phases=shares,
            by_family={
                family: rate(self._instructions["accepted", family], self._instructions["judged", family])
                for family in families
            },
            gain=selection_gain([counts]),
        )

    def _parsed_share(self, phase: str) -> Rate:
        counts = {family: n for (other, family), n in self._instructions.items() if other == phase}
        n = sum(counts.values())
        return rate(n - counts.get(_UNPARSED, 0), n)

    # -- pairs -------------------------------------------------------------------------------------------------------

    def _pair_purity(self) -> PairPurity:
        families = sorted({family for _, family, _ in self._pairs if family})
        phases: tuple[str, ...] = get_args(PairPhase)
        by_family: dict[str, dict[str, Rate]] = {}
        for family in families:
            by_family[family] = {phase: self._purity(phase, family) for phase in phases}
        return PairPurity(
            phases={phase: _pooled({family: rates[phase] for family, rates in by_family.items()}) for phase in phases},
            by_family=by_family,
            unparsed={phase: self._pairs[phase, _UNPARSED, False] for phase in phases},
            gain=_pair_gain(by_family),
            unparsed_estimate=self._unparsed_estimate(by_family),
        )

    def _purity(self, phase: str, family: str) -> Rate:
        right = self._pairs[phase, family, True]
        return rate(right, right + self._pairs[phase, family, False])

    def _unparsed_estimate(self, by_family: Mapping[str, Mapping[str, Rate]]) -> UnparsedEstimate:
        """Estimate the unparsed pairs by the acceptance there and the error of the critic on the parsed ones."""
        judged, accepted, rejected = (
            [rates[phase] for rates in by_family.values()] for phase in ("judged", "accepted", "rejected")
        )
        right, wrong = sum(r.k for r in judged), sum(r.n - r.k for r in judged)
        return estimate_unparsed(
            rate(self._pairs["accepted", _UNPARSED, False], self._pairs["judged", _UNPARSED, False]),
            rate(sum(r.k for r in accepted), right),
            rate(sum(r.n - r.k for r in rejected), wrong),
        )


def estimate_unparsed(acceptance: Rate, sensitivity: Rate, specificity: Rate) -> UnparsedEstimate:
    """Estimate the share of right pairs among judged and among accepted pairs that no family parses.

    The acceptance is corrected by the critic's error (Rogan and Gladen 1978), which is taken to be the same on pairs that
    are parsed and on those that are not.

    Args:
        acceptance: acceptance of the unparsed pairs.
        sensitivity: acceptance of right parsed pairs.
        specificity: rejection of wrong parsed pairs.
    """
    estimate = corrected_share(acceptance, sensitivity, specificity)
    reason = ""
    if not acceptance.n:
        reason = "every judged pair is parsed"
    elif min(sensitivity.n, specificity.n) < MIN_PAIRS:
        counts = f"{sensitivity.n} parsed pairs are right and {specificity.n} wrong"
        reason = f"{counts}, and the critic's error needs {MIN_PAIRS} of each"
    elif math.isnan(estimate.value):
        reason = "the critic accepts wrong pairs as often as right ones"
    if reason:
        estimate = CorrectedShare(math.nan, Interval(low=0.0, high=1.0))
    accepted = share_among_accepted(estimate, sensitivity, specificity)
    return UnparsedEstimate(
        acceptance=acceptance, sensitivity=sensitivity, specificity=specificity,
        value=estimate.value, interval=estimate.interval, accepted_value=accepted.value,
        accepted_interval=accepted.interval, reason=reason,
    )  # fmt: skip


def _instruction_phases(rejection: Rejection) -> tuple[InstructionPhase, ...]:
    """Return the phases of the instruction of a rejection."""
    if rejection.phase in ("response", "pair") or _is_dropped_example(rejection):
        return _ACCEPTED
    return _REJECTED if rejection.phase == "instruction" and rejection.critique is not None else _NOT_JUDGED


def _pair_phases(rejection: Rejection) -> tuple[InstructionPhase, ...]:
    """Return the phases of the pair of a rejection; empty if no response was generated."""
    if rejection.finish_reason is None or rejection.phase in ("parse", "instruction"):
        return ()
    if _is_dropped_example(rejection) or rejection.reason == BEYOND_TARGET:
        return _ACCEPTED
    return _REJECTED if rejection.phase == "pair" and rejection.critique is not None else _NOT_JUDGED


def _is_dropped_example(rejection: Rejection) -> bool:
    """Return True for an example that the merge dropped; within a shard, duplicates are dropped before a response."""
    return rejection.phase in ("dedup", "decontaminate") and rejection.finish_reason is not None


def _pooled(by_family: Mapping[str, Rate]) -> ClusteredRate:
    """Return the rate over all families, with the interval clustered by family."""
    outcomes = [(family, i < share.k) for family, share in by_family.items() for i in range(share.n)]
    return clustered_rate([right for _, right in outcomes], [family for family, _ in outcomes], _CORRELATION)


def _right_and_wrong(share: Rate) -> tuple[int, int]:
    return share.k, share.n - share.k


def _pair_gain(by_family: Mapping[str, Mapping[str, Rate]]) -> SelectionGain:
    return selection_gain(
        [
            SelectionCounts(*_right_and_wrong(rates["accepted"]), *_right_and_wrong(rates["rejected"]))
            for rates in by_family.values()
        ],
        _CORRELATION,
    )
