"""Purity ledger of the report: shares of right pairs by phase and by family, and the gain by each critic."""

from typing import NamedTuple

from ctai.records import InstructionPurity, PairPurity, PurityLedger, Rate, SelectionGain
from ctai.report.text import format_interval, format_percent, format_signed

_PHASES = ("generated", "judged", "accepted", "rejected", "kept")
_FAMILY_PHASES = ("judged", "rejected", "kept")


class PurityCell(NamedTuple):
    """Share with its interval and its counts; empty without items."""

    value: str
    interval: str
    counts: str


class PurityRow(NamedTuple):
    """Row of a purity table: a phase or a family, with its cells."""

    name: str
    cells: tuple[PurityCell, ...]


class PurityTable(NamedTuple):
    """Table of the purity ledger."""

    caption: str
    first: str
    columns: tuple[str, ...]
    rows: tuple[PurityRow, ...]


class PurityView(NamedTuple):
    """Purity ledger as it is displayed: statements, then the tables by phase and by family."""

    statements: tuple[str, ...]
    phases: PurityTable
    families: PurityTable


def purity_view(ledger: PurityLedger) -> PurityView:
    """Return the statements and tables of a ledger."""
    pairs, instructions = ledger.pairs, ledger.instructions
    statements = (
        _gain_statement("Pair critic", "right pairs among parsed ones", pairs.gain),
        _gain_statement("Instruction critic", "instructions that a family parses", instructions.gain),
        _unparsed_statement(pairs),
    )
    return PurityView(statements, _phase_table(instructions, pairs), _family_table(instructions, pairs))


def _gain_statement(critic: str, share: str, gain: SelectionGain) -> str:
    return (
        f"{critic}: {gain.finding}. It changes the share of {share} by {format_signed(gain.value)} "
        f"({format_interval(gain.interval)}); it rejected {gain.rejected:,} of {gain.judged:,}."
    )


def _unparsed_statement(pairs: PairPurity) -> str:
    estimate, kept = pairs.unparsed_estimate, pairs.unparsed.get("kept", 0)
    if estimate.reason:
        return f"Unparsed pairs kept: {kept:,}. No estimate of their purity: {estimate.reason}."
    return (
        f"Unparsed pairs kept: {kept:,}, estimated to be right in {format_percent(estimate.accepted_value)} "
        f"({format_interval(estimate.accepted_interval)}) of cases, from the acceptance corrected by the critic's error on "
        "parsed pairs."
    )


def _phase_table(instructions: InstructionPurity, pairs: PairPurity) -> PurityTable:
    rows = tuple(
        PurityRow(phase, (_cell(instructions.phases.get(phase)), _cell(pairs.phases.get(phase)))) for phase in _PHASES
    )
    columns = ("Instructions parsed", "Right among parsed pairs")
    return PurityTable("Purity by phase", "Phase", columns, rows)


def _family_table(instructions: InstructionPurity, pairs: PairPurity) -> PurityTable:
    names = dict.fromkeys((*instructions.by_family, *pairs.by_family))
    rows = tuple(
        PurityRow(
            name,
            (
                _cell(instructions.by_family.get(name)),
                *(_cell(pairs.by_family.get(name, {}).get(phase)) for phase in _FAMILY_PHASES),
            ),
        )
        for name in names
    )
    columns = ("Instructions accepted", *(f"Right among {phase} pairs" for phase in _FAMILY_PHASES))
    return PurityTable("Purity by family", "Family", columns, rows)


def _cell(share: Rate | None) -> PurityCell:
    if share is None or not share.n:
        return PurityCell("none", "", "")
    return PurityCell(format_percent(share.value), format_interval(share.interval), f"{share.k:,} of {share.n:,}")
