"""The least time that the hardware allows for the calls of a quantized model that were made.

A call takes as long as its products of matrices at the measured rate, or as reading the weights at the measured bandwidth,
whichever is longer. Attention, norms, caches and the output layer's logits are left out, so the limit is a little too fast.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from bitsandbytes.nn import Linear4bit

from ctai.pipeline.preflight.memory import NF4_BYTES


class Weights(NamedTuple):
    """What a call of a model multiplies with.

    Attributes:
        parameters: of all layers that see every token.
        stored: bytes of these and of the output layer, as they lie in memory.
        unpacked: bytes that are moved when 4-bit weights are unpacked at each call: read, written as 16 or 32 bit, read again.
    """

    parameters: int
    stored: float
    unpacked: float


def weights_of(module: Any) -> Weights:
    """Count them."""
    parameters = sum(
        layer.in_features * layer.out_features for layer in module.modules() if isinstance(layer, Linear4bit)
    )
    head = module.get_output_embeddings().weight
    stored = parameters * NF4_BYTES + head.nbytes
    return Weights(parameters, stored, stored + 2 * parameters * head.element_size())


@contextmanager
def counted(module: Any) -> Iterator[list[int]]:
    """The tokens of every call of a model while this lasts, padding included; also below an adapter."""
    calls: list[int] = []
    hook = module.get_input_embeddings().register_forward_pre_hook(lambda _layer, given: calls.append(given[0].numel()))
    try:
        yield calls
    finally:
        hook.remove()


def least_seconds(weights: Weights, calls: list[int], limits: dict[str, float], unpacked: bool = False) -> float:
    """The limit for calls with so many tokens each; with `unpacked`, of a library that unpacks all weights at each."""
    read = (weights.unpacked if unpacked else weights.stored) / limits["gb_per_second"] / 1e9
    return sum(max(2 * weights.parameters * tokens / limits["gflops"] / 1e9, read) for tokens in calls)


def share(weights: Weights, calls: list[int], limits: dict[str, float], seconds: float, passes: int = 1) -> str:
    """In words how near to the limit so many seconds for these calls are, each passing the weights so many times."""
    best, unpacking = (passes * least_seconds(weights, calls, limits, unpacked) for unpacked in (False, True))
    return f"{best / seconds:.0%} of the hardware's limit, {unpacking / seconds:.0%} with weights unpacked at each call"
