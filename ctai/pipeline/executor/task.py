"""Task of one shard for a worker on another core, GPU or machine.

Owns the task record and the checks of a worker before it starts: the same code, the same run directory and the same
weights. The worker then calls `make_shard`, as a run without workers does. Does not use Ray (`ctai.pipeline.executor.ray`).
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
from ctai.records import HeldoutItem, MadeBy, ModelProvenance, Record
from ctai.rundir import RunDir

# A killed worker releases the lock of its shard at once; one that lost its connection may still be writing.
_LOCK_TIMEOUT_SECONDS = 60.0


def with_absolute_model_path(config: RunConfig) -> RunConfig:
    """Return the configuration with an absolute path for a local model, since workers start in another folder."""
    path = Path(config.model.name).expanduser()
    if not path.exists():
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"name": str(path.absolute())})})


class ShardTask(Record):
    """Input of a worker for one shard.

    Attributes:
        root: path of the run directory.
        config: configuration of the run, with the generation settings of the pilot that passed.
        shard: number of the shard.
        target: number of examples to keep.
        heldout: frozen test set.
        run_id: run id for the metadata of examples.
        git: commit and dirty flag of the scheduling machine.
        made_by: maker of the scheduling machine, with its command; the worker has the same code and kind of device.
        provenance: model that passed gate contamination; the model of the worker must be the same.
        threads: CPU threads of the scheduling process; the bits of a sum depend on it.
        probe: name of a file below `logs/` that exists if the run directory is the same.
    """

    root: str
    config: RunConfig
    shard: int
    target: int
    heldout: tuple[HeldoutItem, ...]
    run_id: str
    git: GitState
    made_by: MadeBy
    provenance: ModelProvenance
    threads: int
    probe: str


def run_shard_task(code: str, task: str) -> str:
    """Generate one shard, or resume it.

    Args:
        code: digest of the code of the scheduler; other code might not be able to parse the task.
        task: a `ShardTask` as JSON.

    Returns:
        The error in one sentence; empty on success.
    """
    host = socket.gethostname()
    if code != code_digest():
        return f"worker {host} has another version of ctai. Install the same version on all machines"
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
            f"{rundir.root} is not the directory of this run on this worker. Put it on storage that all workers share, or "
            "generate shards elsewhere with --only-shards and copy them in (docs/shards.md)"
        )
    set_thread_count(task.threads)  # the bits of a sum depend on it
    model = LazyBaseModel(task.config.model)
    model.mark_passed(task.provenance)
    spec = ShardSpec("scale", task.shard, task.target, rundir.shard_dir(task.shard), task.heldout)
    context = StageContext(
        config=task.config,
        rundir=rundir,
        run_id=task.run_id,
        git=task.git,
        progress=SilentProgress(),
        made_by=task.made_by,
    )
    with rundir.lock(spec.folder.name, _LOCK_TIMEOUT_SECONDS):
        make_shard(model, context, spec)
