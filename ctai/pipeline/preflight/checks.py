"""Preflight checks: versions, device, model, memory, run directory, disks and caches.

Finds in seconds what would stop a run, before anything is paid for. Downloads nothing.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.heldout_size import heldout_problems
from ctai.evaluate.ledger import LEDGER_VARIABLE, ComparisonLedger
from ctai.model import hub, sources
from ctai.pipeline.preflight.memory import estimate_memory, free_memory
from ctai.pipeline.preflight.packages import (
    bfloat16_problem,
    package_requirements,
    quantization_problem,
    version_problem,
)
from ctai.rundir import RunDir

_GIB = 1 << 30
# Mount point of the disk that outlives a rented machine.
_DURABLE = Path("/workspace")
_VOLATILE_FILESYSTEMS = ("tmpfs", "ramfs")
# Size of the files of a run beside the weights, unless limits.minimum_free_gb leaves more, or is less.
_RUN_GIB = 2.0


class Check(NamedTuple):
    """Result of one check: its message names the problem and the remedy if it failed."""

    name: str
    ok: bool
    message: str


def mount_points() -> dict[Path, str]:
    """Return the file system type of every mount point; empty where the system has no mount table."""
    try:
        return {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    except OSError:  # Linux without /proc
        return {}


class Disk(NamedTuple):
    """The disk of a folder: device number and free bytes."""

    number: int
    free: int


def disk_of(path: Path) -> Disk:
    """Return the disk that a folder is on, or would be made on."""
    existing = _nearest_existing(path)
    return Disk(existing.stat().st_dev, psutil.disk_usage(str(existing)).free)


class Machine(NamedTuple):
    """Functions that read the state of the machine; tests replace them."""

    free_memory: Callable[[str], int | None] = free_memory
    mounts: Callable[[], Mapping[Path, str]] = mount_points
    disk: Callable[[Path], Disk] = disk_of


def preflight(config: RunConfig, root: Path, machine: Machine | None = None) -> Iterator[Check]:
    """Yield the result of each check; downloads nothing and leaves no file behind."""
    machine = machine or Machine()
    yield _versions()
    yield _test_set(config)
    yield _device(config)
    location = _locate(config)
    known = None if isinstance(location, CtaiError) else location
    yield _model(config, location)
    if config.headroom.reference:
        yield _reference(config)
    yield _memory(config, machine, known)
    yield _directory(root)
    yield _durable(config, root, machine.mounts())
    yield from _disks(config, root, machine, known)
    yield _cache(root)
    yield _ledger(config)


def _versions() -> Check:
    if problem := version_problem(package_requirements()):
        return Check("versions", False, problem)
    return Check("versions", True, ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft")))


def _test_set(config: RunConfig) -> Check:
    """Check that the test set can meet its thresholds, which gate instruments would find out after gate contamination."""
    problems = heldout_problems(config)
    return Check("test set", not problems, "; ".join(problems) or "large enough")


def _directory(root: Path) -> Check:
    """Make the run directory as a run does, then remove the new folders: permissions alone do not tell enough."""
    path = root.expanduser().absolute()
    missing = [folder for folder in (path, *path.parents) if not _exists(folder)]
    try:
        RunDir.open(path)
    except CtaiError as error:
        return Check("run directory", False, str(error).removeprefix("run directory "))
    finally:
        for folder in missing:
            with suppress(OSError):  # never made, or another process has written to it
                folder.rmdir()
    return Check("run directory", True, str(root))


def _nearest_existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    path = path.expanduser().absolute()
    return next(candidate for candidate in (path, *path.parents) if _exists(candidate))


def _exists(path: Path) -> bool:
    """Return whether a path exists; False for a name that is too long or below a folder that is not readable."""
    try:
        return path.exists()
    except OSError:
        return False


def _disks(config: RunConfig, root: Path, machine: Machine, location: sources.ModelLocation | None) -> Iterator[Check]:
    """Check the free space for all files still to be written; weights that are on the disk already need none."""
    minimum = config.limits.minimum_free_gb
    weights, download = (location.total_bytes / _GIB, location.missing_bytes / _GIB) if location else (0.0, 0.0)
    required = max(minimum - weights, min(minimum, _RUN_GIB))
    disk, cache = machine.disk(root), machine.disk(hub.cache_folder())
    if download and cache.number != disk.number:
        place = f"in the hub's cache {hub.cache_folder()}"
        yield _free_space("download", cache.free, download, place, "or export HF_HOME=FOLDER on a larger disk")
    else:
        required += download
    yield _free_space("disk", disk.free, required, "", "choose another --run-dir, or lower limits.minimum_free_gb")


def _free_space(name: str, free: int, required: float, place: str, remedy: str) -> Check:
    message = " ".join(filter(None, (f"{free / _GIB:.1f} GiB free, {required:.4g} needed", place)))
    ok = free >= required * _GIB
    return Check(name, ok, message if ok else f"{message}. Free some, {remedy}")


def _durable(config: RunConfig, root: Path, mounts: Mapping[Path, str]) -> Check:
    """Check that a paid run is on a disk that outlives the machine; on a CPU this is only a note."""
    folder = _nearest_existing(root).resolve()
    mount = max(
        (path for path in mounts if folder.is_relative_to(path)), key=lambda path: len(path.parts), default=None
    )
    if mount is None:
        return Check("durable", True, f"not known: the system does not name the disk of {root}")
    message = f"{root} is on {mount} ({mounts[mount]})"
    if _DURABLE in mounts and not folder.is_relative_to(_DURABLE):
        message += f", and only {_DURABLE} outlives this machine. Give --run-dir {_DURABLE}/{root.name}"
    elif mounts[mount] in _VOLATILE_FILESYSTEMS:
        message += ", which is memory and is lost when the machine stops. Choose a disk with --run-dir"
    else:
        return Check("durable", True, message)
    return Check("durable", config.model.device == "cpu", message)


def _cache(root: Path) -> Check:
    """Check that a run on the durable disk has its cache there too: lost weights are downloaded, and paid for, again."""
    home = os.environ.get("HF_HOME")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home or "~/.cache/huggingface").expanduser().absolute()
    if root.expanduser().absolute().is_relative_to(_DURABLE) and not cache.is_relative_to(_DURABLE):
        unset = "unset HF_HUB_CACHE; " if "HF_HUB_CACHE" in os.environ else ""
        message = (
            f"the weights would go to {cache} and be lost with the pod. Remedy: {unset}export HF_HOME={_DURABLE}/hf"
        )
        return Check("caches", False, message)
    return Check("caches", True, f"HF_HOME={home}" if home else "HF_HOME is not set; the default cache is used")


def _ledger(config: RunConfig) -> Check:
    """Check that the ledger of comparisons can be read and written, before the run that it has to count is paid for."""
    if config.control != "none":
        return Check("ledger", True, "not needed: a control is not counted among the comparisons on the test set")
    try:
        ledger = ComparisonLedger.locate()
        comparisons = ledger.read()
    except CtaiError as error:
        return Check("ledger", False, str(error))
    folder = _nearest_existing(ledger.path.parent)
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return Check(
            "ledger", False, f"{folder} is not a writeable folder. Set {LEDGER_VARIABLE} to a file in one that is"
        )
    return Check("ledger", True, f"{ledger.path} ({ledger.origin}), {len(comparisons)} comparisons on test sets")


def _memory(config: RunConfig, machine: Machine, location: sources.ModelLocation | None) -> Check:
    """Compare the free memory of the device with the estimate for the run."""
    settings = config.model
    if location is None:
        return Check("memory", True, "not estimated: the model is not available")  # check `model` says why
    if location.source is None:
        return Check("memory", True, "not estimated: the weights are not on this disk yet")
    try:
        need = estimate_memory(config, location.source)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Check("memory", True, f"not estimated from the model's files ({error!r})")
    parts = (need.weights, need.batch, need.training)
    weights, batch, training = (f"{part / _GIB:.1f}" for part in parts)
    about = (
        f"about {need.full_batch / _GIB:.1f} GiB needed (weights {weights}, generation {batch}, training {training})"
    )
    free = machine.free_memory(settings.device)
    if free is None:
        return Check("memory", True, f"{about}; free memory not known")
    message = f"{free / _GIB:.1f} GiB free on {settings.device}, {about}"
    if free < need.minimum:
        return Check("memory", False, f"{message}. {_remedy(need.weights, free, settings.quantization)}")
    if free < need.full_batch:
        message += ". Batches that do not fit are halved; a lower model.batch_tokens is faster"
    return Check("memory", True, message)


def _remedy(weights: float, free: int, quantization: str) -> str:
    if free > weights + _GIB:
        return (
            "End other processes on the device, lower training.device_batch_size or training.max_tokens, or set "
            "training.gradient_checkpointing=true"
        )
    smaller = "" if quantization == "nf4" else ", or set model.quantization='nf4'"
    return f"End other processes on the device, or take a smaller model or a larger device{smaller}"


def _device(config: RunConfig) -> Check:
    if config.model.device == "cpu":
        return Check("device", True, f"cpu, {os.cpu_count()} cores")
    import torch

    if not torch.cuda.is_available():
        message = "no CUDA device on this machine. Leave out --gpu to run on the CPU"
        return Check("device", False, message)
    properties = torch.cuda.get_device_properties(0)
    message = f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB"
    problem = bfloat16_problem() or quantization_problem("cuda")
    return Check("device", not problem, f"{message}: {problem}" if problem else message)


def _locate(config: RunConfig) -> sources.ModelLocation | CtaiError:
    try:
        return sources.locate(config.model.name, config.model.revision)
    except CtaiError as error:
        return error


def _model(config: RunConfig, location: sources.ModelLocation | CtaiError) -> Check:
    if isinstance(location, CtaiError):
        return Check("model", False, str(location))
    if location.source is not None:
        return Check("model", True, f"{config.model.name}, on this disk: {location.source.folder}")
    download = f"gate contamination downloads {location.missing_bytes / 1e9:.1f} GB of {location.total_bytes / 1e9:.1f}"
    return Check("model", True, f"{config.model.name}, on the hub; {download}")


def _reference(config: RunConfig) -> Check:
    """Check that the reference model of gate headroom exists."""
    name = config.headroom.reference
    try:
        location = sources.locate(name)
    except CtaiError as error:
        return Check("reference", False, f"{error}. Correct headroom.reference, or leave it empty")
    missing = location.missing_bytes / 1e9
    return Check("reference", True, f"{name}; gate headroom downloads {missing:.1f} GB" if missing else name)
