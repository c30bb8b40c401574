"""Verification of a run directory: every kind of tampering is found, and a sound one is not accused."""

import pytest

from ctai.cli import main
from ctai.config import RunConfig
from ctai.gates import GATES
from ctai.gates.evidence import Measured, record_verdict, verdict_path
from ctai.gates.verify import verify
from ctai.records import Metric, Verdict
from ctai.rundir import RunDir, Stage, read_record, sha256_file, write_json, write_text

pytestmark = pytest.mark.unit


@pytest.fixture
def rundir(tmp_path) -> RunDir:
    """A run directory with a stage and two gates that passed."""
    rundir = RunDir.open(tmp_path)
    stage = Stage(rundir, "things", rundir.path("artifacts", "things"), {"n": 1}, {})
    stage.begin()
    made, judged = stage.folder / "made.txt", rundir.path("data", "judged.txt")
    write_text(made, "made")
    write_text(judged, "judged")
    stage.finish([made], "run")
    for gate in GATES[:2]:
        metrics = tuple(Metric(name=name, value=0, comparison="<", threshold=1) for name in gate.metrics)
        artifacts = {rundir.relative(judged): sha256_file(judged)}
        measured = Measured(gate.name, metrics, artifacts, "weights")
        record_verdict(rundir, RunConfig(), measured, dict.fromkeys(gate.metrics, "passed"))
    return rundir


def test_sound_evidence_verifies(rundir, capsys):
    assert verify(rundir.root) == []
    assert main(["verify", str(rundir.root)]) == 0
    assert "instruments    passed" in capsys.readouterr().out


@pytest.mark.fault(26, plant="an artifact changed or removed after its gate", check="ctai verify")
@pytest.mark.parametrize("name", ["data/judged.txt", "artifacts/things/made.txt"])
def test_a_changed_or_missing_artifact_is_named(rundir, name, capsys):
    rundir.path(name).write_text("other", encoding="utf-8")
    assert any(problem.startswith(f"{name}: changed") for problem in verify(rundir.root))
    assert main(["verify", str(rundir.root)]) == 1
    assert f"DIFFERS  {name}" in capsys.readouterr().out
    rundir.path(name).unlink()
    assert any(problem.startswith(f"{name}: missing") for problem in verify(rundir.root))


def test_an_edited_verdict_breaks_the_chain(rundir):
    path = rundir.path(verdict_path(rundir, GATES[0]))
    verdict = read_record(path, Verdict)
    write_json(path, verdict.model_copy(update={"notes": ("nothing to see",)}))
    assert any("not the one it was bound to" in problem for problem in verify(rundir.root))


def test_a_verdict_that_contradicts_its_metrics_is_found(rundir):
    path = rundir.path(verdict_path(rundir, GATES[1]))
    verdict = read_record(path, Verdict)
    metrics = (verdict.metrics[0].model_copy(update={"value": 2.0}), *verdict.metrics[1:-1])
    write_json(path, verdict.model_copy(update={"metrics": metrics}))
    problems = "\n".join(verify(rundir.root))
    assert f"says passed, but {verdict.metrics[0].name} 2 >= 1" in problems
    assert f"says passed without {verdict.metrics[-1].name}" in problems


def test_a_removed_verdict_is_missed(rundir):
    rundir.path(verdict_path(rundir, GATES[0])).unlink()
    assert any("there is no verdict of gate contamination" in problem for problem in verify(rundir.root))


def test_a_folder_without_evidence_is_a_clear_error(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    assert "holds no verdicts" in capsys.readouterr().err


def test_preflight_says_what_is_missing(tmp_path, capsys):
    assert main(["preflight", "--model", "none/here.gguf", "--run-dir", str(tmp_path / "run")]) == 1
    out = capsys.readouterr().out
    assert "FAIL  model" in out
    assert not (tmp_path / "run").exists()
