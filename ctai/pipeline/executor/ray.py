"""Shards by Ray: on the GPUs or cores of this machine, or on those of a cluster.

Owns what `--workers` may say, how a shard gets to a worker, and what becomes of one whose worker dies. What a worker does
is `shard_task`'s; a shard does not depend on who makes it, so the files are those of a run without workers.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ctai.errors import CtaiError
from ctai.generate.shard import count_round_examples
from ctai.model.devices import gpu_count
from ctai.pipeline.executor.specs import LOCAL, ExecutorSpec
from ctai.pipeline.executor.task import ShardTask, make_on_worker
from ctai.progress import Progress
from ctai.provenance import code_digest
from ctai.rundir import RunDir, Stage, write_text

_RESTARTS = 3


_SECONDS_BETWEEN_LOOKS = 1.0


# Nothing large goes through Ray's store: a shard's files go to the disk.
_STORE_BYTES = 100 << 20


# Nothing is reported to anybody, the device stays visible as it is, and workers are no background jobs: they are the run.
_RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}


class RayCluster:
    """A Ray cluster that this process is connected to.

    Attributes:
        workers: how many shards it makes at once.
        machines: how many of its GPUs, or without GPUs machines, are paid for meanwhile.
    """

    def __init__(self, ray: Any, device: str, shards: int) -> None:
        self._ray = ray
        self._needs = {"num_cpus": 1, "num_gpus": int(device == "cuda")}
        places = int(ray.cluster_resources().get("GPU" if device == "cuda" else "CPU", 0))
        nodes = sum(bool(node["Alive"]) for node in ray.nodes())
        self.workers = min(places, shards)
        self.machines = self.workers if device == "cuda" else min(nodes, self.workers)
        if not self.workers:
            raise CtaiError(f"the Ray cluster has no {'GPU' if device == 'cuda' else 'core'} to make a shard on")

    def make(
        self,
        tasks: Sequence[ShardTask],
        stages: Sequence[Stage],
        progress: Progress,
        say: Callable[[str], None],
    ) -> None:
        """Make shards; a worker that dies has its shard given to another one, which resumes it.

        Args:
            tasks: one a shard.
            stages: the shards' stages, in the same order, begun.
            progress: told of kept examples as rounds end.
            say: told of each worker that died.

        Raises:
            CtaiError: a worker could not make its shard, or time or money ran out; finished rounds are kept.
        """
        kept, left = KeptExamples(stages), sum(task.target for task in tasks)
        progress.start(f"scale shards on {self.workers} workers", max(left - kept.new(), 0))
        rundir = stages[0].rundir
        with _probe(rundir, tasks[0].probe), self._cancelled_at_the_end() as running:
            running.update({self._submit(task): task for task in tasks})
            deaths = dict.fromkeys((task.shard for task in tasks), 0)
            while running:
                ended, _ = self._ray.wait(list(running), num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
                for reference in ended:
                    task = running.pop(reference)
                    if self._died(reference, task):
                        deaths[task.shard] += 1
                        _reschedule_or_raise(task.shard, deaths[task.shard], say)
                        running[self._submit(task)] = task
                progress.advance(kept.new(), f"{len(tasks) - len(running)} of {len(tasks)} shards done")
        progress.finish()

    def _submit(self, task: ShardTask) -> Any:
        # a process a shard: what a dead or finished one held of a GPU's memory is free for the next
        options = {**self._needs, "max_retries": 0, "max_calls": 1}
        return self._ray.remote(**options)(make_on_worker).remote(code_digest(), task.model_dump_json())

    def _died(self, reference: Any, task: ShardTask) -> bool:
        """Whether a worker died at its shard.

        Raises:
            CtaiError: it says that it cannot make the shard.
        """
        errors = self._ray.exceptions
        try:
            sentence = self._ray.get(reference)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError):
            return True
        except errors.RayTaskError as error:
            if "No module named 'ctai" not in str(error):
                raise  # a bug, with the worker's traceback
            sentence = "ctai is not installed on a worker: install the same version on all machines"
        if sentence:
            raise CtaiError(f"shard-{task.shard:03d} was not made: {sentence}")
        return False

    @contextmanager
    def _cancelled_at_the_end(self) -> Iterator[dict[Any, ShardTask]]:
        """Running tasks; those that still run when the block is left, by whichever error, are ended."""
        running: dict[Any, ShardTask] = {}
        try:
            yield running
        finally:
            for reference in running:
                with suppress(Exception):  # one that cannot be told is not worth the error that is on its way
                    self._ray.cancel(reference, force=True)


class KeptExamples:
    """Counts the examples of rounds as they end, wherever they are made."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._next = [(stage, 0) for stage in stages]

    def new(self) -> int:
        """How many were kept in rounds that have ended since the last call."""
        total = 0
        for index, (stage, number) in enumerate(self._next):
            while (kept := count_round_examples(stage, number)) is not None:
                total, number = total + kept, number + 1
            self._next[index] = (stage, number)
        return total


def _reschedule_or_raise(shard: int, deaths: int, say: Callable[[str], None]) -> None:
    if deaths > _RESTARTS:
        raise CtaiError(
            f"shard-{shard:03d} was not made: {deaths} workers died at it, one after another, perhaps for want of memory; "
            "finished rounds are kept: run the same command again to resume"
        )
    say(f"the worker of shard-{shard:03d} died; another one goes on after the last finished round")


@contextmanager
def _probe(rundir: RunDir, name: str) -> Iterator[None]:
    """A file that only workers see who share the run directory."""
    path = rundir.logs / name
    write_text(path, "workers of this run see this file\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def probe_name() -> str:
    """A name for the file by which workers know the run directory."""
    return f"seen-by-workers-{secrets.token_hex(8)}"


@contextmanager
def connected(workers: ExecutorSpec, device: str, shards: int) -> Iterator[RayCluster]:
    """A Ray cluster: one of this machine, which ends with the block, or one that runs.

    Args:
        workers: which.
        device: `cpu` or `cuda`.
        shards: how many are to be made: no more local workers are started.

    Raises:
        CtaiError: it cannot be started or reached, or has no place for a worker.
    """
    for name, value in _RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if workers.address == LOCAL:
        options |= _local(workers.number, device, shards)
    try:
        _start(ray, workers.address, options)
        yield RayCluster(ray, device, shards)
    finally:
        ray.shutdown()


def _start(ray: Any, address: str | None, options: dict[str, Any]) -> None:
    try:
        ray.init(address=address, **options)
    except Exception as error:  # Ray raises bare ones, too, when a part of it does not start in time
        what = "Ray could not be started" if address == LOCAL else f"there is no Ray cluster at {address}"
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise CtaiError(f"{what}: {first}; --workers here makes the shards without it") from error


def _local(number: int, device: str, shards: int) -> dict[str, Any]:
    """The size of a local cluster."""
    options = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    if device == "cuda":
        there = gpu_count()
        gpus = min(number or there, there, shards)
        return {**options, "num_cpus": gpus, "num_gpus": gpus}
    return {**options, "num_cpus": min(number or max((os.cpu_count() or 1) // 2, 2), shards), "num_gpus": 0}
