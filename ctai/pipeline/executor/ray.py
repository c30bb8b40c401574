"""Ray executor: shards on the GPUs or cores of this machine, or of a cluster.

Owns the connection, the submission of shard tasks and the restart after the death of a worker. Does not generate
(`ctai.pipeline.executor.task`); a shard does not depend on its worker, so the files equal those of a run without Ray.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ctai.errors import CtaiError, short_error
from ctai.generate.shard import count_round_examples
from ctai.model.devices import gpu_count
from ctai.pipeline.executor.specs import LOCAL, ExecutorSpec
from ctai.pipeline.executor.task import ShardTask, run_shard_task
from ctai.progress import Progress
from ctai.provenance import code_digest
from ctai.rundir import RunDir, Stage, write_text

_MAX_RESTARTS = 3
_POLL_SECONDS = 1.0
# Nothing large goes through Ray's object store: the files of a shard go to the disk.
_STORE_BYTES = 100 << 20
# No usage reports, CUDA_VISIBLE_DEVICES unchanged, and workers at normal priority: they are the run.
_RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}


class RayCluster:
    """Ray cluster that this process is connected to.

    Attributes:
        workers: number of shards generated in parallel.
        machines: number of its GPUs, or of its machines without GPUs, that are paid for meanwhile.
    """

    def __init__(self, ray: Any, device: str, shards: int) -> None:
        self._ray = ray
        self._resources = {"num_cpus": 1, "num_gpus": int(device == "cuda")}
        slots = int(ray.cluster_resources().get("GPU" if device == "cuda" else "CPU", 0))
        nodes = sum(bool(node["Alive"]) for node in ray.nodes())
        self.workers = min(slots, shards)
        self.machines = self.workers if device == "cuda" else min(nodes, self.workers)
        if not self.workers:
            raise CtaiError(f"the Ray cluster has no {'GPU' if device == 'cuda' else 'core'} for a shard")

    def run(
        self,
        tasks: Sequence[ShardTask],
        stages: Sequence[Stage],
        progress: Progress,
        say: Callable[[str], None],
    ) -> None:
        """Generate shards; after the death of a worker another one resumes its shard.

        Args:
            tasks: one task for each shard.
            stages: stages of the shards, in the same order, begun.
            progress: counts kept examples as rounds end.
            say: shows a message for each death of a worker.

        Raises:
            CtaiError: a worker failed, or a limit of time or cost was passed; finished rounds are kept.
        """
        counter, target = RoundCounter(stages), sum(task.target for task in tasks)
        progress.start(f"scale shards on {self.workers} workers", max(target - counter.count_new(), 0))
        rundir = stages[0].rundir
        with _probe(rundir, tasks[0].probe), self._cancel_on_exit() as running:
            running.update({self._submit(task): task for task in tasks})
            deaths = dict.fromkeys((task.shard for task in tasks), 0)
            while running:
                finished, _ = self._ray.wait(list(running), num_returns=1, timeout=_POLL_SECONDS)
                for reference in finished:
                    task = running.pop(reference)
                    if self._died(reference, task):
                        deaths[task.shard] += 1
                        _reschedule_or_raise(task.shard, deaths[task.shard], say)
                        running[self._submit(task)] = task
                progress.advance(counter.count_new(), f"{len(tasks) - len(running)} of {len(tasks)} shards done")
        progress.finish()

    def _submit(self, task: ShardTask) -> Any:
        # one process for each shard: the end of a process frees its GPU memory for the next
        options = {**self._resources, "max_retries": 0, "max_calls": 1}
        return self._ray.remote(**options)(run_shard_task).remote(code_digest(), task.model_dump_json())

    def _died(self, reference: Any, task: ShardTask) -> bool:
        """Return whether the worker of a finished task died.

        Raises:
            CtaiError: the worker reports an error.
        """
        errors = self._ray.exceptions
        try:
            problem = self._ray.get(reference)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError):
            return True
        except errors.RayTaskError as error:
            if "No module named 'ctai" not in str(error):
                raise  # a bug, with the worker's traceback
            problem = "ctai is not installed on a worker. Install the same version on all machines"
        if problem:
            raise CtaiError(f"shard-{task.shard:03d} was not generated: {problem}")
        return False

    @contextmanager
    def _cancel_on_exit(self) -> Iterator[dict[Any, ShardTask]]:
        """Yield a dict for the running tasks; those still in it at the end of the block, or on an error, are cancelled."""
        running: dict[Any, ShardTask] = {}
        try:
            yield running
        finally:
            for reference in running:
                with suppress(Exception):  # an error here would hide the one that ends the block
                    self._ray.cancel(reference, force=True)


class RoundCounter:
    """Counter of kept examples in the finished rounds of shards, read from the disk."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._next = [(stage, 0) for stage in stages]

    def count_new(self) -> int:
        """Count the examples kept in rounds that ended since the last call."""
        total = 0
        for index, (stage, number) in enumerate(self._next):
            while (kept := count_round_examples(stage, number)) is not None:
                total, number = total + kept, number + 1
            self._next[index] = (stage, number)
        return total


def _reschedule_or_raise(shard: int, deaths: int, say: Callable[[str], None]) -> None:
    if deaths > _MAX_RESTARTS:
        raise CtaiError(
            f"shard-{shard:03d} was not generated: {deaths} workers in succession died on it, perhaps out of memory. "
            "Finished rounds are kept. Rerun the same command to resume"
        )
    say(f"the worker of shard-{shard:03d} died. Another worker resumes after the last finished round")


@contextmanager
def _probe(rundir: RunDir, name: str) -> Iterator[None]:
    """Write a file that only workers with the same run directory see; remove it at the end of the block."""
    path = rundir.logs / name
    write_text(path, "workers of this run see this file\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def probe_name() -> str:
    """Return a random name for the file by which workers recognize the run directory."""
    return f"seen-by-workers-{secrets.token_hex(8)}"


@contextmanager
def connect(executor: ExecutorSpec, device: str, shards: int) -> Iterator[RayCluster]:
    """Connect to a running Ray cluster, or start a local one that ends with the block.

    Args:
        executor: address, or size of a local cluster.
        device: `cpu` or `cuda`.
        shards: number of shards to generate, an upper bound on local workers.

    Raises:
        CtaiError: the cluster cannot be started or reached, or has no resources for a worker.
    """
    for name, value in _RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if executor.address == LOCAL:
        options |= _local(executor.number, device, shards)
    try:
        _start(ray, executor.address, options)
        yield RayCluster(ray, device, shards)
    finally:
        ray.shutdown()


def _start(ray: Any, address: str | None, options: dict[str, Any]) -> None:
    try:
        ray.init(address=address, **options)
    except Exception as error:  # Ray raises bare ones, too, when one of its processes does not start in time
        problem = "Ray could not be started" if address == LOCAL else f"no Ray cluster at {address}"
        raise CtaiError(
            f"{problem}: {short_error(error)}. Use --workers here to generate the shards without Ray"
        ) from error


def _local(number: int, device: str, shards: int) -> dict[str, Any]:
    """Return the options of `ray.init` for a local cluster."""
    options = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    if device == "cuda":
        available = gpu_count()
        gpus = min(number or available, available, shards)
        return {**options, "num_cpus": gpus, "num_gpus": gpus}
    return {**options, "num_cpus": min(number or max((os.cpu_count() or 1) // 2, 2), shards), "num_gpus": 0}
