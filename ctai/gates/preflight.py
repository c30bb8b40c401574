"""Preflight: what would stop a run, found in seconds and before anything is paid for."""

import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.model import sources

_GIB = 1 << 30


class Check(NamedTuple):
    """One thing that a run needs: whether it is there, and what to do if not."""

    name: str
    ok: bool
    message: str


def preflight(config: RunConfig, root: Path) -> Iterator[Check]:
    """Check versions, device, model, directory, disk and caches; nothing is downloaded, and nothing left behind."""
    yield Check("versions", True, ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft")))
    yield _device(config)
    yield _model(config)
    yield _directory(root)
    yield _disk(config, root)
    yield _cache(root)


def _directory(root: Path) -> Check:
    existing = _existing(root)
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return Check("run directory", False, f"{root} cannot be written; choose another with --run-dir")
    return Check("run directory", True, str(root))


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.expanduser().absolute()
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())


def _disk(config: RunConfig, root: Path) -> Check:
    free, needed = shutil.disk_usage(_existing(root)).free / _GIB, config.limits.minimum_free_gb
    message = f"{free:.1f} GiB free, {needed:g} needed"
    if free < needed:
        message += "; free some, choose another --run-dir, or lower limits.minimum_free_gb"
    return Check("disk", free >= needed, message)


def _cache(root: Path) -> Check:
    """On a pod only one disk survives: weights that were downloaded elsewhere are paid for twice."""
    home = os.environ.get("HF_HOME")
    if home is None and root.expanduser().absolute().parts[:2] == ("/", "workspace"):
        return Check("caches", False, "the weights would be lost with the pod: export HF_HOME=/workspace/hf")
    return Check("caches", True, f"HF_HOME={home}" if home else "HF_HOME is not set; the default cache is used")


def _device(config: RunConfig) -> Check:
    if config.model.device == "cpu":
        return Check("device", True, f"cpu, {os.cpu_count()} cores")
    import torch

    if not torch.cuda.is_available():
        message = "a CUDA device was asked for and there is none here; leave out --gpu to run on the CPU"
        return Check("device", False, message)
    properties = torch.cuda.get_device_properties(0)
    return Check("device", True, f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB")


def _model(config: RunConfig) -> Check:
    try:
        return Check("model", True, sources.whereabouts(config.model.name, config.model.revision))
    except CtaiError as error:
        return Check("model", False, str(error))
