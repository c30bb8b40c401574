"""The records of a run directory, each read and judged again once, for everything that is computed from them."""

from collections.abc import Mapping
from functools import cached_property

from pydantic import ValidationError

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.gates.recompute.data import PilotAgain, ScaleAgain, pilot_again, scale_again
from ctai.gates.recompute.evaluation import ArmAgain, EvaluationAgain, base_again, evaluation_again
from ctai.gates.recompute.instruments import InstrumentsAgain, instruments_again
from ctai.gates.recompute.sentinels import examination_again
from ctai.records import (
    ContaminationReport,
    HeldoutItem,
    ModelProvenance,
    Verdict,
)
from ctai.rundir import RunDir, digest_of, read_jsonl, read_record
from ctai.tasks import own

EXAMINATION = "evidence/contamination/examination.json"
HELDOUT = "data/heldout.jsonl"


class Raw:
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
            own.require(config.generation.families_sha256)  # their code is never run because a run directory names it
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
    def examination_again(self) -> ContaminationReport:
        """The same with the sentinels judged again."""
        return examination_again(self.examination)

    @cached_property
    def heldout(self) -> list[HeldoutItem]:
        """The frozen test set."""
        return read_jsonl(self.rundir.path(HELDOUT), HeldoutItem)

    @cached_property
    def instruments(self) -> InstrumentsAgain:
        """Every calibration of gate 2a computed again."""
        return instruments_again(self.rundir, self.config("instruments"))

    @cached_property
    def pilot(self) -> PilotAgain:
        """The pilot judged again."""
        return pilot_again(self.rundir, self.config("pilot"), self.heldout, self.provenance)

    @cached_property
    def scale(self) -> ScaleAgain:
        """The merged dataset judged again, with the generation settings of the pilot that counts."""
        config = self.config("scale").model_copy(update={"generation": self.pilot.generation})
        return scale_again(self.rundir, config, self.heldout, self.provenance)

    @cached_property
    def base_arms(self) -> dict[str, ArmAgain]:
        """The base's answers judged again, by arm."""
        return base_again(self.rundir, self.config("headroom"), self.heldout)

    @cached_property
    def evaluation(self) -> EvaluationAgain:
        """The evaluation judged again."""
        config, scale = self.config("evaluation"), self.verdict("scale")
        return evaluation_again(self.rundir, config, self.heldout, self.base_arms, self.provenance, scale)
