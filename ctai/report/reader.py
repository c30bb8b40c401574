"""Lenient reader of a run directory.

Reports matter most for failed and damaged runs, so nothing here raises: a missing file is None or empty, and an unreadable
one becomes a sentence in `RunReader.problems`, which the report lists.
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

_MAX_FILE_BYTES = 1 << 30


class GenerationData(NamedTuple):
    """Records of one or more shards: generation rounds, kept examples, rejections and QC summary."""

    folders: tuple[str, ...]
    summary: QcSummary | None
    examples: list[Example]
    rejections: list[Rejection]
    dropped: list[Rejection]
    rounds: list[GenerationRound]


class TrainingAttempt(NamedTuple):
    """Records of one training and its evaluation."""

    name: str
    training: TrainingManifest | None
    steps: list[TrainingStep]
    summary: EvaluationSummary | None
    base_items: list[EvaluationItem]
    sft_items: list[EvaluationItem]


@dataclass
class RunReader:
    """Lazily read records of a run directory; unreadable files are listed in `problems`."""

    rundir: RunDir
    problems: list[str] = field(default_factory=list)

    # -- files -------------------------------------------------------------------------------------------------------

    def read(self, name: str, kind: type[R]) -> R | None:
        """Read the record in a file below the run directory; None for a missing or unreadable file."""
        path = self._file(name)
        if path is None:
            return None
        try:
            return read_record(path, kind)
        except CtaiError as error:
            self._add_problem(name, str(error).replace(f"{self.rundir.root}/", "").removeprefix(f"{name} "))
            return None

    def read_lines(self, name: str, kind: type[R]) -> list[R]:
        """Read the valid records of a JSONL file; invalid lines are counted in one problem."""
        path = self._file(name)
        if path is None:
            return []
        try:
            data = path.read_bytes()
        except OSError as error:
            self._add_problem(name, error.strerror or "cannot be opened")
            return []
        records: list[R] = []
        invalid: list[int] = []
        for position, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else [], start=1):
            try:
                records.append(kind.model_validate_json(line))
            except ValidationError:
                invalid.append(position)
        if invalid:
            total = len(records) + len(invalid)
            self._add_problem(
                name,
                f"{len(invalid):,} of {total:,} lines are not valid {kind.__name__} records (first: line {invalid[0]})",
            )
        return records

    def _file(self, name: str) -> Path | None:
        path = self.rundir.path(name)
        try:
            if not path.is_file():
                return None
            if path.stat().st_size > _MAX_FILE_BYTES:
                self._add_problem(name, "file too large for the report (over 1 GiB)")
                return None
        except OSError as error:
            self._add_problem(name, error.strerror or "cannot be opened")
            return None
        return path

    def _add_problem(self, name: str, why: str) -> None:
        sentence = f"{name} could not be read and is left out: {why}"
        if sentence not in self.problems:
            self.problems.append(sentence)

    def list_folders(self, pattern: str) -> list[str]:
        """Return the folders below the run directory that match a glob pattern, sorted."""
        return sorted(self.rundir.relative(path) for path in self.rundir.root.glob(pattern) if path.is_dir())

    def current_digest(self, name: str) -> str | None:
        """Return the SHA-256 of a file or folder below the run directory; None if missing or outside of it."""
        path = self.rundir.path(name)
        try:
            inside = path.resolve().is_relative_to(self.rundir.root.resolve())
            return digest_path(path) if inside and (path.is_file() or path.is_dir()) else None
        except (OSError, ValueError):
            return None

    @property
    def reviews(self) -> list[str]:
        """Paths of the review packets of failed gates and of the answers to them."""
        paths = (*self.rundir.root.glob("report/review-*.md"), *self.rundir.root.glob("reviews/review-*.md"))
        return sorted(self.rundir.relative(path) for path in paths if path.is_file())

    # -- evidence ----------------------------------------------------------------------------------------------------

    @cached_property
    def session(self) -> SessionManifest | None:
        """Session manifest."""
        return self.read("logs/session_manifest.json", SessionManifest)

    @cached_property
    def ledger(self) -> BudgetLedger | None:
        """Time and cost by stage."""
        return self.read("logs/budget_ledger.json", BudgetLedger)

    @cached_property
    def preregistration(self) -> Preregistration | None:
        """Preregistered thresholds and hypothesis."""
        return self.read("evidence/preregistration.json", Preregistration)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Recorded verdicts by gate name."""
        verdicts = {gate.name: self.read(verdict_path(self.rundir, gate), Verdict) for gate in GATES}
        return {name: verdict for name, verdict in verdicts.items() if verdict is not None}

    def find_inconsistencies(self, gate: GateSpec) -> list[str]:
        """List mismatches between a verdict and its metrics, the previous verdict and the artifacts on disk."""
        verdict = self.verdicts.get(gate.name)
        if verdict is None:
            return []
        mismatches = []
        if verdict.passed:
            recorded = {metric.name for metric in verdict.metrics}
            mismatches += [f"the verdict says passed, but {m.failure()}" for m in verdict.metrics if not m.passed]
            missing = (name for name in gate.metric_names if name not in recorded)
            mismatches += [f"the verdict says passed without {name}" for name in missing]
        before = GATES[GATES.index(gate) - 1] if gate is not GATES[0] else None
        previous = self.verdicts.get(before.name) if before else None
        if verdict.previous != (digest_of(previous) if previous else None):
            mismatches.append("the previous verdict is not the one that this verdict names")
        for name, digest in verdict.artifacts.items():
            current = self.current_digest(name)
            if current is None:
                mismatches.append(f"{name} is missing")
            elif current != digest:
                mismatches.append(f"{name} was changed after the verdict")
        return mismatches

    @cached_property
    def contamination(self) -> ContaminationReport | None:
        """Report of gate contamination."""
        return self.read("evidence/contamination/model_check.json", ContaminationReport)

    @cached_property
    def critic_calibrations(self) -> dict[str, CriticCalibration]:
        """Calibration of the critic for instructions and for pairs."""
        names = {kind: f"evidence/instruments/critic_{kind}/calibration.json" for kind in ("instructions", "pairs")}
        calibrations = {kind: self.read(name, CriticCalibration) for kind, name in names.items()}
        return {kind: calibration for kind, calibration in calibrations.items() if calibration is not None}

    @cached_property
    def scorers(self) -> ScorerCalibration | None:
        """Agreement of the answer checkers with labelled answers."""
        return self.read("evidence/instruments/scorers/calibration.json", ScorerCalibration)

    @cached_property
    def detectors(self) -> DetectorCalibration | None:
        """Agreement of the fault detectors with labelled responses."""
        return self.read("evidence/instruments/detectors/calibration.json", DetectorCalibration)

    @cached_property
    def heldout(self) -> list[HeldoutItem]:
        """Items of the frozen test set."""
        return self.read_lines("data/heldout.jsonl", HeldoutItem)

    @cached_property
    def pilot_history(self) -> PilotHistory | None:
        """Attempts of the pilot."""
        return self.read("evidence/pilot_history.json", PilotHistory)

    @cached_property
    def pilot(self) -> GenerationData | None:
        """Generation of the last pilot attempt."""
        attempts = self.pilot_history.attempts if self.pilot_history else ()
        folders = [attempts[-1].folder] if attempts else self.list_folders("artifacts/pilot*")[-1:]
        return self._generation(folders, f"{folders[0]}/qc_summary.json") if folders else None

    @cached_property
    def scale(self) -> GenerationData | None:
        """Generation of all shards, with the rejections of the merge."""
        folders = self.list_folders("artifacts/shards/shard-*")
        return self._generation(folders, "data/qc_summary.json", "data/removed.jsonl") if folders else None

    def _generation(self, folders: list[str], summary: str, dropped: str | None = None) -> GenerationData:
        return GenerationData(
            folders=tuple(folders),
            summary=self.read(summary, QcSummary),
            examples=self._read_shards(folders, "dataset.jsonl", Example),
            rejections=self._read_shards(folders, "rejections.jsonl", Rejection),
            dropped=self.read_lines(dropped, Rejection) if dropped else [],
            rounds=self._read_shards(folders, "generation.jsonl", GenerationRound),
        )

    def _read_shards(self, folders: list[str], name: str, kind: type[R]) -> list[R]:
        return [record for folder in folders for record in self.read_lines(f"{folder}/{name}", kind)]

    @cached_property
    def dataset(self) -> list[Example]:
        """Merged training data."""
        return self.read_lines("data/stage1_sft_data.jsonl", Example)

    def base_arm(self, arm: str) -> list[EvaluationItem]:
        """Return the answers of one arm of the base model before training."""
        return self.read_lines(f"results/headroom/{arm}/items.jsonl", EvaluationItem)

    @cached_property
    def attempts(self) -> list[TrainingAttempt]:
        """Every training with its evaluation, retries after the first attempt."""
        suffixes = {
            folder.removeprefix("checkpoints/stage1_sft") for folder in self.list_folders("checkpoints/stage1_sft*")
        }
        suffixes |= {folder.removeprefix("results/sft_eval") for folder in self.list_folders("results/sft_eval*")}
        return [self._attempt(suffix) for suffix in sorted(suffixes)]

    def _attempt(self, suffix: str) -> TrainingAttempt:
        adapter, results = f"checkpoints/stage1_sft{suffix}", f"results/sft_eval{suffix}"
        return TrainingAttempt(
            name=suffix.removeprefix("-") or "first",
            training=self.read(f"{adapter}/training_manifest.json", TrainingManifest),
            steps=self.read_lines(f"{adapter}/loss.jsonl", TrainingStep),
            summary=self.read(f"{results}/evaluation.json", EvaluationSummary),
            base_items=self.read_lines(f"{results}/base_items.jsonl", EvaluationItem),
            sft_items=self.read_lines(f"{results}/sft_items.jsonl", EvaluationItem),
        )
