"""Compute devices: names, memory, counts and threads. Everything outside `ctai.model` asks here instead of torch."""

import os
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from ctai.provenance import DeviceInfo, installed_version


def device_info(device: str) -> DeviceInfo:
    """Name, CUDA version and memory in bytes of a device; imports torch for a CUDA device only."""
    if not device.startswith("cuda"):
        return DeviceInfo(device)
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    return DeviceInfo(f"{device}: {properties.name}", torch.version.cuda, properties.total_memory)


@lru_cache(maxsize=8)
def compute_stack(device: str) -> Mapping[str, str]:
    """Device and library versions that a model computes with; only answers of equal stacks are compared."""
    versions = {
        name: installed_version(name) or "not installed" for name in ("torch", "transformers", "peft", "bitsandbytes")
    }
    return MappingProxyType({"device": device_info(device).name, **versions})


def cuda_available() -> bool:
    """Return whether torch can use a CUDA device."""
    import torch

    return bool(torch.cuda.is_available())


def gpu_count() -> int:
    """Number of CUDA devices that this process can use."""
    import torch

    return int(torch.cuda.device_count())


def thread_count() -> int:
    """Number of threads that torch computes with on a CPU."""
    import torch

    return int(torch.get_num_threads())


def set_thread_count(threads: int) -> None:
    """Compute with this many CPU threads: the rounding of a sum depends on their number."""
    import torch

    torch.set_num_threads(threads)


def cpu_count() -> int:
    """Number of CPU cores, at least 1."""
    return os.cpu_count() or 1
