"""Records of a finished run for export: verdicts, adapter, answers, dataset and test set.

Owns the conditions under which a run may be exported. Writes nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ctai.config import ModelSettings
from ctai.errors import PreconditionError
from ctai.evidence.verdicts import verdict_path
from ctai.records import (
    EvaluationItem,
    EvaluationSummary,
    Example,
    HeldoutItem,
    Metric,
    ModelProvenance,
    PurityLedger,
    QcSummary,
    TrainingManifest,
    Verdict,
)
from ctai.registry import GATES
from ctai.rundir import RunDir
from ctai.rundir.reader import RunReader, require
from ctai.verification.verify import find_differences, read_verdicts

LAST_GATE = GATES[-1]


@dataclass(frozen=True)
class FinishedRun:
    """Run with a trained adapter and its comparison with the base model."""

    rundir: RunDir
    verdicts: dict[str, Verdict]
    provenance: ModelProvenance

    @cached_property
    def _reader(self) -> RunReader:
        return RunReader(self.rundir, strict=True)

    @property
    def verdict(self) -> Verdict:
        """Verdict of the last gate."""
        return self.verdicts[LAST_GATE.name]

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the top of every card; empty for a run that passed all gates with default thresholds."""
        warnings = []
        for gate in GATES:
            verdict = self.verdicts.get(gate.name)
            if verdict is None or not verdict.passed:
                reasons = "; ".join(verdict.reasons) if verdict else "it has no verdict"
                warnings.append(f"Gate {gate.name} has not passed: {reasons}.")
            warnings += [
                f"Relaxed threshold: {relaxed}." for relaxed in (verdict.relaxed_thresholds if verdict else ())
            ]
        if self.control != "none":
            warnings.append(f"This is a control run ({self.control}): its training data differs from this dataset.")
        return tuple(dict.fromkeys(warnings))

    @property
    def control(self) -> str:
        """Name of the control run; `none` for a regular run."""
        return str(self.verdict.config["control"])

    @property
    def model(self) -> ModelSettings:
        """Settings of the base model."""
        return ModelSettings.model_validate(self.verdict.config["model"])

    @cached_property
    def training(self) -> TrainingManifest:
        """Training manifest of the evaluated adapter."""
        return require(self._reader.read(self._artifact_of("supervised_tokens"), TrainingManifest))

    @property
    def adapter(self) -> Path:
        """Folder of the evaluated adapter."""
        return self._artifact_of("supervised_tokens").parent

    @property
    def results(self) -> Path:
        """Folder with the answers of both arms and their comparison."""
        return self._artifact_of("content_lift").parent

    @cached_property
    def summary(self) -> EvaluationSummary:
        """Comparison of the arms."""
        return require(self._reader.read(self._artifact_of("content_lift"), EvaluationSummary))

    @cached_property
    def answers(self) -> list[EvaluationItem]:
        """Answers of the trained model."""
        return self._reader.read_lines(self.results / "sft_items.jsonl", EvaluationItem)

    @cached_property
    def examples(self) -> list[Example]:
        """Examples of the dataset."""
        return self._reader.dataset

    @cached_property
    def purity(self) -> PurityLedger:
        """Purity ledger of the dataset."""
        return require(self._reader.read(self.rundir.dataset_qc, QcSummary)).purity

    @cached_property
    def heldout(self) -> list[HeldoutItem]:
        """Items of the frozen test set."""
        return self._reader.heldout

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Requested and resolved hyperparameters of training."""
        return self.training.hyperparameters

    def expect_weights(self, digest: str) -> None:
        """Check that a weights digest is that of the base model of the run.

        Raises:
            PreconditionError: the weights have changed since the run.
        """
        if digest != self.provenance.weights_digest:
            raise PreconditionError(
                f"weights of {self.model.name} have changed since the run (SHA-256 {digest[:12]}, the run used "
                f"{self.provenance.weights_digest[:12]}). Restore the original weights"
            )

    def _artifact_of(self, name: str) -> Path:
        """Return the file from which a metric of the last gate was computed."""
        metric: Metric = next(metric for metric in self.verdict.metrics if metric.name == name)
        return self.rundir.path(str(metric.artifact))


def open_finished_run(run_dir: Path, *, anyway: bool) -> FinishedRun:
    """Open a run that may be exported.

    Args:
        run_dir: run directory.
        anyway: accept a run whose last gate has not passed.

    Raises:
        PreconditionError: the run is not finished, has not passed, or differs from its evidence.
        CtaiError: the folder is not a run directory.
    """
    rundir = RunDir(run_dir.absolute())
    verdicts = read_verdicts(rundir)
    verdict = verdicts.readable.get(LAST_GATE.name)
    if verdict is None:
        raise PreconditionError(
            f"{run_dir} holds no finished run: there is no verdict of gate {LAST_GATE.name} "
            f"({verdict_path(rundir, LAST_GATE)}); run all gates first"
        )
    if not verdict.passed and not anyway:
        reasons = "; ".join(verdict.reasons) or verdict.outcome
        raise PreconditionError(
            f"gate {LAST_GATE.name} of {run_dir} has not passed ({reasons}). "
            "--anyway exports it with this warning on every card"
        )
    first = next(find_differences(run_dir), None)
    if first is not None:
        raise PreconditionError(f"{run_dir} was not exported, because its evidence does not verify: {first}")
    report = require(RunReader(rundir, strict=True).contamination)
    if report.provenance is None:
        raise PreconditionError(f"{run_dir} does not record its base model. Run the gates again")
    return FinishedRun(rundir, verdicts.readable, report.provenance)
