"""Preflight: what would stop a run, found in seconds and before anything is paid for."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.model import hub, sources
from ctai.pipeline.preflight.memory import estimate, free_memory
from ctai.pipeline.preflight.packages import bfloat16_problem, needed, quantization_problem, version_problem
from ctai.rundir import RunDir

_GIB = 1 << 30
# Where rented machines mount the disk that outlives them.
_DURABLE = Path("/workspace")
_VOLATILE_FILESYSTEMS = ("tmpfs", "ramfs")
# What a run writes beside the weights, unless limits.minimum_free_gb says that it is more, or less.
_OWN_GIB = 2.0


class Check(NamedTuple):
    """One thing that a run needs: whether it is there, and what to do if not."""

    name: str
    ok: bool
    message: str


def mounted() -> str:
    """The mount table; empty where the system has none to read."""
    table = Path("/proc/mounts")
    return table.read_text("utf-8", errors="replace") if table.exists() else ""


class Disk(NamedTuple):
    """The disk under a folder: its number, and its free bytes."""

    number: int
    free: int


def disk_of(path: Path) -> Disk:
    """The disk that a folder is on, or would be made on."""
    there = _existing(path)
    return Disk(there.stat().st_dev, shutil.disk_usage(there).free)


class Machine(NamedTuple):
    """What is asked of the machine."""

    free_memory: Callable[[str], int | None] = free_memory
    mounts: Callable[[], str] = mounted
    disk: Callable[[Path], Disk] = disk_of


def preflight(config: RunConfig, root: Path, machine: Machine | None = None) -> Iterator[Check]:
    """Check versions, device, model, memory, directory, disk and caches; nothing is downloaded or left behind."""
    machine = machine or Machine()
    yield _versions()
    yield _device(config)
    found = _find(config)
    yield _model(config, found)
    yield _memory(config, machine, None if isinstance(found, CtaiError) else found)
    yield _directory(root)
    yield _durable(config, root, machine.mounts())
    yield from _disks(config, root, machine, None if isinstance(found, CtaiError) else found)
    yield _cache(root)


def _versions() -> Check:
    problem = version_problem(needed())
    found = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft")) if not problem else ""
    return Check("versions", not problem, problem or found)


def _directory(root: Path) -> Check:
    """Make the run directory as a run does, and take away again what was not there: permissions alone do not tell."""
    path = root.expanduser().absolute()
    missing = [folder for folder in (path, *path.parents) if not _exists(folder)]
    try:
        RunDir.open(path)
    except CtaiError as error:
        return Check("run directory", False, str(error).removeprefix("run directory "))
    finally:
        for folder in missing:
            with suppress(OSError):  # never made, or another process has put something there
                folder.rmdir()
    return Check("run directory", True, str(root))


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.expanduser().absolute()
    return next(candidate for candidate in (path, *path.parents) if _exists(candidate))


def _exists(path: Path) -> bool:
    """Whether it is there; no for a name that is too long, or below a folder that may not be looked into."""
    try:
        return path.exists()
    except OSError:
        return False


def _disks(config: RunConfig, root: Path, machine: Machine, found: sources.ModelLocation | None) -> Iterator[Check]:
    """Room for what is still to be written: weights that are on this disk take no more of it."""
    least = config.limits.minimum_free_gb
    whole, missing = (found.whole / _GIB, found.missing / _GIB) if found else (0.0, 0.0)
    needed = max(least - whole, min(least, _OWN_GIB))
    disk, cache = machine.disk(root), machine.disk(hub.cache_folder())
    if missing and cache.number != disk.number:
        where = f"in the hub's cache {hub.cache_folder()}"
        yield _room("download", cache.free, missing, where, "or export HF_HOME=FOLDER on a larger disk")
    else:
        needed += missing
    yield _room("disk", disk.free, needed, "", "choose another --run-dir, or lower limits.minimum_free_gb")


def _room(name: str, free: int, needed: float, where: str, remedy: str) -> Check:
    message = " ".join(filter(None, (f"{free / _GIB:.1f} GiB free, {needed:.4g} needed", where)))
    ok = free >= needed * _GIB
    return Check(name, ok, message if ok else f"{message}; free some, {remedy}")


def _durable(config: RunConfig, root: Path, mounts: str) -> Check:
    """A paid run belongs on a disk that outlives the machine; one on a CPU is only told."""
    where = _existing(root).resolve()
    disks = {Path(fields[1]): fields[2] for line in mounts.splitlines() if len(fields := line.split()) > 2}
    mount = max((disk for disk in disks if where.is_relative_to(disk)), key=lambda disk: len(disk.parts), default=None)
    if mount is None:
        return Check("durable", True, f"not known: the system does not say which disk {root} is on")
    message = f"{root} is on {mount} ({disks[mount]})"
    if _DURABLE in disks and not where.is_relative_to(_DURABLE):
        message += f", and only {_DURABLE} outlives this machine: --run-dir {_DURABLE}/{root.name}"
    elif disks[mount] in _VOLATILE_FILESYSTEMS:
        message += ", which is memory and is lost when the machine stops: choose a disk with --run-dir"
    else:
        return Check("durable", True, message)
    return Check("durable", config.model.device == "cpu", message)


def _cache(root: Path) -> Check:
    """On a pod only one disk survives: weights that were downloaded elsewhere are paid for twice."""
    home = os.environ.get("HF_HOME")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home or "~/.cache/huggingface").expanduser().absolute()
    if root.expanduser().absolute().is_relative_to(_DURABLE) and not cache.is_relative_to(_DURABLE):
        message = f"the weights would go to {cache} and be lost with the pod: export HF_HOME={_DURABLE}/hf"
        return Check("caches", False, f"{message}; unset HF_HUB_CACHE" if "HF_HUB_CACHE" in os.environ else message)
    return Check("caches", True, f"HF_HOME={home}" if home else "HF_HOME is not set; the default cache is used")


def _memory(config: RunConfig, machine: Machine, found: sources.ModelLocation | None) -> Check:
    """What the device has free against what the model needs of it."""
    settings = config.model
    if found is None:
        return Check("memory", True, "not estimated: the model is not to be had")  # check `model` says why
    if found.source is None:
        return Check("memory", True, "not estimated: the weights are not on this disk yet")
    try:
        need = estimate(config, found.source)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Check("memory", True, f"not estimated: the model's files do not say enough ({error!r})")
    parts = (need.weights, need.batch, need.training)
    weights, batch, training = (f"{part / _GIB:.1f}" for part in parts)
    about = f"about {need.whole / _GIB:.1f} GiB needed (weights {weights}, generation {batch}, training {training})"
    free = machine.free_memory(settings.device)
    if free is None:
        return Check("memory", True, f"{about}; not known how much is free")
    message = f"{free / _GIB:.1f} GiB free on {settings.device}, {about}"
    if free < need.least:
        return Check("memory", False, f"{message}; {_remedy(need.weights, free, settings.quantization)}")
    if free < need.whole:
        message += "; batches that do not fit are halved: a lower model.batch_tokens is faster"
    return Check("memory", True, message)


def _remedy(weights: float, free: int, quantization: str) -> str:
    if free > weights + _GIB:
        return (
            "end what else uses it, or lower training.device_batch_size or training.max_tokens, or set "
            "training.gradient_checkpointing=true"
        )
    smaller = "" if quantization == "nf4" else ", or set model.quantization='nf4'"
    return f"end what else uses it, or take a smaller model or a larger device{smaller}"


def _device(config: RunConfig) -> Check:
    if config.model.device == "cpu":
        return Check("device", True, f"cpu, {os.cpu_count()} cores")
    import torch

    if not torch.cuda.is_available():
        message = "a CUDA device was asked for and there is none here; leave out --gpu to run on the CPU"
        return Check("device", False, message)
    properties = torch.cuda.get_device_properties(0)
    message = f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB"
    problem = bfloat16_problem() or quantization_problem("cuda")
    return Check("device", not problem, f"{message}; {problem}" if problem else message)


def _find(config: RunConfig) -> sources.ModelLocation | CtaiError:
    try:
        return sources.locate(config.model.name, config.model.revision)
    except CtaiError as error:
        return error


def _model(config: RunConfig, found: sources.ModelLocation | CtaiError) -> Check:
    if isinstance(found, CtaiError):
        return Check("model", False, str(found))
    if found.source is not None:
        return Check("model", True, f"{config.model.name}, on this disk: {found.source.folder}")
    to_come = f"gate 1 downloads {found.missing / 1e9:.1f} GB of {found.whole / 1e9:.1f}"
    return Check("model", True, f"{config.model.name}, on the hub; {to_come}")
