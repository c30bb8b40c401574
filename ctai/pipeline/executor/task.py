"""One shard as a task for a worker on another core, GPU or machine.

Owns what a worker is told and what it checks before it begins: that it runs the same code, sees the same run directory
and has the same weights. It then does what a run without workers does: `make_shard`. It knows nothing of Ray.
"""

import socket
from pathlib import Path

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.generate.shard import ShardSpec, make_shard
from ctai.model.devices import set_thread_count
from ctai.model.lazy import LazyBaseModel
from ctai.progress import SilentProgress
from ctai.provenance import GitState, StageContext, code_digest
from ctai.records import HeldoutItem, ModelProvenance, Record
from ctai.rundir import RunDir

# A worker that was killed lets its shard go at once; one that was only cut off may still be writing.
_SECONDS_TO_LET_GO = 60.0


def for_workers(config: RunConfig) -> RunConfig:
    """The configuration with a model that lies on this disk named from the root: workers start in another folder."""
    path = Path(config.model.name).expanduser()
    if not path.exists():
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"name": str(path.absolute())})})


class ShardTask(Record):
    """All that a worker must be told to make one shard.

    Attributes:
        root: of the run directory.
        config: the run's configuration, with the generation settings that the pilot passed with.
        shard: its number.
        target: how many examples to keep.
        heldout: the frozen test set.
        run_id: the run that examples name.
        git: commit of the asking machine's code, and whether its tree was dirty.
        provenance: which model passed gate 1; the worker's must be the same.
        threads: of the asking process, on which the bits of a sum depend.
        probe: name of a file below `logs/` that is there when the run directory is the same.
    """

    root: str
    config: RunConfig
    shard: int
    target: int
    heldout: tuple[HeldoutItem, ...]
    run_id: str
    git: GitState
    provenance: ModelProvenance
    threads: int
    probe: str


def make_on_worker(code: str, task: str) -> str:
    """Make one shard, or go on with it.

    Args:
        code: the digest of the code that asks for it; with other code the task might not even be readable.
        task: a `ShardTask` as JSON.

    Returns:
        Why it was not made, in one sentence; empty when it was.
    """
    host = socket.gethostname()
    if code != code_digest():
        return f"worker {host} has another version of ctai: install the same one on all machines"
    try:
        _make(ShardTask.model_validate_json(task))
    except CtaiError as error:
        return f"worker {host}: {error}"
    return ""


def _make(task: ShardTask) -> None:
    rundir = RunDir(Path(task.root))
    probe = rundir.logs / task.probe
    if not probe.is_file():
        raise CtaiError(
            f"{rundir.root} is not the run directory of this run here: put it on storage that all workers share, or make "
            "shards elsewhere with --only-shards and copy them in (docs/shards.md)"
        )
    set_thread_count(task.threads)  # the bits of a sum depend on it
    model = LazyBaseModel(task.config.model)
    model.passed(task.provenance)
    spec = ShardSpec("scale", task.shard, task.target, rundir.shard_dir(task.shard), task.heldout)
    context = StageContext(
        config=task.config, rundir=rundir, run_id=task.run_id, git=task.git, progress=SilentProgress()
    )
    with rundir.lock(spec.folder.name, _SECONDS_TO_LET_GO):
        make_shard(model, context, spec)
