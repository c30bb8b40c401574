"""Gate 3's shards: which are there, which are made in this session, and by whom.

Owns what `--only-shards` and `--workers` mean, and what becomes of a finished shard that does not fit. How Ray makes a
shard is `workers`', how one is made at all `ctai.generate.shard`'s.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ctai.config import RunConfig
from ctai.errors import ConfigError, CtaiError
from ctai.gates.shard_task import ShardTask, for_workers
from ctai.gates.workers import Workers, connected, default_workers, parse_workers, probe_name
from ctai.generate.shard import MadeShard, make_shard, shard_stage
from ctai.records import HeldoutItem, StageManifest
from ctai.rundir import Stage, digest_of, jsonable, read_record

if TYPE_CHECKING:
    from ctai.gates.run import Run

_SHOWN_DIFFERENCES = 5
_SHOWN_CHARS = 24
_SECONDS_TO_SHOW = 60


class Sharing(NamedTuple):
    """How the work of the scale gate is shared out; it changes nothing of what is made.

    Attributes:
        workers: who makes the shards; None leaves it to what the machine has.
        only: numbers of the shards to make in this session; empty: all.
    """

    workers: Workers | None = None
    only: frozenset[int] = frozenset()

    def record(self) -> dict[str, Any]:
        """What the session manifest says of it."""
        workers = {} if self.workers is None else {"workers": self.workers._asdict()}
        return {**workers, **({"only": sorted(self.only)} if self.only else {})}


def parse_sharing(workers: str | None, only: str | None, shards: int) -> Sharing:
    """What `--workers` and `--only-shards` say; the latter counts from 0, such as `0,2-3`.

    Raises:
        CtaiError: one of them cannot be understood, names shards that there are not, or needs Ray, which is missing.
    """
    numbers: set[int] = set()
    for part in only.split(",") if only is not None else ():
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
        if not first <= last < shards:
            raise ConfigError(f"--only-shards {only}: write numbers from 0 to {shards - 1}, such as 0,2-3")
        numbers.update(range(first, last + 1))
    return Sharing(parse_workers(workers), frozenset(numbers))


class Order(NamedTuple):
    """What all shards of a run are made from."""

    config: RunConfig
    heldout: Sequence[HeldoutItem]
    target: int


def stages(run: "Run", order: Order) -> list[Stage]:
    """The stages of all shards."""
    return [
        shard_stage(run.base, order.config, run.rundir, folder, "scale", number, order.target, order.heldout)
        for number, folder in enumerate(map(run.rundir.shard_dir, range(order.config.scale.shards)))
    ]


def unfinished(run: "Run", order: Order) -> list[int]:
    """The numbers of the shards that are still to be made; says why a finished one is.

    Raises:
        CtaiError: a finished shard was changed, or was copied in and does not belong to this run.
    """
    return [number for number, stage in enumerate(stages(run, order)) if not _is_there(run, stage)]


def _is_there(run: "Run", stage: Stage) -> bool:
    """Whether a shard is there as this run would make it."""
    name = stage.folder.name
    if stage.manifest_path.exists():
        manifest = read_record(stage.manifest_path, StageManifest)
        if manifest.key != digest_of([manifest.stage, manifest.parameters, manifest.inputs]):
            raise CtaiError(
                f"{stage.manifest_path} was changed: its key does not follow from its parameters and inputs; copy {name} "
                f"again, or remove {stage.folder} to have it made here"
            )
        if manifest.key != stage.key:
            _outdated(run, stage, manifest)
    return stage.complete() is not None


def _outdated(run: "Run", stage: Stage, manifest: StageManifest) -> None:
    """Say why a finished shard is made again; refuse to, when it is not this run directory's own."""
    name, why = stage.folder.name, "; ".join(differences(manifest, stage))
    if not run.session.knows(manifest.run_id):
        raise CtaiError(
            f"{name} was made elsewhere and does not belong to this run: {why}; make it there with the same ctai, model and "
            f"settings, or remove {stage.folder} to have it made here"
        )
    said = f"{name} was made from something else and is made again, the old one goes to superseded/: {why}"
    run.progress.say(said)
    run.session.note(said)


