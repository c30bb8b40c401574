"""Roofline model (Williams et al. 2009): minimum time of the calls of a quantized model on the measured hardware.

A call takes as long as its matrix products at the measured rate, or as reading the weights at the measured bandwidth,
whichever is longer. Attention, norms, caches and the logits are ignored, so the bound is slightly optimistic.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from bitsandbytes.nn import Linear4bit

from ctai.pipeline.preflight.memory import NF4_BYTES


class Weights(NamedTuple):
    """Sizes of the weights that a call of a model reads.

    Attributes:
        parameters: number of parameters of all layers that process every token.
        stored: bytes of these layers and of the output layer in memory.
        unpacked: bytes moved if 4-bit weights are unpacked at each call: read, written in 16 or 32 bit, and read again.
    """

    parameters: int
    stored: float
    unpacked: float


def weights_of(module: Any) -> Weights:
    """Count the weights of a module."""
    parameters = sum(
        layer.in_features * layer.out_features for layer in module.modules() if isinstance(layer, Linear4bit)
    )
    head = module.get_output_embeddings().weight
    stored = parameters * NF4_BYTES + head.nbytes
    return Weights(parameters, stored, stored + 2 * parameters * head.element_size())


@contextmanager
def counted(module: Any) -> Iterator[list[int]]:
    """Record the number of tokens, padding included, of every call of a model, also below an adapter."""
    calls: list[int] = []
    hook = module.get_input_embeddings().register_forward_pre_hook(lambda _layer, given: calls.append(given[0].numel()))
    try:
        yield calls
    finally:
        hook.remove()


def least_seconds(weights: Weights, calls: list[int], limits: dict[str, float], unpacked: bool = False) -> float:
    """Return the minimum seconds of calls with these token counts; `unpacked` if each call unpacks all weights."""
    read = (weights.unpacked if unpacked else weights.stored) / limits["gb_per_second"] / 1e9
    return sum(max(2 * weights.parameters * tokens / limits["gflops"] / 1e9, read) for tokens in calls)


def share(weights: Weights, calls: list[int], limits: dict[str, float], seconds: float, passes: int = 1) -> str:
    """Describe the share of the limit that calls reached in `seconds`, with `passes` over the weights per call."""
    best, unpacking = (passes * least_seconds(weights, calls, limits, unpacked) for unpacked in (False, True))
    return f"{best / seconds:.0%} of the hardware's limit, {unpacking / seconds:.0%} with weights unpacked at each call"
