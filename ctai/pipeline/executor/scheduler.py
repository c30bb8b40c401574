"""Schedule the shards of the scale gate: reuse complete ones, generate the rest in this process or on Ray workers.

Owns the reuse of finished shards and the refusal of those that do not belong to the run. Does not generate a shard
(`ctai.generate.shard`) or distribute them (`ctai.pipeline.executor.ray`).
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.generate.shard import ShardResult, ShardSpec, check_summary, make_shard, shard_stage
from ctai.model.devices import gpu_count, thread_count
from ctai.nested import changed_leaves
from ctai.pipeline.context import RunContext
from ctai.pipeline.executor.ray import connect, probe_name
from ctai.pipeline.executor.specs import ExecutorSpec, default_executor
from ctai.pipeline.executor.task import ShardTask, with_absolute_model_path
from ctai.records import HeldoutItem, StageManifest
from ctai.rundir import Stage, digest_of, jsonable, read_record

_SHOWN_DIFFERENCES = 5
_SHOWN_CHARS = 24
_VISIBILITY_TIMEOUT_SECONDS = 60


class ScaleSpec(NamedTuple):
    """Settings that all shards of a scale run share.

    Attributes:
        config: configuration with the generation settings of the pilot that passed.
        heldout: frozen test set.
        target: number of examples to keep per shard.
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
    """Return the numbers of the missing shards; report why a finished one is generated again.

    Raises:
        CtaiError: a finished shard was modified, or was copied in and does not belong to this run.
    """
    return [number for number, stage in enumerate(stages(context, spec)) if not _is_complete(context, stage)]


def _is_complete(context: RunContext, stage: Stage) -> bool:
    """Return whether a shard is complete and belongs to this run."""
    name = stage.folder.name
    if stage.manifest_path.exists():
        manifest = read_record(stage.manifest_path, StageManifest)
        if manifest.key != digest_of([manifest.stage, manifest.parameters, manifest.inputs]):
            raise CtaiError(
                f"{stage.manifest_path} was changed: its key does not match its parameters and inputs. Copy {name} "
                f"again, or remove {stage.folder} to generate it here"
            )
        if manifest.key != stage.key:
            _check_ownership(context, stage, manifest)
    if stage.complete() is None:
        return False
    check_summary(stage)
    return True


def _check_ownership(context: RunContext, stage: Stage, manifest: StageManifest) -> None:
    """Report why a finished shard of this run is generated again; refuse one of another run directory."""
    name, differences = stage.folder.name, "; ".join(_describe_differences(manifest, stage))
    if not context.session.has_run_id(manifest.run_id):
        raise CtaiError(
            f"{name} was generated elsewhere and does not belong to this run: {differences}. Generate it there with the same "
            f"ctai, model and settings, or remove {stage.folder} to generate it here"
        )
    context.report(
        f"{name}: inputs have changed, so it is generated again; the old one moves to superseded/: {differences}"
    )


def _describe_differences(manifest: StageManifest, stage: Stage) -> list[str]:
    """Return the first few differences between a finished shard and a stage, as `NAME is A there and B here`."""
    before = {"stage": manifest.stage, **manifest.inputs, **manifest.parameters}
    after = {"stage": stage.name, **stage.inputs, **jsonable(dict(stage.parameters))}
    changes = [
        f"{change.key} is {_shown(change.before)} there and {_shown(change.after)} here"
        for change in changed_leaves(before, after)
    ]
    hidden = len(changes) - _SHOWN_DIFFERENCES
    return changes[:_SHOWN_DIFFERENCES] + ([f"and {hidden} more"] if hidden > 0 else [])


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:12]}..."


def make_shards(
    context: RunContext, spec: ScaleSpec, numbers: Sequence[int], executor: ExecutorSpec | None = None
) -> None:
    """Generate shards, in this process one after another or on Ray workers.

    Args:
        context: context of the run.
        spec: settings of the scale run.
        numbers: numbers of the shards to generate.
        executor: executor of the shards; None chooses by the machine.

    Raises:
        CtaiError: a shard failed, or a limit of time or cost was passed; finished work is kept.
    """
    if not numbers:
        return
    device = context.config.model.device
    selected = executor or default_executor(device, gpu_count)
    if selected.address is None:
        context.announce("scale", spec.target * len(numbers), "lower scale.count")
        for number in numbers:
            make_scale_shard(context, spec, number)
        return
    pending = [stage for number, stage in enumerate(stages(context, spec)) if number in numbers]
    context.base.release()
    with connect(selected, device, len(numbers)) as cluster:
        location = f"{cluster.workers} Ray workers, {selected.address}"
        context.report(f"shards {', '.join(map(str, numbers))}: {location}{'' if executor else ' (several GPUs)'}")
        context.announce("scale", spec.target * len(numbers), "lower scale.count")
        for stage in pending:
            stage.begin()
        with context.ledger.machines(cluster.machines):
            cluster.run(_tasks(context, spec, numbers), pending, context.progress, context.report)
    for stage in pending:
        _await_visible(stage)


def make_scale_shard(context: RunContext, spec: ScaleSpec, number: int) -> ShardResult:
    """Generate a shard of the scale gate in this process, or reuse it."""
    return make_shard(context.base, context.with_config(spec.config), spec.shard(context, number))


def _await_visible(stage: Stage) -> None:
    """Wait until the files that a worker wrote are visible on shared storage.

    Raises:
        CtaiError: they do not become visible in time.
    """
    for _ in range(_VISIBILITY_TIMEOUT_SECONDS):
        if stage.complete() is not None:
            return
        time.sleep(1)
    raise CtaiError(
        f"{stage.folder.name} was generated by a worker, but is not visible here after {_VISIBILITY_TIMEOUT_SECONDS} s. Put "
        f"{stage.folder} on storage that all workers share"
    )


def _tasks(context: RunContext, spec: ScaleSpec, numbers: Sequence[int]) -> list[ShardTask]:
    config, probe, threads = with_absolute_model_path(spec.config), probe_name(), thread_count()
    return [
        ShardTask(
            root=str(context.rundir.root),
            config=config,
            shard=number,
            target=spec.target,
            heldout=tuple(spec.heldout),
            run_id=context.run_id,
            git=context.git,
            made_by=context.made_by,
            provenance=context.base.provenance,
            threads=threads,
            probe=probe,
        )
        for number in numbers
    ]
