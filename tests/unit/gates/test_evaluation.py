"""Gate evaluation on a finished run: an adapter that is not applied, training that takes too long, types without items."""

import shutil
from pathlib import Path

import pytest

from ctai.config import Limits, RunConfig
from ctai.errors import CtaiError
from ctai.evidence.junit import read_cases
from ctai.evidence.result import GateResult
from ctai.evidence.verdicts import read_verdict
from ctai.gates.evaluation import train_and_evaluate
from ctai.model.clean_model import CleanModel
from ctai.pipeline.run import Run
from ctai.pytest_plugin.progress import TerminalProgress
from ctai.pytest_plugin.session import GateSession
from ctai.pytest_plugin.summary import gate_table
from ctai.registry import gate_named
from ctai.report import write_report
from ctai.rundir import RunDir
from tests.support.finished import CONFIG, ScriptedArm, ScriptedBase

pytestmark = pytest.mark.unit


class NotApplied(ScriptedArm):
    """An adapter that changes nothing."""

    def __init__(self, base: ScriptedBase) -> None:
        self.engine = base.engine


class WithoutEffect(ScriptedBase):
    """A base whose adapters are not applied."""

    def with_adapter(self, path: Path) -> ScriptedArm:
        return NotApplied(self)


def rerun_evaluation(rundir: RunDir, base: ScriptedBase, config: RunConfig = CONFIG) -> GateResult:
    """Run gate evaluation on the outputs of the gates before it."""
    run = Run(config, rundir)
    run.base = base  # type: ignore[assignment]
    try:
        return train_and_evaluate(run)
    finally:
        run.close()


@pytest.fixture
def of_the_hub() -> dict[str, str]:
    """Provenance fields of the base model of the finished run."""
    return {"model_id": "someone/base", "revision": "abc123"}


@pytest.mark.fault(21, plant="an arm that answers without its adapter", check="arm check")
def test_an_adapter_that_is_not_applied_makes_no_difference(
    rundir: RunDir, tiny_model: CleanModel, of_the_hub: dict[str, str]
) -> None:
    for folder in (rundir.results_dir, rundir.evidence / "evaluation"):
        shutil.rmtree(folder)
    result = rerun_evaluation(rundir, WithoutEffect(tiny_model, **of_the_hub))
    difference = result.metric("arm_difference")
    assert difference.value == 0
    assert not difference.passed


def test_training_has_a_time_limit_of_its_own(
    rundir: RunDir, tiny_model: CleanModel, of_the_hub: dict[str, str]
) -> None:
    shutil.rmtree(rundir.adapter_dir)
    config = CONFIG.model_copy(update={"limits": Limits(training=1e-9)})
    with pytest.raises(CtaiError, match="training passed its time limit"):
        rerun_evaluation(rundir, ScriptedBase(tiny_model, **of_the_hub), config)


def test_types_that_the_test_set_has_no_items_of_are_named(rundir: RunDir) -> None:
    """In JUnit, in the report and in the table of gates; the small world has neither safety nor format items."""
    said = "the test set has no safety or format items"
    cases = {case.properties["metric"]: case for case in read_cases(rundir)}
    verdict = read_verdict(rundir, gate_named("evaluation"))
    run = Run(CONFIG, rundir)
    session = GateSession(run, TerminalProgress())
    session.selected, session.verdicts = ["evaluation"], {"evaluation": verdict}
    table = gate_table(session)
    run.close()
    metric = "guarded_non_inferiority"
    assert (cases[metric].outcome, cases[metric].properties["n"]) == ("skipped", "0")
    assert said in cases[metric].properties["note"]
    assert f"       {metric} not applicable: {said}" in table
    assert said in write_report(rundir.root).read_text(encoding="utf-8")
