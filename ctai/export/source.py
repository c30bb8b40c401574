"""What a finished run has to share, read once: its verdicts, its adapter, its answers and its dataset.

Owns which runs may be exported. It writes nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ctai.config import ModelSettings
from ctai.errors import PreconditionError
from ctai.evidence.verdicts import verdict_path
from ctai.records import (
    ContaminationReport,
    EvaluationItem,
    EvaluationSummary,
    Example,
    HeldoutItem,
    Metric,
    ModelProvenance,
    TrainingManifest,
    Verdict,
)
from ctai.registry import GATES
from ctai.rundir import RunDir, read_jsonl, read_record
from ctai.verification.records import EXAMINATION
from ctai.verification.verify import find_differences, read_verdicts

LAST_GATE = GATES[-1]


@dataclass(frozen=True)
class FinishedRun:
    """A run whose adapter was trained and compared with its base."""

    rundir: RunDir
    verdicts: dict[str, Verdict]
    provenance: ModelProvenance

    @property
    def verdict(self) -> Verdict:
        """The verdict of the last gate."""
        return self.verdicts[LAST_GATE.name]

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a receiver has to know before anything else; empty for a run that passed by the book."""
        found = []
        for gate in GATES:
            verdict = self.verdicts.get(gate.name)
            if verdict is None or not verdict.passed:
                reasons = "; ".join(verdict.reasons) if verdict else "it has no verdict"
                found.append(f"Gate {gate.number} ({gate.name}) has not passed: {reasons}.")
            found += [f"Not by the book: {departure}." for departure in (verdict.departures if verdict else ())]
        if self.control != "none":
            found.append(f"This is a control run ({self.control}): what it trained on is not the dataset as it stands.")
        return tuple(dict.fromkeys(found))

    @property
    def control(self) -> str:
        """Which control run this is; `none` for a run that is none."""
        return str(self.verdict.config["control"])

    @property
    def model(self) -> ModelSettings:
        """Which base model, and how it was loaded."""
        return ModelSettings.model_validate(self.verdict.config["model"])

    @cached_property
    def training(self) -> TrainingManifest:
        """How the adapter that the last gate judged was trained."""
        return read_record(self._judged("supervised_tokens"), TrainingManifest)

    @property
    def adapter(self) -> Path:
        """The folder of that adapter."""
        return self._judged("supervised_tokens").parent

    @property
    def results(self) -> Path:
        """The folder with the answers of both arms and their comparison."""
        return self._judged("content_lift").parent

    @cached_property
    def summary(self) -> EvaluationSummary:
        """The comparison of the arms."""
        return read_record(self._judged("content_lift"), EvaluationSummary)

    @cached_property
    def answers(self) -> list[EvaluationItem]:
        """What the trained model answered."""
        return read_jsonl(self.results / "sft_items.jsonl", EvaluationItem)

    @cached_property
    def examples(self) -> list[Example]:
        """The dataset."""
        return read_jsonl(self.rundir.dataset, Example)

    @cached_property
    def heldout(self) -> list[HeldoutItem]:
        """The frozen test set."""
        return read_jsonl(self.rundir.heldout, HeldoutItem)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What training was asked for, and what it resolved to."""
        return self.training.hyperparameters

    def expect_weights(self, digest: str) -> None:
        """Make sure that these are the weights of the base that the run used.

        Raises:
            PreconditionError: they are not.
        """
        if digest != self.provenance.weights_digest:
            raise PreconditionError(
                f"the weights of {self.model.name} have changed since the run (SHA-256 {digest[:12]}, the run used "
                f"{self.provenance.weights_digest[:12]}); put the right ones there"
            )

    def _judged(self, metric: str) -> Path:
        """The file that a metric of the last gate was computed from."""
        found: Metric = next(one for one in self.verdict.metrics if one.name == metric)
        return self.rundir.path(str(found.artifact))


def open_finished_run(run_dir: Path, *, anyway: bool) -> FinishedRun:
    """The run, if it may be exported.

    Args:
        run_dir: the run directory.
        anyway: also a run whose last gate has not passed.

    Raises:
        PreconditionError: it is not finished, has not passed, or differs from its evidence; says which.
        CtaiError: it is no run directory.
    """
    rundir = RunDir(run_dir.absolute())
    verdicts = read_verdicts(rundir)
    verdict = verdicts.found.get(LAST_GATE.name)
    if verdict is None:
        raise PreconditionError(
            f"{run_dir} holds no finished run: there is no verdict of gate {LAST_GATE.name} "
            f"({verdict_path(rundir, LAST_GATE)}); run the gates to their end first"
        )
    if not verdict.passed and not anyway:
        reasons = "; ".join(verdict.reasons) or verdict.outcome
        raise PreconditionError(
            f"gate {LAST_GATE.name} of {run_dir} has not passed ({reasons}), so there is nothing to recommend to others; "
            "with --anyway it is exported, and every card begins with this"
        )
    first = next(find_differences(run_dir), None)
    if first is not None:
        raise PreconditionError(f"the evidence of {run_dir} does not hold, so it is not exported: {first}")
    examination = read_record(rundir.path(EXAMINATION), ContaminationReport)
    if examination.provenance is None:
        raise PreconditionError(f"{run_dir} does not say which base model it used; run the gates again")
    return FinishedRun(rundir, verdicts.found, examination.provenance)
