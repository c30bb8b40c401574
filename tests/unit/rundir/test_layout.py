"""Paths and lock of a run directory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctai.errors import CtaiError
from ctai.rundir import RunDir
from tests.support.files import file_names

pytestmark = pytest.mark.unit


def test_layout(rundir: RunDir) -> None:
    layout = [rundir.pilot_dir, rundir.shard_dir(7), rundir.dataset, rundir.heldout, rundir.adapter_dir]
    layout += [rundir.results_dir, rundir.logs, rundir.evidence, rundir.report]
    assert [rundir.relative(path) for path in layout] == [
        "artifacts/pilot",
        "artifacts/shards/shard-007",
        "data/stage1_sft_data.jsonl",
        "data/heldout.jsonl",
        "checkpoints/stage1_sft",
        "results/sft_eval",
        "logs",
        "evidence",
        "report",
    ]
    assert rundir.path("a", "b") == rundir.root / "a" / "b"


def test_opening_leaves_nothing_behind_and_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rundir = RunDir.open("some/where")
    assert rundir.root == tmp_path / "some" / "where"
    assert file_names(rundir.root) == []


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    for path in (tmp_path / "run", tmp_path / "run" / "below"):
        with pytest.raises(CtaiError, match=r"cannot be written.*--run-dir"):
            RunDir.open(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CtaiError, match="cannot be written"):
        RunDir.open(tmp_path)


HOLDER = """
import sys, time
from ctai.rundir import RunDir
with RunDir.open(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_lock_refuses_a_second_process_and_dies_with_the_first(rundir: RunDir) -> None:
    command = [sys.executable, "-c", HOLDER, str(rundir.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(CtaiError, match=r"is in use by another process.*--run-dir"), rundir.lock():
                pytest.fail("two processes hold the lock")
        finally:
            holder.send_signal(signal.SIGKILL)
    with rundir.lock():
        pass


def test_the_lock_is_free_after_an_error(rundir: RunDir) -> None:
    with pytest.raises(RuntimeError), rundir.lock():
        raise RuntimeError
    with rundir.lock(), pytest.raises(CtaiError), rundir.lock():
        pytest.fail("held twice")


def test_a_part_is_locked_apart_from_the_whole(rundir: RunDir) -> None:
    with rundir.lock(), rundir.lock("shard-000"):
        with pytest.raises(CtaiError, match="in use by another process"), rundir.lock("shard-000", wait=0.01):
            pytest.fail("held twice")
        with rundir.lock("shard-001"):
            pass


@pytest.mark.parametrize("name", ["logs/session_manifest.json", "evidence/verdicts/1-contamination.json"])
def test_a_run_of_another_schema_version_is_refused_in_one_sentence(rundir: RunDir, name: str) -> None:
    path = rundir.path(*name.split("/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"schema_version": 1}')
    with pytest.raises(
        CtaiError, match=r"records of schema version 1, but this ctai reads version 3\. Use the ctai that"
    ):
        rundir.check_schema_version()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", pytest.param("[" * 100_000, id="deep"), '{"schema_version": "x"}', '{"schema_version": 3}'),
        *('{"schema_version": true}', '{"schema_version": 0}', '{"schema_version": -1}'),
        pytest.param('{"schema_version": ' + "9" * 400 + "}", id="huge"),
    ],
)
def test_damaged_and_current_records_are_left_to_their_readers(rundir: RunDir, text: str) -> None:
    rundir.logs.mkdir(parents=True, exist_ok=True)
    rundir.session_manifest.write_text(text)
    rundir.check_schema_version()
