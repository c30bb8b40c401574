"""`ctai preregister`: as a run would write it, before anything is measured, and never over another preregistration."""

import shlex
import sys

import pytest

from ctai.cli import main
from ctai.config import RunConfig
from ctai.errors import CtaiError, PreconditionError
from ctai.evidence.preregistration import preregister
from ctai.evidence.stamp import StampCommand
from ctai.pipeline.preregister import preregister_run
from ctai.rundir import RunDir, json_text, sha256_file
from ctai.verification.verify import evidence_differences, read_verdicts, remarks
from tests.support.finished import CONFIG, make_finished_run

pytestmark = pytest.mark.unit

STAMP = StampCommand(shlex.join([sys.executable, "-c", "import sys; print(sys.argv[1])", "{sha256}"]))


def test_it_is_the_file_that_a_run_would_write(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["preregister", str(folder), "--seed", "3", "--set", "qc.runaway=0.04"]) == 0
    expected = json_text(preregister(RunConfig.load("embedded", ["qc.runaway=0.04"], seed=3))).encode()
    path = folder / "evidence" / "preregistration.json"
    assert path.read_bytes() == expected
    assert capsys.readouterr().out == f"{sha256_file(path)}  {path}\n"
    assert [p.name for p in (folder / "evidence").iterdir()] == ["preregistration.json"]


def test_it_can_be_repeated_and_stamped_later_but_only_once(tmp_path):
    config = RunConfig.load("embedded")
    first = preregister_run(tmp_path, config)
    assert first.stamp is None
    stamped = preregister_run(tmp_path, config, STAMP)
    assert stamped.sha256 == first.sha256
    assert stamped.stamp is not None
    never = StampCommand("no-such-program {file}")
    assert preregister_run(tmp_path, config, never) == stamped  # the command does not run again


def test_another_preregistration_is_not_replaced(tmp_path, capsys):
    assert main(["preregister", str(tmp_path)]) == 0
    before = (tmp_path / "evidence" / "preregistration.json").read_bytes()
    assert main(["preregister", str(tmp_path), "--seed", "7"]) == 2
    assert "is the preregistration of another run: seed was 0 and is 7" in capsys.readouterr().err
    assert (tmp_path / "evidence" / "preregistration.json").read_bytes() == before


@pytest.mark.parametrize(
    ("made", "gate"),
    [
        ("evidence/verdicts/2-instruments.json", "instruments"),
        ("data/heldout.jsonl", "instruments"),
        ("evidence/verdicts/5-scale.json", "scale"),
        ("superseded/blocked-0/evidence/verdicts/2-instruments.json", "instruments"),
        ("superseded/evidence/verdicts/4-pilot-0.json", "pilot"),
    ],
)
def test_it_comes_too_late_once_a_gate_has_measured(tmp_path, made, gate):
    path = tmp_path / made
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(PreconditionError, match=f"gate {gate} has begun"):
        preregister_run(tmp_path, RunConfig.load("embedded"))
    assert not (tmp_path / "evidence" / "preregistration.json").exists()


def test_the_first_gate_measures_only_the_weights(tmp_path):
    path = tmp_path / "evidence" / "verdicts" / "1-contamination.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    preregister_run(tmp_path, RunConfig.load("embedded"))


def test_a_failed_stamp_leaves_the_preregistration(tmp_path):
    with pytest.raises(CtaiError, match="cannot be run"):
        preregister_run(tmp_path, RunConfig.load("embedded"), StampCommand("no-such-program {file}"))
    assert preregister_run(tmp_path, RunConfig.load("embedded")).stamp is None


def test_a_run_on_a_stamped_preregistration_verifies_and_says_so(tmp_path, tiny_model):
    folder = tmp_path / "run"
    stamped = preregister_run(folder, CONFIG, STAMP)
    make_finished_run(folder, tiny_model)
    rundir = RunDir(folder)
    assert sha256_file(rundir.preregistration) == stamped.sha256
    verdicts = read_verdicts(rundir)
    for verdict in verdicts.readable.values():
        assert any(note.startswith("the preregistration was stamped before the run") for note in verdict.notes)
    assert list(evidence_differences(rundir, verdicts)) == []
    assert any("has the stamp evidence/preregistration.tsr" in text for text in remarks(folder))
