"""Records of a run directory for verification: each is read, and recomputed, once and on first use."""

from collections.abc import Mapping
from functools import cached_property

from pydantic import ValidationError

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.records import ContaminationReport, HeldoutItem, ModelProvenance, Verdict
from ctai.rundir import RunDir, digest_of
from ctai.rundir.reader import RunReader, require
from ctai.tasks import plugins
from ctai.verification.datasets import RecomputedPilot, RecomputedScale, recompute_pilot, recompute_scale
from ctai.verification.evaluation import (
    EvaluationRecords,
    RecomputedArm,
    RecomputedEvaluation,
    recompute_base_arms,
    recompute_evaluation,
    recompute_reference_arm,
)
from ctai.verification.instruments import RecomputedInstruments, recompute_instruments
from ctai.verification.sentinels import recompute_model_check


class RunRecords:
    """Stored and recomputed records of a run directory. Reading one that is missing or unreadable raises CtaiError.

    Args:
        rundir: the run directory.
        verdicts: verdicts by gate; each holds the configuration of its gate.
    """

    def __init__(self, rundir: RunDir, verdicts: Mapping[str, Verdict]) -> None:
        self.rundir = rundir
        self._reader = RunReader(rundir, strict=True)
        self._verdicts = verdicts

    def config(self, gate: str) -> RunConfig:
        """Return the configuration in the verdict of a gate.

        Raises:
            CtaiError: there is no such verdict, its configuration is not valid, or its plugins are not loaded.
        """
        verdict = self.verdict(gate)
        if digest_of(verdict.config) != verdict.config_digest:
            raise CtaiError(f"the configuration in the verdict of gate {gate} does not match its digest")
        try:
            config = RunConfig.model_validate(verdict.config)
        except ValidationError as error:
            raise CtaiError(f"the verdict of gate {gate} has an invalid configuration: {error}") from error
        if "generation" in verdict.config:  # gate contamination uses no families
            # never loads plugins, since code must not run because a run directory names it
            plugins.require_digest(config.generation.families_sha256)
        return config

    def verdict(self, gate: str) -> Verdict:
        """Return the verdict of a gate.

        Raises:
            CtaiError: there is none.
        """
        if gate not in self._verdicts:
            raise CtaiError(f"cannot be recomputed without the verdict of gate {gate}")
        return self._verdicts[gate]

    @cached_property
    def model_check(self) -> ContaminationReport:
        """Stored record of gate contamination."""
        return require(self._reader.contamination)

    @cached_property
    def provenance(self) -> ModelProvenance:
        """Provenance of the base model that passed gate contamination."""
        if self.model_check.provenance is None:
            raise CtaiError("gate contamination has passed no model")
        return self.model_check.provenance

    @cached_property
    def recomputed_model_check(self) -> ContaminationReport:
        """Record of gate contamination with recomputed sentinels."""
        return recompute_model_check(self.model_check)

    @cached_property
    def heldout(self) -> list[HeldoutItem]:
        """Frozen test set."""
        return self._reader.heldout

    @cached_property
    def instruments(self) -> RecomputedInstruments:
        """Recomputed calibrations of gate instruments."""
        return recompute_instruments(self.rundir, self.config("instruments"))

    @cached_property
    def pilot(self) -> RecomputedPilot:
        """Recomputed gate pilot."""
        return recompute_pilot(self.rundir, self.config("pilot"), self.heldout, self.provenance)

    @cached_property
    def scale(self) -> RecomputedScale:
        """Recomputed gate scale, with the generation settings of the last pilot attempt."""
        config = self.config("scale").model_copy(update={"generation": self.pilot.generation})
        return recompute_scale(self.rundir, config, self.heldout, self.provenance)

    @cached_property
    def base_arms(self) -> dict[str, RecomputedArm]:
        """Rescored answers of the base, by arm."""
        return recompute_base_arms(self.rundir, self.config("headroom"), self.heldout)

    @cached_property
    def reference_arm(self) -> dict[str, RecomputedArm]:
        """Rescored answers of the reference model, under its arm; empty if the run has none."""
        return recompute_reference_arm(self.rundir, self.config("headroom"), self.heldout)

    @cached_property
    def evaluation(self) -> RecomputedEvaluation:
        """Recomputed gate evaluation."""
        records = EvaluationRecords(self.rundir, self.heldout, self.base_arms, self.provenance, self.verdict("scale"))
        return recompute_evaluation(records, self.config("evaluation"))
