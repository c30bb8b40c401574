"""Faults in the provenance of evidence: code, edited files, killed processes, evidence of another run."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ctai.cli import main
from ctai.evidence.verdicts import read_verdict
from ctai.records import Example
from ctai.registry import GATES
from ctai.rundir import RunDir, read_jsonl, sha256_file
from tests.faults.runs import ROOT, RunCopy, blocked, checkout, command, environment, refused

pytestmark = pytest.mark.faults


@pytest.mark.fault(24, plant="a run from a copy of the code without its repository", check="gate contamination: note")
def test_code_of_an_unknown_commit_shows_in_the_verdict(tmp_path: Path, says) -> None:
    code = checkout(tmp_path / "checkout")
    done = subprocess.run(
        command(tmp_path / "run", "-k", "contamination"),
        cwd=code,
        env=environment(code),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    verdict = read_verdict(RunDir(tmp_path / "run"), GATES[0])
    assert verdict is not None
    (note,) = (note for note in verdict.notes if "commit" in note)
    assert "the code's commit is unknown" in note
    says(note)


# ----------------------------------------------------------------------------------------------------- edited files


@pytest.mark.fault(
    26, plant="one word of the training data changed after gate scale", check="digest at each use, verify"
)
def test_edited_training_data_is_not_used(copy: RunCopy, says, capsys) -> None:
    data = copy.rundir.dataset
    spoil(copy, data)
    done = copy.gates()
    assert done.code == 1
    (sentence,) = set(done.failed.values())
    reason = "data/stage1_sft_data.jsonl was changed after the stage (stage merge)"
    assert reason in sentence
    blocked(copy, done, "scale", "blocked by gate scale: ")
    assert copy.lost() == []
    refused(
        copy.settle(), copy.gates("-k", "evaluation"), "data/stage1_sft_data.jsonl was changed after the gate passed"
    )
    assert main(["verify", str(copy.root)]) == 1
    assert "DIFFERS  data/stage1_sft_data.jsonl: changed" in capsys.readouterr().out
    says(reason)


@pytest.mark.fault(
    26, plant="one byte of the adapter changed after gate evaluation", check="digest at each use, verify"
)
def test_an_edited_adapter_is_not_used(copy: RunCopy, says, capsys) -> None:
    adapter = copy.rundir.adapter_dir / "adapter_model.safetensors"
    content = bytearray(adapter.read_bytes())
    content[-1] ^= 1
    adapter.write_bytes(content)
    copy.settle()
    done = copy.gates("-k", "evaluation")
    assert done.code == 1
    (sentence,) = set(done.failed.values())
    reason = "adapter_model.safetensors was changed after the stage (stage training)"
    assert reason in sentence
    assert copy.lost() == []
    assert main(["verify", str(copy.root)]) == 1
    assert "DIFFERS  checkpoints/stage1_sft/adapter_model.safetensors: changed" in capsys.readouterr().out
    says(reason)


def spoil(copy: RunCopy, path: Path) -> None:
    """Change one answer in a dataset, and take that as the state of the copy."""
    text = path.read_text(encoding="utf-8")
    answer = read_jsonl(path, Example)[0].response
    path.write_text(text.replace(f'"response":"{answer}"', '"response":"something else"', 1), encoding="utf-8")
    copy.settle()


# ------------------------------------------------------------------------------------------------- killed processes


@pytest.mark.fault(
    27, plant="SIGKILL after the first round of the pilot, then the same command", check="resume by round"
)
def test_a_killed_pilot_goes_on_after_its_last_round(copy: RunCopy, finished_run: Path, says) -> None:
    folder = copy.rundir.pilot_dir
    shutil.rmtree(folder)
    first = folder / "work" / "rounds" / "00000.jsonl"
    process = subprocess.Popen(
        command(copy.root, "-k", "pilot"),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not first.exists() and process.poll() is None:
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert first.exists()
    assert not (folder / "manifest.json").exists(), "the pilot was finished before it was killed"
    written = (sha256_file(first), first.stat().st_mtime_ns)
    done = copy.gates("-k", "pilot")
    assert done.code == 0, done.output
    assert (sha256_file(first), first.stat().st_mtime_ns) == written, "the first round was made again"
    assert made(folder) == made(finished_run / "artifacts" / "pilot")
    says(f"{len(made(folder))} examples, the same as those of the run that was not killed")


def made(folder: Path) -> list[dict[str, Any]]:
    """Return the examples of a shard without the state of the repository, which may differ between the sessions."""
    where = {"metadata": {"git_commit", "git_dirty", "loader_version"}}
    return [example.model_dump(exclude=where) for example in read_jsonl(folder / "dataset.jsonl", Example)]


# ------------------------------------------------------------------------------------------------- other runs' evidence


@pytest.mark.fault(28, plant="later gates of another seed on this run's evidence", check="verdict: preregistration")
def test_evidence_of_another_seed_does_not_count(copy: RunCopy, says) -> None:
    sentence = "gate headroom cannot start: the verdict of gate contamination is stale"
    refused(copy, copy.gates("--seed", "1", "-k", "headroom"), sentence)
    says(sentence)


@pytest.mark.fault(28, plant="later gates with other settings of generation", check="verdict: configuration")
def test_evidence_of_other_settings_does_not_count(copy: RunCopy, says) -> None:
    sentence = "the verdict of gate instruments is stale: the configuration has changed since"
    refused(copy, copy.gates("--set", "generation.few_shot_examples=2", "-k", "headroom"), sentence)
    says(sentence)


@pytest.mark.fault(28, plant="this run's verdicts beside another run's test set", check="verdict: artifacts")
def test_verdicts_of_another_run_do_not_count(copy: RunCopy, says) -> None:
    lines = copy.rundir.heldout.read_text(encoding="utf-8").splitlines()
    copy.rundir.heldout.write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    copy.settle()
    sentence = "the verdict of gate instruments is stale: data/heldout.jsonl was changed after the gate passed"
    refused(copy, copy.gates("-k", "scale"), sentence)
    says(sentence)
