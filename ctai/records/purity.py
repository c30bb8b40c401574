"""Records of the purity ledger: shares of right pairs and of parsed instructions, and the gain by each critic."""

from typing import Literal

from ctai.records.core import ClusteredRate, Interval, Rate, Record


class SelectionGain(Record):
    """Share of right items among the accepted ones minus the share among all that were judged.

    Attributes:
        value: the difference; nan without an accepted item.
        interval: 95% interval of the difference.
        judged: number of items that the critic judged.
        rejected: number of items that it rejected.
        clusters: number of families.
        design_effect: variance relative to independent items, at least 1.
    """

    value: float
    interval: Interval
    judged: int
    rejected: int
    clusters: int
    design_effect: float

    @property
    def finding(self) -> Literal["gain", "no gain shown", "loss"]:
        """Statement that the interval supports."""
        if self.interval.low > 0:
            return "gain"
        return "loss" if self.interval.high < 0 else "no gain shown"


class UnparsedEstimate(Record):
    """Estimated share of right pairs among pairs that no family parses.

    Attributes:
        acceptance: acceptance of these pairs by the pair critic.
        sensitivity: acceptance of right pairs among the parsed ones of the same data.
        specificity: rejection of wrong pairs among them.
        value: acceptance corrected by the two: share right among judged pairs; nan where it cannot be computed.
        interval: 95% interval of the value.
        accepted_value: share right among accepted pairs, by Bayes' rule; nan where it cannot be computed.
        accepted_interval: 95% interval of that share.
        reason: reason why the values are nan; otherwise empty.
    """

    acceptance: Rate
    sensitivity: Rate
    specificity: Rate
    value: float
    interval: Interval
    accepted_value: float
    accepted_interval: Interval
    reason: str = ""


class InstructionPurity(Record):
    """Instructions that a family parses.

    Attributes:
        phases: share of parsed instructions among `generated`, `judged`, `accepted` and `rejected` ones.
        by_family: acceptance of the parsed instructions of a family by the instruction critic.
        gain: gain by the instruction critic in the share of parsed instructions.
    """

    phases: dict[str, Rate]
    by_family: dict[str, Rate]
    gain: SelectionGain


class PairPurity(Record):
    """Right pairs among those whose instruction a family parses.

    Attributes:
        phases: share of right pairs among `generated`, `judged`, `accepted`, `rejected` and `kept` ones.
        by_family: the same for each family.
        unparsed: number of pairs in each phase whose instruction no family parses.
        gain: gain by the pair critic.
        unparsed_estimate: estimate for the unparsed pairs.
    """

    phases: dict[str, ClusteredRate]
    by_family: dict[str, dict[str, Rate]]
    unparsed: dict[str, int]
    gain: SelectionGain
    unparsed_estimate: UnparsedEstimate


class PurityLedger(Record):
    """Instructions and pairs of a pilot, a shard or the merged dataset, as the scorers of the families see them."""

    instructions: InstructionPurity
    pairs: PairPurity

    def sentence(self) -> str:
        """Return the purity of the kept pairs and the gain by the pair critic in a line."""
        kept, gain = self.pairs.phases["kept"], self.pairs.gain
        if not kept.n:
            return "purity unknown: no family parses a kept pair"
        return (
            f"purity {kept.text} of {kept.n} parsed pairs, pair critic "
            f"{gain.value:+.3f} [{gain.interval.low:+.3f}, {gain.interval.high:+.3f}]: {gain.finding}"
        )