def differences(manifest: StageManifest, stage: Stage) -> list[str]:
    """`NAME is A there and B here` for what a finished shard and a stage were made from; a few, when there are many."""
    there = {"stage": manifest.stage, **manifest.inputs, **manifest.parameters}
    here = {"stage": stage.name, **stage.inputs, **jsonable(dict(stage.parameters))}
    found = list(_different_leaves(there, here, ""))
    more = [f"and {len(found) - _SHOWN_DIFFERENCES} more"] if len(found) > _SHOWN_DIFFERENCES else []
    return found[:_SHOWN_DIFFERENCES] + more


def _different_leaves(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name in sorted(there.keys() | here.keys()):
        old, new = there.get(name), here.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _different_leaves(old, new, f"{prefix}{name}.")
        elif old != new:
            yield f"{prefix}{name} is {_shown(old)} there and {_shown(new)} here"


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:12]}..."


def make_shards(run: "Run", order: Order, numbers: Sequence[int]) -> None:
    """Make shards, here one after another or on workers.

    Raises:
        CtaiError: one could not be made, or time or money ran out; what is finished is kept.
    """
    if not numbers:
        return
    device = run.config.model.device
    workers = run.sharing.workers or default_workers(device, _gpus)
    if workers.address is None:
        run.announce("scale", order.target * len(numbers), "lower scale.count")
        for number in numbers:
            finished_shard(run, order, number)
        return
    todo = [stage for number, stage in enumerate(stages(run, order)) if number in numbers]
    run.base.release()
    with connected(workers, device, len(numbers)) as cluster:
        where = f"{cluster.workers} workers by Ray, {workers.address}"
        _tell(run, f"shards {', '.join(map(str, numbers))}: {where}{'' if run.sharing.workers else ' (several GPUs)'}")
        run.announce("scale", order.target * len(numbers), "lower scale.count")
        for stage in todo:
            stage.begin()
        with run.ledger.machines(cluster.machines):
            cluster.make(_tasks(run, order, numbers), todo, run.progress, lambda text: _tell(run, text))
    for stage in todo:
        _await(stage)


def finished_shard(run: "Run", order: Order, number: int) -> MadeShard:
    """A shard of the scale gate, made in this process if it is not there."""
    folder = run.rundir.shard_dir(number)
    return make_here(run, order.config, folder, "scale", number, order.target, order.heldout)


def _await(stage: Stage) -> None:
    """See a shard that a worker has made; shared storage may show its files a while later.

    Raises:
        CtaiError: it does not come to sight.
    """
    for _ in range(_SECONDS_TO_SHOW):
        if stage.complete() is not None:
            return
        time.sleep(1)
    raise CtaiError(
        f"{stage.folder.name} was made by a worker, but cannot be seen here after {_SECONDS_TO_SHOW} s: is {stage.folder} on "
        "storage that all workers share?"
    )


def _tell(run: "Run", text: str) -> None:
    run.progress.say(text)
    run.session.note(text)


def _gpus() -> int:
    import torch

    return int(torch.cuda.device_count())


def _tasks(run: "Run", order: Order, numbers: Sequence[int]) -> list[ShardTask]:
    import torch

    config, probe = for_workers(order.config), probe_name()
    return [
        ShardTask(
            root=str(run.rundir.root),
            config=config,
            shard=number,
            target=order.target,
            heldout=tuple(order.heldout),
            run_id=run.run_id,
            git=(run.environment.git_commit, run.environment.git_dirty),
            provenance=run.base.provenance,
            threads=torch.get_num_threads(),
            probe=probe,
        )
        for number in numbers
    ]


def make_here(
    run: "Run",
    config: RunConfig,
    folder: Path,
    stage: Literal["pilot", "scale"],
    shard: int,
    target: int,
    heldout: Sequence[HeldoutItem],
) -> MadeShard:
    """Make a shard in this process, or say that it is there."""
    return make_shard(
        model=run.base,
        config=config,
        rundir=run.rundir,
        folder=folder,
        stage=stage,
        shard=shard,
        target=target,
        heldout=heldout,
        run_id=run.run_id,
        progress=run.progress,
        git=(run.environment.git_commit, run.environment.git_dirty),
    )
