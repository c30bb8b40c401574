"""The records of a run directory, each read and judged again once, for everything that is computed from them."""

from collections.abc import Mapping
from functools import cached_property

from pydantic import ValidationError

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.records import ContaminationReport, HeldoutItem, ModelProvenance, Verdict
from ctai.rundir import RunDir, digest_of, read_jsonl, read_record
from ctai.tasks import plugins
from ctai.verification.datasets import RecomputedPilot, RecomputedScale, recompute_pilot, recompute_scale
from ctai.verification.evaluation import (
    EvaluationRecords,
    RecomputedArm,
    RecomputedEvaluation,
    recompute_base_arms,
    recompute_evaluation,
)
from ctai.verification.instruments import RecomputedInstruments, recompute_instruments
from ctai.verification.sentinels import recompute_model_check

EXAMINATION = "evidence/contamination/examination.json"
HELDOUT = "data/heldout.jsonl"


class RunRecords:
    """A run directory's records. Reading one that is missing or unreadable raises CtaiError.

    Args:
        rundir: the run directory.
        verdicts: by gate; each says which configuration it was decided with.
    """

    def __init__(self, rundir: RunDir, verdicts: Mapping[str, Verdict]) -> None:
        self.rundir = rundir
        self._verdicts = verdicts

    def config(self, gate: str) -> RunConfig:
        """The configuration that a gate's verdict names."""
        verdict = self.verdict(gate)
        if digest_of(verdict.config) != verdict.config_digest:
            raise CtaiError(f"the verdict of gate {gate} does not hold the configuration whose digest it names")
        try:
            config = RunConfig.model_validate(verdict.config)
        except ValidationError as error:
            raise CtaiError(f"the verdict of gate {gate} names a configuration that is none: {error}") from error
        if "generation" in verdict.config:  # gate 1 asks no families
            plugins.require(
                config.generation.families_sha256
            )  # their code is never run because a run directory names it
        return config

    def verdict(self, gate: str) -> Verdict:
        """The verdict of a gate."""
        if gate not in self._verdicts:
            raise CtaiError(f"cannot be computed again without the verdict of gate {gate}")
        return self._verdicts[gate]

    @cached_property
    def examination(self) -> ContaminationReport:
        """What gate 1 recorded."""
        return read_record(self.rundir.path(EXAMINATION), ContaminationReport)

    @cached_property
    def provenance(self) -> ModelProvenance:
        """The base model that gate 1 passed."""
        if self.examination.provenance is None:
            raise CtaiError("gate contamination has passed no model")
        return self.examination.provenance

    @cached_property
    def recomputed_model_check(self) -> ContaminationReport:
        """The same with the sentinels judged again."""
        return recompute_model_check(self.examination)

    @cached_property
    def heldout(self) -> list[HeldoutItem]:
        """The frozen test set."""
        return read_jsonl(self.rundir.path(HELDOUT), HeldoutItem)

    @cached_property
    def instruments(self) -> RecomputedInstruments:
        """Every calibration of gate 2a computed again."""
        return recompute_instruments(self.rundir, self.config("instruments"))

    @cached_property
    def pilot(self) -> RecomputedPilot:
        """The pilot judged again."""
        return recompute_pilot(self.rundir, self.config("pilot"), self.heldout, self.provenance)

    @cached_property
    def scale(self) -> RecomputedScale:
        """The merged dataset judged again, with the generation settings of the pilot that counts."""
        config = self.config("scale").model_copy(update={"generation": self.pilot.generation})
        return recompute_scale(self.rundir, config, self.heldout, self.provenance)

    @cached_property
    def base_arms(self) -> dict[str, RecomputedArm]:
        """The base's answers judged again, by arm."""
        return recompute_base_arms(self.rundir, self.config("headroom"), self.heldout)

    @cached_property
    def evaluation(self) -> RecomputedEvaluation:
        """The evaluation judged again."""
        records = EvaluationRecords(self.rundir, self.heldout, self.base_arms, self.provenance, self.verdict("scale"))
        return recompute_evaluation(records, self.config("evaluation"))
