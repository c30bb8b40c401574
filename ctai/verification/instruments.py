"""Recomputation of gate instruments: test set and probes from the seed, calibrations from labels and judgements."""

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
    """Recomputed calibrations of scorers, detectors and critic, and their differences from the stored ones."""

    scorers: ScorerCalibration
    detectors: DetectorCalibration
    critics: tuple[CriticCalibration, ...]
    differences: tuple[str, ...]


def heldout_differences(stored: Sequence[HeldoutItem], config: RunConfig, where: str) -> Iterator[str]:
    """Yield where the test set differs from the one that its seed draws."""
    settings, embedded = config.heldout, config.generation.embedded_world
    expected = build_heldout(settings.count, config.seed, embedded, settings.unseen_count)
    yield from differences(list(stored), expected, where)


def recompute_instruments(rundir: RunDir, config: RunConfig) -> RecomputedInstruments:
    """Calibrate scorers and detectors on the labels of this package, and the critic on its recorded judgements.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    problems: list[str] = []
    scorers, detectors = calibrate_scorers(config.generation.embedded_world), calibrate_detectors()
    for instrument, calibration in (("scorers", scorers), ("detectors", detectors)):
        path = rundir.calibration(instrument)
        problems += differences(read_record(path, type(calibration)), calibration, rundir.relative(path))
    critics = tuple(_recompute_critic(rundir, config, kind, problems) for kind in KINDS)
    return RecomputedInstruments(scorers, detectors, critics, tuple(problems))


def _recompute_critic(rundir: RunDir, config: RunConfig, kind: Kind, problems: list[str]) -> CriticCalibration:
    """Calibrate the critic on one kind of probes; differences are appended to `problems`."""
    path = rundir.calibration(f"critic_{kind}")
    name = rundir.relative(rundir.probes(kind))
    judgements = read_jsonl(rundir.probes(kind), ProbeJudgement)
    if not judgements:
        raise CtaiError(f"{name} holds no judgement")
    stored = [(j.kind, j.fault, j.label, j.instruction, j.response) for j in judgements]
    problems += differences(stored, _expected_probes(config, kind), name)
    margin = config.critic.confident_margin
    for number, judgement in enumerate(judgements, start=1):
        for critique, swapped in ((judgement.critique, False), (judgement.reverse, False), (judgement.swapped, True)):
            if not values_match(critique, critique_of(critique.logp_a, critique.logp_b, margin, swapped)):
                problems.append(f"{name} line {number}: a judgement that does not follow from its log-probabilities")
    calibration = calibrate(judgements)
    problems += differences(read_record(path, CriticCalibration), calibration, rundir.relative(path))
    return calibration


def _expected_probes(config: RunConfig, kind: Kind) -> list[tuple[str, str, str, str, str]]:
    """Return the probes that the seed draws, then the content-free inputs."""
    count, seed, embedded = config.critic.probes, config.seed, config.generation.embedded_world
    probes: Probes
    if kind == "pairs":
        probes = pair_probes(count, seed, heldout=True, embedded=embedded)
    else:
        probes = instruction_probes(count, seed, embedded=embedded)
    fields = [(p.kind, p.label, p.instruction, p.response if isinstance(p, PairProbe) else "") for p in probes]
    fields += [(CONTENT_FREE_KIND, "", text, text if kind == "pairs" else "") for text in CONTENT_FREE_INPUTS]
    return [(kind, *probe) for probe in fields]
