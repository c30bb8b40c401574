"""What lies in a run directory, read as far as it can be read.

A report is wanted most when something went wrong, so nothing here raises: a file that is missing is None or empty, and
one that cannot be read becomes a sentence in `problems`, which the page shows.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from ctai.errors import CtaiError
from ctai.evidence.verdicts import verdict_path
from ctai.records import (
    BudgetLedger,
    ContaminationReport,
    CriticCalibration,
    DetectorCalibration,
    EvaluationItem,
    EvaluationSummary,
    Example,
    GenerationRound,
    HeldoutItem,
    PilotHistory,
    Preregistration,
    QcSummary,
    Record,
    Rejection,
    ScorerCalibration,
    SessionManifest,
    TrainingManifest,
    TrainingStep,
    Verdict,
)
from ctai.registry import GATES, GateSpec
from ctai.rundir import RunDir, digest_of, digest_path, read_record

R = TypeVar("R", bound=Record)

_LARGEST_FILE = 1 << 30  # bytes; a page is no place to read more


class GenerationData(NamedTuple):
    """What one or more shards generated, kept and lost, and their quality control."""

    folders: tuple[str, ...]
    summary: QcSummary | None
    examples: list[Example]
    rejections: list[Rejection]
    dropped: list[Rejection]
    rounds: list[GenerationRound]


class TrainingAttempt(NamedTuple):
    """One training and its evaluation."""

    name: str
    training: TrainingManifest | None
    steps: list[TrainingStep]
    summary: EvaluationSummary | None
    base_items: list[EvaluationItem]
    sft_items: list[EvaluationItem]


@dataclass
class RunReader:
    """A run directory; whatever cannot be read is noted in `problems`."""

    rundir: RunDir
    problems: list[str] = field(default_factory=list)

    # -- files -------------------------------------------------------------------------------------------------------

    def record(self, name: str, kind: type[R]) -> R | None:
        """The record in a file below the run directory; None if there is none that can be read."""
        path = self._file(name)
        if path is None:
            return None
        try:
            return read_record(path, kind)
        except CtaiError as error:
            self._problem(name, str(error).replace(f"{self.rundir.root}/", "").removeprefix(f"{name} "))
            return None

    def lines(self, name: str, kind: type[R]) -> list[R]:
        """The records of a JSONL file that can be read; the others are counted in one sentence."""
        path = self._file(name)
        if path is None:
            return []
        try:
            data = path.read_bytes()
        except OSError as error:
            self._problem(name, error.strerror or "cannot be opened")
            return []
        good: list[R] = []
        bad: list[int] = []
        for position, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else [], start=1):
            try:
                good.append(kind.model_validate_json(line))
            except ValidationError:
                bad.append(position)
        if bad:
            self._problem(
                name, f"{len(bad):,} of {len(good) + len(bad):,} lines are no {kind.__name__} (first: line {bad[0]})"
            )
        return good

    def _file(self, name: str) -> Path | None:
        path = self.rundir.path(name)
        try:
            if not path.is_file():
                return None
            if path.stat().st_size > _LARGEST_FILE:
                self._problem(name, "it is too large for a page")
                return None
        except OSError as error:
            self._problem(name, error.strerror or "cannot be opened")
            return None
        return path

    def _problem(self, name: str, why: str) -> None:
        sentence = f"{name} could not be read and is left out: {why}"
        if sentence not in self.problems:
            self.problems.append(sentence)

    def folders(self, pattern: str) -> list[str]:
        """Folders below the run directory that fit a pattern, by name."""
        return sorted(self.rundir.relative(path) for path in self.rundir.root.glob(pattern) if path.is_dir())

    def digest_now(self, name: str) -> str | None:
        """The digest of a file below the run directory as it is now; None if it is missing or lies elsewhere."""
        path = self.rundir.path(name)
        try:
            inside = path.resolve().is_relative_to(self.rundir.root.resolve())
            return digest_path(path) if inside and (path.is_file() or path.is_dir()) else None
        except (OSError, ValueError):
            return None

    @property
    def reviews(self) -> list[str]:
        """Review packets of failed gates, and what was answered to them."""
        found = (*self.rundir.root.glob("report/review-*.md"), *self.rundir.root.glob("reviews/review-*.md"))
        return sorted(self.rundir.relative(path) for path in found if path.is_file())

    # -- evidence ----------------------------------------------------------------------------------------------------

    @cached_property
    def session(self) -> SessionManifest | None:
        """The log of the run directory."""
        return self.record("logs/session_manifest.json", SessionManifest)

    @cached_property
    def ledger(self) -> BudgetLedger | None:
        """What the run has used, by stage."""
        return self.record("logs/budget_ledger.json", BudgetLedger)

    @cached_property
    def preregistration(self) -> Preregistration | None:
        """What the run had committed itself to."""
        return self.record("evidence/preregistration.json", Preregistration)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """The recorded verdicts by gate."""
        found = {gate.name: self.record(verdict_path(self.rundir, gate), Verdict) for gate in GATES}
        return {name: verdict for name, verdict in found.items() if verdict is not None}

    def differences(self, gate: GateSpec) -> list[str]:
        """What is no longer as the gate judged it: its artifacts, the verdict it stands on, or its own word."""
        verdict = self.verdicts.get(gate.name)
        if verdict is None:
            return []
        found = []
        if verdict.passed:
            judged = {metric.name for metric in verdict.metrics}
            found += [f"the verdict says passed, but {m.failure()}" for m in verdict.metrics if not m.passed]
            found += [f"the verdict says passed without {name}" for name in gate.metrics if name not in judged]
        before = GATES[GATES.index(gate) - 1] if gate is not GATES[0] else None
        previous = self.verdicts.get(before.name) if before else None
        if verdict.previous != (digest_of(previous) if previous else None):
            found.append("the verdict before it is not the one that it stands on")
        for name, digest in verdict.artifacts.items():
            now = self.digest_now(name)
            if now != digest:
                found.append(f"{name} {'is missing' if now is None else 'was changed'} since the gate judged it")
        return found

    @cached_property
    def examination(self) -> ContaminationReport | None:
        """What gate 1 found."""
        return self.record("evidence/contamination/examination.json", ContaminationReport)

    @cached_property
    def calibrations(self) -> dict[str, CriticCalibration]:
        """The critic's calibration by what it judges."""
        names = {kind: f"evidence/instruments/critic_{kind}/calibration.json" for kind in ("instructions", "pairs")}
        found = {kind: self.record(name, CriticCalibration) for kind, name in names.items()}
        return {kind: calibration for kind, calibration in found.items() if calibration is not None}

    @cached_property
    def scorers(self) -> ScorerCalibration | None:
        """How well the checkers of the families agree with labelled answers."""
        return self.record("evidence/instruments/scorers/calibration.json", ScorerCalibration)

    @cached_property
    def detectors(self) -> DetectorCalibration | None:
        """How well the detectors of faults agree with labelled responses."""
        return self.record("evidence/instruments/detectors/calibration.json", DetectorCalibration)

    @cached_property
    def heldout(self) -> list[HeldoutItem]:
        """The frozen test set."""
        return self.lines("data/heldout.jsonl", HeldoutItem)

    @cached_property
    def ladder(self) -> PilotHistory | None:
        """The attempts of the pilot."""
        return self.record("evidence/pilot_ladder.json", PilotHistory)

    @cached_property
    def pilot(self) -> GenerationData | None:
        """The last attempt of the pilot."""
        attempts = self.ladder.attempts if self.ladder else ()
        folders = [attempts[-1].folder] if attempts else self.folders("artifacts/pilot*")[-1:]
        return self._batch(folders, f"{folders[0]}/qc_summary.json") if folders else None

    @cached_property
    def scale(self) -> GenerationData | None:
        """All shards, and what merging them dropped."""
        folders = self.folders("artifacts/shards/shard-*")
        return self._batch(folders, "data/qc_summary.json", "data/dropped.jsonl") if folders else None

    def _batch(self, folders: list[str], summary: str, dropped: str | None = None) -> GenerationData:
        return GenerationData(
            folders=tuple(folders),
            summary=self.record(summary, QcSummary),
            examples=[one for folder in folders for one in self.lines(f"{folder}/dataset.jsonl", Example)],
            rejections=[one for folder in folders for one in self.lines(f"{folder}/rejections.jsonl", Rejection)],
            dropped=self.lines(dropped, Rejection) if dropped else [],
            rounds=[one for folder in folders for one in self.lines(f"{folder}/generation.jsonl", GenerationRound)],
        )

    @cached_property
    def dataset(self) -> list[Example]:
        """The merged training data."""
        return self.lines("data/stage1_sft_data.jsonl", Example)

    def base_arm(self, arm: str) -> list[EvaluationItem]:
        """The answers of one arm of the base, from before training."""
        return self.lines(f"results/headroom/{arm}/items.jsonl", EvaluationItem)

    @cached_property
    def attempts(self) -> list[TrainingAttempt]:
        """Every training and evaluation, the retries after the first."""
        suffixes = {folder.removeprefix("checkpoints/stage1_sft") for folder in self.folders("checkpoints/stage1_sft*")}
        suffixes |= {folder.removeprefix("results/sft_eval") for folder in self.folders("results/sft_eval*")}
        return [self._attempt(suffix) for suffix in sorted(suffixes)]

    def _attempt(self, suffix: str) -> TrainingAttempt:
        adapter, results = f"checkpoints/stage1_sft{suffix}", f"results/sft_eval{suffix}"
        return TrainingAttempt(
            name=suffix.removeprefix("-") or "first",
            training=self.record(f"{adapter}/training_manifest.json", TrainingManifest),
            steps=self.lines(f"{adapter}/loss.jsonl", TrainingStep),
            summary=self.record(f"{results}/evaluation.json", EvaluationSummary),
            base_items=self.lines(f"{results}/base_items.jsonl", EvaluationItem),
            sft_items=self.lines(f"{results}/sft_items.jsonl", EvaluationItem),
        )
