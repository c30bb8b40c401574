"""Dequantized copies of NF4 weights, for generation on a CPU."""

from functools import partial
from typing import Any

import torch


def dequantize_once(module: Any) -> None:
    """Cache the dequantized weights of NF4 layers.

    bitsandbytes dequantizes at every call, which takes a quarter of the generation time on a CPU. The results are
    bitwise equal; the stored weights and their digests stay in 4 bit.
    """
    for layer in module.modules():
        if state := getattr(getattr(layer, "weight", None), "quant_state", None):
            from bitsandbytes.functional import dequantize_4bit  # slow to import

            weight = dequantize_4bit(layer.weight.data, state).to(torch.float32)
            layer.forward = partial(torch.nn.functional.linear, weight=weight, bias=layer.bias)
