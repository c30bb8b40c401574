"""Compute devices: names, memory, counts and threads, so that modules outside `ctai.model` need no torch."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from ctai.provenance import DeviceInfo, installed_version


def device_info(device: str) -> DeviceInfo:
    """Return name, CUDA version and memory in bytes of a device; imports torch for CUDA devices only."""
    if not device.startswith("cuda"):
        return DeviceInfo(device)
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    return DeviceInfo(f"{device}: {properties.name}", torch.version.cuda, properties.total_memory)


@lru_cache(maxsize=8)
def compute_stack(device: str) -> Mapping[str, str]:
    """Return the device and library versions of a computation; only results of equal stacks are comparable."""
    versions = {
        name: installed_version(name) or "not installed" for name in ("torch", "transformers", "peft", "bitsandbytes")
    }
    return MappingProxyType({"device": device_info(device).name, **versions})


def cuda_available() -> bool:
    """Return whether torch can use a CUDA device."""
    import torch

    return bool(torch.cuda.is_available())


def gpu_count() -> int:
    """Return the number of CUDA devices visible to this process."""
    import torch

    return int(torch.cuda.device_count())


def thread_count() -> int:
    """Return the number of CPU threads that torch uses."""
    import torch

    return int(torch.get_num_threads())


def set_thread_count(threads: int) -> None:
    """Set the number of CPU threads of torch; the rounding of sums depends on it."""
    import torch

    torch.set_num_threads(threads)
