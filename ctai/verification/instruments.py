"""Gate 2a again: test set and probes drawn again from the seed, checkers and detectors held against the labels again."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.generate.critic import critique_of
from ctai.generate.critic_calibration import CONTENT_FREE_INPUTS, CONTENT_FREE_KIND, Probes, calibrate
from ctai.qc.calibration import calibrate_detectors
from ctai.records import CriticCalibration, DetectorCalibration, HeldoutItem, ProbeJudgement, ScorerCalibration
from ctai.rundir import RunDir, read_jsonl, read_record
from ctai.rundir.diff import differences, values_match
from ctai.tasks.calibration import calibrate_scorers
from ctai.tasks.heldout import build_heldout
from ctai.tasks.probes import PairProbe, instruction_probes, pair_probes

Kind = Literal["instructions", "pairs"]
KINDS: tuple[Kind, ...] = ("instructions", "pairs")


class RecomputedInstruments(NamedTuple):
    """The instruments' numbers as they follow from labels and judgements, and what differed."""

    scorers: ScorerCalibration
    detectors: DetectorCalibration
    critics: tuple[CriticCalibration, ...]
    differences: tuple[str, ...]


def heldout_differences(stored: Sequence[HeldoutItem], config: RunConfig, where: str) -> Iterator[str]:
    """Where the test set is not the one that its seed draws."""
    again = build_heldout(config.heldout.count, config.seed, config.generation.embedded_world)
    yield from differences(list(stored), again, where)


def calibration_name(instrument: str) -> str:
    """Where the calibration of an instrument lies."""
    return f"evidence/instruments/{instrument}/calibration.json"


def recompute_instruments(rundir: RunDir, config: RunConfig) -> RecomputedInstruments:
    """Checkers and detectors held against the labels of this package, the critic's judgements against its probes.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    found: list[str] = []
    scorers, detectors = calibrate_scorers(config.generation.embedded_world), calibrate_detectors()
    for instrument, again in (("scorers", scorers), ("detectors", detectors)):
        name = calibration_name(instrument)
        found += differences(read_record(rundir.path(name), type(again)), again, name)
    critics = tuple(_recompute_critic(rundir, config, kind, found) for kind in KINDS)
    return RecomputedInstruments(scorers, detectors, critics, tuple(found))


def _recompute_critic(rundir: RunDir, config: RunConfig, kind: Kind, found: list[str]) -> CriticCalibration:
    """The critic's calibration on one kind of probes; what differs goes to `found`."""
    path = rundir.path(calibration_name(f"critic_{kind}"))
    name = rundir.relative(path.with_name("probes.jsonl"))
    judgements = read_jsonl(path.with_name("probes.jsonl"), ProbeJudgement)
    if not judgements:
        raise CtaiError(f"{name} holds no judgement")
    said = [(j.kind, j.fault, j.label, j.instruction, j.response) for j in judgements]
    found += differences(said, _asked(config, kind), name)
    margin = config.critic.confident_margin
    for number, judgement in enumerate(judgements, start=1):
        for critique, swapped in ((judgement.critique, False), (judgement.reverse, False), (judgement.swapped, True)):
            if not values_match(critique, critique_of(critique.logp_a, critique.logp_b, margin, swapped)):
                found.append(f"{name} line {number}: a judgement that does not follow from its log-probabilities")
    calibration = calibrate(judgements)
    found += differences(read_record(path, CriticCalibration), calibration, rundir.relative(path))
    return calibration


def _asked(config: RunConfig, kind: Kind) -> list[tuple[str, str, str, str, str]]:
    """What the critic had to be asked: the probes that the seed draws, and nothing."""
    count, seed, embedded = config.critic.probes, config.seed, config.generation.embedded_world
    probes: Probes
    if kind == "pairs":
        probes = pair_probes(count, seed, heldout=True, embedded=embedded)
    else:
        probes = instruction_probes(count, seed, embedded=embedded)
    asked = [(p.kind, p.label, p.instruction, p.response if isinstance(p, PairProbe) else "") for p in probes]
    asked += [(CONTENT_FREE_KIND, "", text, text if kind == "pairs" else "") for text in CONTENT_FREE_INPUTS]
    return [(kind, *one) for one in asked]
