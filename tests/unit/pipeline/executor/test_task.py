"""Shard tasks: serialization, and the refusals of a worker."""

import json
from pathlib import Path

import pytest

from ctai.config import RunConfig
from ctai.pipeline.executor.task import ShardTask, run_shard_task, with_absolute_model_path
from ctai.provenance import code_digest
from ctai.rundir import RunDir
from ctai.tasks.heldout import build_heldout
from tests.support.context import MADE_BY
from tests.support.generated import CONFIG, provenance

pytestmark = pytest.mark.unit
HELDOUT = build_heldout(1000, 0, embedded=True)


def task(root: Path, **update) -> ShardTask:
    """The task of one shard for the embedded model."""
    values = {
        "root": str(root), "config": RunConfig.load("embedded"), "shard": 0, "target": 10, "heldout": tuple(HELDOUT[:5]),
        "run_id": "run", "git": ("c", "main", False), "made_by": MADE_BY, "provenance": provenance(), "threads": 1,
        "probe": "probe",
    }  # fmt: skip
    return ShardTask(**{**values, **update})


def test_a_task_is_the_same_after_its_journey(tmp_path):
    sent = task(tmp_path)
    assert ShardTask.model_validate_json(sent.model_dump_json()) == sent


def test_a_worker_with_other_code_refuses(tmp_path):
    problem = run_shard_task("0" * 64, json.dumps({"not even": "a task"}))
    assert problem.endswith("has another version of ctai. Install the same version on all machines")


def test_a_worker_that_does_not_share_the_run_directory_refuses(tmp_path):
    problem = run_shard_task(code_digest(), task(tmp_path / "elsewhere").model_dump_json())
    assert "Put it on storage that all workers share" in problem
    assert not (tmp_path / "elsewhere").exists()


def test_a_worker_with_other_weights_refuses(tmp_path):
    rundir = RunDir.open(tmp_path)
    rundir.logs.mkdir()
    (rundir.logs / "probe").touch()
    problem = run_shard_task(code_digest(), task(tmp_path).model_dump_json())
    assert problem.endswith("the weights of embedded are not those that gate contamination passed; run all gates again")
    assert not rundir.shard_dir(0).exists()


def test_a_model_on_this_disk_is_named_from_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    assert with_absolute_model_path(CONFIG) is CONFIG
    local = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"name": "model"})})
    assert with_absolute_model_path(local).model.name == str(tmp_path / "model")
