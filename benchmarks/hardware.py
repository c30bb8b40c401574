"""What the hardware can do: the rate of matrix products and the bandwidth of memory, measured."""

import torch

from benchmarks.common import Row, Subject, best_seconds


def limits(device: str) -> dict[str, float]:
    """GFLOP/s of a large product of matrices, and GB/s of reading memory, at the present number of threads."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    size = 8192 if device == "cuda" else 1536
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    memory = torch.ones(2**30 // 8 if device == "cuda" else 2**26, device=device)
    return {
        "gflops": 2 * size**3 / best_seconds(lambda: _finished(a @ b)) / 1e9,
        "gb_per_second": memory.numel() * 4 / best_seconds(lambda: _finished(memory.sum())) / 1e9,
    }


def _finished(value: torch.Tensor) -> None:
    if value.is_cuda:
        torch.cuda.synchronize()


def run(subject: Subject, **_sizes: object) -> list[Row]:
    """Two rows: the limits that the other benchmarks are held against."""
    threads = f"{torch.get_num_threads()} thread(s)"
    return [
        Row("hardware", subject.name, "matrix product", "GFLOP/s", subject.limits["gflops"], note=threads),
        Row("hardware", subject.name, "memory read", "GB/s", subject.limits["gb_per_second"], note=threads),
    ]


def share_of_limit(subject: Subject, tokens: float, seconds: float) -> str:
    """How much of the machine's matrix rate a forward pass over so many tokens used: two operations a weight and token."""
    rate = 2 * subject.model.module.num_parameters() * tokens / seconds / 1e9
    return f"{rate / subject.limits['gflops']:.0%} of the machine's matrix rate"
