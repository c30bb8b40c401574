"""Gate 2a again: the test set and the probes drawn again from the seed, the critic's numbers from its single judgements."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from ctai.config import RunConfig
from ctai.gates.recompute.compare import differences, same
from ctai.generate.calibration import CONTENT_FREE, NOTHING, Probes, calibrate
from ctai.generate.critic import critique_of
from ctai.records import CriticCalibration, HeldoutItem, ProbeJudgement
from ctai.rundir import RunDir, read_jsonl, read_record
from ctai.tasks.heldout import build_heldout
from ctai.tasks.probes import PairProbe, instruction_probes, pair_probes

Kind = Literal["instructions", "pairs"]
KINDS: tuple[Kind, ...] = ("instructions", "pairs")


class CalibrationAgain(NamedTuple):
    """The critic's numbers as they follow from its judgements, and what differed."""

    calibration: CriticCalibration
    differences: tuple[str, ...]


def heldout_differences(stored: Sequence[HeldoutItem], config: RunConfig, where: str) -> Iterator[str]:
    """Where the test set is not the one that its seed draws."""
    again = build_heldout(config.heldout.count, config.seed, config.generation.embedded_world)
    yield from differences(list(stored), again, where)


def calibration_name(kind: Kind) -> str:
    """Where the critic's calibration on one kind of probes lies."""
    return f"evidence/instruments/critic_{kind}/calibration.json"


def calibration_again(rundir: RunDir, config: RunConfig, kind: Kind) -> CalibrationAgain:
    """The critic's calibration on one kind of probes.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    path = rundir.path(calibration_name(kind))
    name = rundir.relative(path.with_name("probes.jsonl"))
    judgements = read_jsonl(path.with_name("probes.jsonl"), ProbeJudgement)
    said = [(j.kind, j.fault, j.label, j.instruction, j.response) for j in judgements]
    found = list(differences(said, _asked(config, kind), name))
    margin = config.critic.confident_margin
    for number, judgement in enumerate(judgements):
        for critique, swapped in ((judgement.critique, False), (judgement.reverse, False), (judgement.swapped, True)):
            if not same(critique, critique_of(critique.logp_a, critique.logp_b, margin, swapped)):
                found.append(f"{name} line {number + 1}: a judgement that does not follow from its log-probabilities")
    calibration = calibrate(judgements)
    found += differences(read_record(path, CriticCalibration), calibration, rundir.relative(path))
    return CalibrationAgain(calibration, tuple(found))


def _asked(config: RunConfig, kind: Kind) -> list[tuple[str, str, str, str, str]]:
    """What the critic had to be asked: the probes that the seed draws, and nothing."""
    count, seed, embedded = config.critic.probes, config.seed, config.generation.embedded_world
    probes: Probes
    if kind == "pairs":
        probes = pair_probes(count, seed, heldout=True, embedded=embedded)
    else:
        probes = instruction_probes(count, seed, embedded=embedded)
    asked = [(p.kind, p.label, p.instruction, p.response if isinstance(p, PairProbe) else "") for p in probes]
    asked += [(NOTHING, "", text, text if kind == "pairs" else "") for text in CONTENT_FREE]
    return [(kind, *one) for one in asked]
