"""Reader of a run directory, lenient for reports and strict for verification and export.

Reports matter most for failed and damaged runs, so the lenient reader never raises: a missing file is None or empty, and an
unreadable one becomes a sentence in `RunReader.problems`. The strict reader raises for both.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from ctai.errors import CtaiError
from ctai.records import (
    BudgetLedger,
    ContaminationReport,
    CriticCalibration,
    DetectorCalibration,
    DevEvaluation,
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
    SessionLog,
    SessionManifest,
    TrainingManifest,
    TrainingStep,
    Verdict,
)
from ctai.registry import GATES, GateSpec
from ctai.rundir.files import read_jsonl, read_record
from ctai.rundir.hashing import digest_of, digest_path
from ctai.rundir.layout import RunDir

R = TypeVar("R", bound=Record)

_MAX_FILE_BYTES = 1 << 30


def require(record: R | None) -> R:
    """Return a record of a strict reader, which has raised where there is none."""
    assert record is not None
    return record


class GenerationData(NamedTuple):
    """Records of one or more shards: generation rounds, kept examples, rejections and QC summary."""

    folders: tuple[str, ...]
    summary: QcSummary | None
    examples: list[Example]
    rejections: list[Rejection]
    removed: list[Rejection]
    rounds: list[GenerationRound]


class TrainingAttempt(NamedTuple):
    """Records of one training and its evaluation."""

    name: str
    training: TrainingManifest | None
    steps: list[TrainingStep]
    evaluations: list[DevEvaluation]
    summary: EvaluationSummary | None
    base_items: list[EvaluationItem]
    sft_items: list[EvaluationItem]


@dataclass
class RunReader:
    """Records of a run directory, each read on first use.

    Attributes:
        rundir: the run directory.
        strict: raise CtaiError for a missing or unreadable file instead of listing it in `problems`.
        problems: a sentence for each file that the lenient reader left out.
    """

    rundir: RunDir
    strict: bool = False
    problems: list[str] = field(default_factory=list)

    # -- files -------------------------------------------------------------------------------------------------------

    def read(self, path: Path, kind: type[R]) -> R | None:
        """Read a record; None for a file that is missing or unreadable, where the reader is lenient.

        Raises:
            CtaiError: the reader is strict, and the file is missing or unreadable.
        """
        if self.strict:
            return read_record(path, kind)
        if not self._is_readable(path):
            return None
        try:
            return read_record(path, kind)
        except CtaiError as error:
            name = self.rundir.relative(path)
            self._add_problem(path, str(error).replace(f"{self.rundir.root}/", "").removeprefix(f"{name} "))
            return None

    def read_lines(self, path: Path, kind: type[R]) -> list[R]:
        """Read the records of a JSONL file; the lenient reader leaves invalid lines out and counts them in one problem.

        Raises:
            CtaiError: the reader is strict, and the file is missing or a line is not a valid record.
        """
        if self.strict:
            return read_jsonl(path, kind)
        if not self._is_readable(path):
            return []
        try:
            data = path.read_bytes()
        except OSError as error:
            self._add_problem(path, error.strerror or "cannot be opened")
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
                path,
                f"{len(invalid):,} of {total:,} lines are not valid {kind.__name__} records (first: line {invalid[0]})",
            )
        return records

    def _is_readable(self, path: Path) -> bool:
        try:
            if not path.is_file():
                return False
            if path.stat().st_size > _MAX_FILE_BYTES:
                self._add_problem(path, "file too large for the report (over 1 GiB)")
                return False
        except OSError as error:
            self._add_problem(path, error.strerror or "cannot be opened")
            return False
        return True

    def _add_problem(self, path: Path, why: str) -> None:
        sentence = f"{self.rundir.relative(path)} could not be read and is left out: {why}"
        if sentence not in self.problems:
            self.problems.append(sentence)

    def _folders(self, pattern: str) -> list[Path]:
        """Return the folders below the run directory that match a glob pattern, sorted."""
        return sorted(path for path in self.rundir.root.glob(pattern) if path.is_dir())

    def current_digest(self, name: str) -> str | None:
        """Return the SHA-256 of a file or folder below the run directory; None if missing or outside of it."""
        path = self._inside(name)
        try:
            return digest_path(path) if path and (path.is_file() or path.is_dir()) else None
        except OSError:
            return None

    def _inside(self, name: str) -> Path | None:
        """Return the path that a record names; None when it leads out of the run directory, or into it by a link."""
        path = self.rundir.path(name)
        try:
            inside = path.is_relative_to(self.rundir.root) and path.resolve().is_relative_to(self.rundir.root.resolve())
            return path if inside else None
        except (OSError, ValueError):
            return None

    @property
    def reviews(self) -> list[str]:
        """Paths of the review packets of failed gates and of the answers to them."""
        folders = (self.rundir.report, self.rundir.reviews)
        paths = [path for folder in folders for path in folder.glob("review-*.md")]
        return sorted(self.rundir.relative(path) for path in paths if path.is_file())

    # -- evidence ----------------------------------------------------------------------------------------------------

    @cached_property
    def session(self) -> SessionManifest | None:
        """Session manifest."""
        return self.read(self.rundir.session_manifest, SessionManifest)

    @cached_property
    def session_log(self) -> SessionLog | None:
        """Attested log of the sessions."""
        return self.read(self.rundir.session_log, SessionLog)

    @cached_property
    def ledger(self) -> BudgetLedger | None:
        """Time and cost by stage."""
        return self.read(self.rundir.budget_ledger, BudgetLedger)

    @cached_property
    def preregistration(self) -> Preregistration | None:
        """Preregistered thresholds and hypothesis."""
        return self.read(self.rundir.preregistration, Preregistration)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Recorded verdicts by gate name."""
        verdicts = {gate.name: self.read(self.rundir.verdict(gate), Verdict) for gate in GATES}
        return {name: verdict for name, verdict in verdicts.items() if verdict is not None}

    def find_inconsistencies(self, gate: GateSpec) -> list[str]:
        """List mismatches between a verdict and its metrics, the previous verdict and the artifacts on disk."""
        verdict = self.verdicts.get(gate.name)
        if verdict is None:
            return []
        mismatches = []
        if verdict.passed:
            recorded = {metric.name for metric in verdict.metrics}
            mismatches += [f"the verdict says passed, but {m.failure()}" for m in verdict.metrics if m.missed]
            mismatches += [
                f"the verdict says that {m.name} is not applicable, but it must apply to every run"
                for m in verdict.metrics
                if not m.applicable and m.name not in gate.optional_metrics
            ]
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
        return self.read(self.rundir.model_check, ContaminationReport)

    @cached_property
    def critic_calibrations(self) -> dict[str, CriticCalibration]:
        """Calibration of the critic for instructions and for pairs."""
        paths = {kind: self.rundir.calibration(f"critic_{kind}") for kind in ("instructions", "pairs")}
        calibrations = {kind: self.read(path, CriticCalibration) for kind, path in paths.items()}
        return {kind: calibration for kind, calibration in calibrations.items() if calibration is not None}

    @cached_property
    def scorers(self) -> ScorerCalibration | None:
        """Agreement of the answer scorers with labelled answers."""
        return self.read(self.rundir.calibration("scorers"), ScorerCalibration)

    @cached_property
    def detectors(self) -> DetectorCalibration | None:
        """Agreement of the fault detectors with labelled responses."""
        return self.read(self.rundir.calibration("detectors"), DetectorCalibration)

    @cached_property
    def heldout(self) -> list[HeldoutItem]:
        """Items of the frozen test set."""
        return self.read_lines(self.rundir.heldout, HeldoutItem)

    @cached_property
    def pilot_history(self) -> PilotHistory | None:
        """Attempts of the pilot."""
        return self.read(self.rundir.pilot_history, PilotHistory)

    @cached_property
    def pilot(self) -> GenerationData | None:
        """Generation of the last pilot attempt."""
        attempts = self.pilot_history.attempts if self.pilot_history else ()
        named = self._inside(attempts[-1].folder) if attempts else None
        folders = [named] if named else self._folders(f"{self.rundir.relative(self.rundir.pilot_dir)}*")[-1:]
        return self._generation(folders, folders[0] / "qc_summary.json") if folders else None

    @cached_property
    def scale(self) -> GenerationData | None:
        """Generation of all shards, with the rejections of the merge."""
        folders = self._folders("artifacts/shards/shard-*")
        return self._generation(folders, self.rundir.dataset_qc, self.rundir.removed) if folders else None

    def _generation(self, folders: list[Path], summary: Path, removed: Path | None = None) -> GenerationData:
        return GenerationData(
            folders=tuple(self.rundir.relative(folder) for folder in folders),
            summary=self.read(summary, QcSummary),
            examples=self._read_shards(folders, "dataset.jsonl", Example),
            rejections=self._read_shards(folders, "rejections.jsonl", Rejection),
            removed=self.read_lines(removed, Rejection) if removed else [],
            rounds=self._read_shards(folders, "generation.jsonl", GenerationRound),
        )

    def _read_shards(self, folders: list[Path], name: str, kind: type[R]) -> list[R]:
        return [record for folder in folders for record in self.read_lines(folder / name, kind)]

    @cached_property
    def dataset(self) -> list[Example]:
        """Merged training data."""
        return self.read_lines(self.rundir.dataset, Example)

    def base_arm(self, arm: str) -> list[EvaluationItem]:
        """Return the answers of one arm of the base model before training."""
        return self.read_lines(self.rundir.base_answers(arm), EvaluationItem)

    @cached_property
    def attempts(self) -> list[TrainingAttempt]:
        """Every training with its evaluation, retries after the first attempt."""
        folders = (self.rundir.adapter_dir, self.rundir.results_dir)
        suffixes = {
            attempt.name.removeprefix(folder.name)
            for folder in folders
            for attempt in self._folders(f"{self.rundir.relative(folder)}*")
        }
        return [self._attempt(suffix) for suffix in sorted(suffixes)]

    def _attempt(self, suffix: str) -> TrainingAttempt:
        adapter, results = (
            folder.with_name(folder.name + suffix) for folder in (self.rundir.adapter_dir, self.rundir.results_dir)
        )
        return TrainingAttempt(
            name=suffix.removeprefix("-") or "first",
            training=self.read(adapter / "training_manifest.json", TrainingManifest),
            steps=self.read_lines(adapter / "loss.jsonl", TrainingStep),
            evaluations=self.read_lines(adapter / "dev_loss.jsonl", DevEvaluation),
            summary=self.read(results / "evaluation.json", EvaluationSummary),
            base_items=self.read_lines(results / "base_items.jsonl", EvaluationItem),
            sft_items=self.read_lines(results / "sft_items.jsonl", EvaluationItem),
        )
