"""Measured limits of the hardware: rate of matrix products and memory bandwidth."""

import torch

from benchmarks.common import Row, Subject, best_seconds


def limits(device: str) -> dict[str, float]:
    """Measure GFLOP/s of a large matrix product and GB/s of reading memory, at the current number of threads."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    size = 8192 if device == "cuda" else 1536
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    memory = torch.ones(2**29 if device == "cuda" else 2**26, device=device)
    return {
        "gflops": 2 * size**3 / best_seconds(lambda: _finished(a @ b)) / 1e9,
        "gb_per_second": memory.numel() * 4 / best_seconds(lambda: _finished(memory.sum())) / 1e9,
    }


def _finished(value: torch.Tensor) -> None:
    if value.is_cuda:
        torch.cuda.synchronize()


def run(subject: Subject, **_sizes: object) -> list[Row]:
    """Return the rows of the limits of the hardware."""
    return rows(subject.name, subject.limits, subject.model.provenance.device)


def rows(model: str, values: dict[str, float], device: str) -> list[Row]:
    """Return a row for each value of `limits`, with precision or number of threads."""
    where = "bfloat16" if device == "cuda" else f"{torch.get_num_threads()} thread(s)"
    return [
        Row("hardware", model, "matrix product", "GFLOP/s", values["gflops"], note=where),
        Row("hardware", model, "memory read", "GB/s", values["gb_per_second"], note=where),
    ]


def share_of_limit(subject: Subject, tokens: float, seconds: float) -> str:
    """Describe the share of the matrix rate that a forward pass used, at two operations per weight and token."""
    rate = 2 * subject.model.module.num_parameters() * tokens / seconds / 1e9
    return f"{rate / subject.limits['gflops']:.0%} of the machine's matrix rate"
