"""Schedule the shards of the scale gate: reuse complete ones, generate the rest in this process or on Ray workers.

Owns when a finished shard counts, and what happens to one that does not fit the run. How a shard is generated is
`ctai.generate.shard`, how Ray runs one is `ctai.pipeline.executor.ray`.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.generate.shard import ShardResult, ShardSpec, make_shard, shard_stage
from ctai.model.devices import gpu_count, thread_count
from ctai.nested import changed_leaves
from ctai.pipeline.context import RunContext
from ctai.pipeline.executor.ray import connected, probe_name
from ctai.pipeline.executor.specs import ExecutorSpec, default_executor
from ctai.pipeline.executor.task import ShardTask, for_workers
from ctai.records import HeldoutItem, StageManifest
from ctai.rundir import Stage, digest_of, jsonable, read_record

_SHOWN_DIFFERENCES = 5
_SHOWN_CHARS = 24
_SECONDS_TO_SHOW = 60


class ScaleSpec(NamedTuple):
    """What all shards of a scale run share.

    Attributes:
        config: with the generation settings of the pilot that passed.
        heldout: the frozen test set.
        target: examples to keep per shard.
    """

    config: RunConfig
    heldout: Sequence[HeldoutItem]
    target: int

    def shard(self, context: RunContext, number: int) -> ShardSpec:
        """Return the spec of one shard."""
        return ShardSpec("scale", number, self.target, context.rundir.shard_dir(number), self.heldout)


def stages(context: RunContext, spec: ScaleSpec) -> list[Stage]:
    """Return the stages of all shards, by number."""
    shards = (spec.shard(context, number) for number in range(spec.config.scale.shards))
    return [shard_stage(context.base, context.with_config(spec.config), shard) for shard in shards]


def missing_shards(context: RunContext, spec: ScaleSpec) -> list[int]:
    """Return the numbers of the shards that are still to be made; reports why a finished one is made again.

    Raises:
        CtaiError: a finished shard was changed, or was copied in and does not belong to this run.
    """
    return [number for number, stage in enumerate(stages(context, spec)) if not _is_complete(context, stage)]


def _is_complete(context: RunContext, stage: Stage) -> bool:
    """Return whether a shard is complete and belongs to this run."""
    name = stage.folder.name
    if stage.manifest_path.exists():
        manifest = read_record(stage.manifest_path, StageManifest)
        if manifest.key != digest_of([manifest.stage, manifest.parameters, manifest.inputs]):
            raise CtaiError(
                f"{stage.manifest_path} was changed: its key does not follow from its parameters and inputs; copy {name} "
                f"again, or remove {stage.folder} to have it made here"
            )
        if manifest.key != stage.key:
            _check_ownership(context, stage, manifest)
    return stage.complete() is not None


def _check_ownership(context: RunContext, stage: Stage, manifest: StageManifest) -> None:
    """Report why a finished shard of this run directory is made again; refuse one that was made elsewhere."""
    name, why = stage.folder.name, "; ".join(describe_differences(manifest, stage))
    if not context.session.knows(manifest.run_id):
        raise CtaiError(
            f"{name} was made elsewhere and does not belong to this run: {why}; make it there with the same ctai, model and "
            f"settings, or remove {stage.folder} to have it made here"
        )
    context.report(f"{name} was made from something else and is made again, the old one goes to superseded/: {why}")


def describe_differences(manifest: StageManifest, stage: Stage) -> list[str]:
    """Return the first few differences between a finished shard and a stage, as `NAME is A there and B here`."""
    there = {"stage": manifest.stage, **manifest.inputs, **manifest.parameters}
    here = {"stage": stage.name, **stage.inputs, **jsonable(dict(stage.parameters))}
    changes = [
        f"{change.key} is {_shown(change.before)} there and {_shown(change.after)} here"
        for change in changed_leaves(there, here)
    ]
    hidden = len(changes) - _SHOWN_DIFFERENCES
    return changes[:_SHOWN_DIFFERENCES] + ([f"and {hidden} more"] if hidden > 0 else [])


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:12]}..."


def make_shards(
    context: RunContext, spec: ScaleSpec, numbers: Sequence[int], executor: ExecutorSpec | None = None
) -> None:
    """Make shards, in this process one after another or on workers.

    Args:
        context: of the run.
        spec: of the scale run.
        numbers: of the shards to make.
        executor: where; None chooses by the machine.

    Raises:
        CtaiError: one could not be made, or time or money ran out; what is finished is kept.
    """
    if not numbers:
        return
    device = context.config.model.device
    chosen = executor or default_executor(device, gpu_count)
    if chosen.address is None:
        context.announce("scale", spec.target * len(numbers), "lower scale.count")
        for number in numbers:
            make_scale_shard(context, spec, number)
        return
    todo = [stage for number, stage in enumerate(stages(context, spec)) if number in numbers]
    context.base.release()
    with connected(chosen, device, len(numbers)) as cluster:
        where = f"{cluster.workers} workers by Ray, {chosen.address}"
        context.report(f"shards {', '.join(map(str, numbers))}: {where}{'' if executor else ' (several GPUs)'}")
        context.announce("scale", spec.target * len(numbers), "lower scale.count")
        for stage in todo:
            stage.begin()
        with context.ledger.machines(cluster.machines):
            cluster.make(_tasks(context, spec, numbers), todo, context.progress, context.report)
    for stage in todo:
        _await(stage)


def make_scale_shard(context: RunContext, spec: ScaleSpec, number: int) -> ShardResult:
    """Make a shard of the scale gate in this process, or reuse it."""
    return make_shard(context.base, context.with_config(spec.config), spec.shard(context, number))


def _await(stage: Stage) -> None:
    """Wait until the files of a shard that a worker has made are visible on shared storage.

    Raises:
        CtaiError: they do not become visible.
    """
    for _ in range(_SECONDS_TO_SHOW):
        if stage.complete() is not None:
            return
        time.sleep(1)
    raise CtaiError(
        f"{stage.folder.name} was made by a worker, but cannot be seen here after {_SECONDS_TO_SHOW} s: is {stage.folder} on "
        "storage that all workers share?"
    )


def _tasks(context: RunContext, spec: ScaleSpec, numbers: Sequence[int]) -> list[ShardTask]:
    config, probe, threads = for_workers(spec.config), probe_name(), thread_count()
    return [
        ShardTask(
            root=str(context.rundir.root),
            config=config,
            shard=number,
            target=spec.target,
            heldout=tuple(spec.heldout),
            run_id=context.run_id,
            git=context.git,
            provenance=context.base.provenance,
            threads=threads,
            probe=probe,
        )
        for number in numbers
    ]
