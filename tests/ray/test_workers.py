"""Shards on a real local Ray cluster: the embedded model, two workers, one of them killed in mid-shard.

Not part of the default selection, because each cluster takes many seconds to start: `pytest -m ray`.
"""

import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.model.loader import CleanModelLoader
from ctai.pipeline.executor.options import ExecutionOptions
from ctai.pipeline.executor.scheduler import ScaleSpec, make_shards
from ctai.pipeline.executor.specs import LOCAL, ExecutorSpec
from ctai.pipeline.run import Run
from ctai.records import BudgetLedger, ModelProvenance
from ctai.rundir import RunDir, read_record, sha256_tree
from ctai.tasks.heldout import build_heldout
from tests.support import generated

pytestmark = [pytest.mark.ray, pytest.mark.skipif(os.name != "posix", reason="it kills processes by signals")]
ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

CONFIG = RunConfig.load("embedded", ["model.quantization='none'", "generation.batch_size=8", "scale.shards=2"])
SCALE = ScaleSpec(CONFIG, tuple(build_heldout(CONFIG.heldout.count, 0, embedded=True)), 20)
TWO_WORKERS = ExecutionOptions(ExecutorSpec(LOCAL, 2))
SECONDS_TO_BEGIN = 600


@pytest.fixture(scope="module")
def provenance() -> ModelProvenance:
    """Provenance of the embedded model, as gate contamination records it."""
    loaded = CleanModelLoader("embedded", quantization="none").load(sentinels=False)
    return loaded.provenance.model_copy(update={"sentinels": generated.provenance().sentinels})


@pytest.fixture(scope="module")
def by_one(provenance: ModelProvenance, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of both shards, made here one after another."""
    return make(tmp_path_factory.mktemp("here") / "run", provenance, ExecutionOptions())


def make(root: Path, provenance: ModelProvenance, execution: ExecutionOptions) -> str:
    """Make two shards; returns the digest of all their files."""
    run = Run(CONFIG, RunDir.open(root), execution)
    run.base.mark_passed(provenance)
    model = weakref.ref(run.base.module)  # as after gate pilot
    try:
        make_shards(run, SCALE, [0, 1], run.execution.executor)
    finally:
        run.close()
    assert (model() is None) == (execution.executor is not None)  # workers need its memory
    return sha256_tree(root / "artifacts" / "shards")


def in_mid_shard(root: Path, act: Callable[[], None]) -> threading.Thread:
    """Act once shard 0 has two finished rounds and is not finished itself."""
    shard = RunDir(root).shard_dir(0)

    def watch() -> None:
        until = time.monotonic() + SECONDS_TO_BEGIN
        while len(rounds(shard)) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        if not (shard / "manifest.json").exists():
            act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def rounds(shard: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each finished round."""
    files = sorted((shard / "work" / "rounds").glob("*.jsonl"))
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def worker_at(root: Path) -> int:
    """The process that holds the lock of shard 0."""
    lock = str(RunDir(root).logs / "shard-000.lock")
    links = (link for link in Path("/proc").glob("[0-9]*/fd/*") if _target(link) == lock)
    (pid,) = {int(link.parts[2]) for link in links}
    return pid


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # it has ended in the meantime
        return ""


def parts_of_ray() -> list[str]:
    """The parts of a cluster that this process has started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        if (
            int(rest.split()[1]) == os.getpid()
            and rest.split()[0] != "Z"
            and name.split("(")[1] in ("raylet", "gcs_server")
        ):
            found.append(name)
    return found


def test_a_killed_worker_has_its_shard_resumed_and_the_bytes_are_the_same(tmp_path, provenance, by_one):
    root, before, killed = tmp_path / "run", {}, []

    def kill() -> None:
        assert len(parts_of_ray()) == 2, "the search for parts of Ray finds them"
        killed.append(worker_at(root))
        os.kill(killed[0], signal.SIGKILL)
        before.update(rounds(RunDir(root).shard_dir(0)))

    watcher = in_mid_shard(root, kill)
    digest = make(root, provenance, TWO_WORKERS)
    watcher.join()
    assert killed
    assert killed[0] != os.getpid()
    assert digest == by_one
    after = rounds(RunDir(root).shard_dir(0))
    assert len(after) > len(before) >= 2
    assert {name: after[name] for name in before} == before, "finished rounds were made again"
    assert (
        "the worker of shard-000 died. Another worker resumes" in (root / "logs" / "session_manifest.json").read_text()
    )
    assert parts_of_ray() == []
    assert not ray.is_initialized()
    (entry,) = [e for e in ledger(root).entries if e.stage == "scale shards on 2 workers"]
    assert entry.steps >= 2 * SCALE.target
    assert list(RunDir(root).logs.glob("seen-by-workers-*")) == []


def ledger(root: Path) -> BudgetLedger:
    return read_record(root / "logs" / "budget_ledger.json", BudgetLedger)


def test_an_interrupted_run_ends_its_workers_and_is_resumed_without_them(tmp_path, provenance, by_one):
    root, parts = tmp_path / "run", parts_of_ray()  # a cluster that did not start in time ends with this process
    watcher = in_mid_shard(root, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        make(root, provenance, TWO_WORKERS)
    watcher.join()
    assert parts_of_ray() == parts
    before = rounds(RunDir(root).shard_dir(0))
    assert make(root, provenance, ExecutionOptions()) == by_one
    after = rounds(RunDir(root).shard_dir(0))
    assert {name: after[name] for name in before} == before


def test_what_a_worker_refuses_is_one_sentence_here(tmp_path, provenance):
    parts = parts_of_ray()
    run = Run(CONFIG, RunDir.open(tmp_path), TWO_WORKERS)
    run.base.mark_passed(provenance)
    lost = provenance.model_copy(update={"weights_digest": "0" * 64})
    run.base._provenance = lost
    with pytest.raises(
        CtaiError, match=r"^shard-00\d was not generated: worker \S+ the weights of embedded are not those"
    ):
        make_shards(run, SCALE, [0, 1], run.execution.executor)
    run.close()
    assert parts_of_ray() == parts
