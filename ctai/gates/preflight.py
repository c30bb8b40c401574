"""Preflight: what would stop a run, found in seconds and before anything is paid for."""

import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.gates.base import BaseModel
from ctai.rundir import RunDir

_GIB = 1 << 30


class Check(NamedTuple):
    """One thing that a run needs: whether it is there, and what to do if not."""

    name: str
    ok: bool
    message: str


def preflight(config: RunConfig, rundir: RunDir) -> Iterator[Check]:
    """Check versions, disk, caches, device and model, the cheapest first. The run directory has just been written to."""
    yield Check("versions", True, ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft")))
    yield Check("run directory", True, str(rundir.root))
    yield _disk(config, rundir)
    yield _cache(rundir)
    yield _device(config)
    yield _model(config)


def _disk(config: RunConfig, rundir: RunDir) -> Check:
    free, needed = shutil.disk_usage(rundir.root).free / _GIB, config.limits.minimum_free_gb
    message = f"{free:.1f} GiB free, {needed:g} needed"
    if free < needed:
        message += "; free some, choose another --run-dir, or lower limits.minimum_free_gb"
    return Check("disk", free >= needed, message)


def _cache(rundir: RunDir) -> Check:
    """On a pod only one disk survives: weights that were downloaded elsewhere are paid for twice."""
    home = os.environ.get("HF_HOME")
    if home is None and rundir.root.parts[:2] == ("/", "workspace"):
        return Check("caches", False, "the weights would be lost with the pod: export HF_HOME=/workspace/hf")
    return Check("caches", True, f"HF_HOME={home}" if home else "HF_HOME is not set; the default cache is used")


def _device(config: RunConfig) -> Check:
    if config.model.device == "cpu":
        return Check("device", True, f"cpu, {os.cpu_count()} cores")
    import torch

    if not torch.cuda.is_available():
        return Check("device", False, "no CUDA device; leave --gpu out to run on the CPU")
    properties = torch.cuda.get_device_properties(0)
    return Check("device", True, f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB")


def _model(config: RunConfig) -> Check:
    try:
        source = BaseModel(config.model).locate()
    except CtaiError as error:
        return Check("model", False, str(error))
    return Check("model", True, f"{source.model_id}, {len(source.weight_files)} weight file(s) in {source.folder}")
