"""Memory of a run: an estimate from the headers of the weight files and config.json, and the free memory of a device.

Reads no weights. Fragmentation and workspaces of kernels are covered by a fixed allowance, so the estimate shows that a
model cannot fit, not that it just does.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from safetensors import SafetensorError, safe_open

from ctai.config import ModelSettings, RunConfig, TrainingSettings
from ctai.model.sources import ModelSource

_GIB = 1 << 30
# NF4 with double quantization: 4 bits, one 8-bit scale for 64 of them, one 32-bit scale for 256 of those.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
# Parts of the names of tensors that bitsandbytes does not quantize: embeddings and the head.
_NOT_QUANTIZED = ("embed", "wte", "wpe", "lm_head", "embed_out")
# Prompt before the generated text: few-shot examples and a list of negative ones.
_PROMPT_TOKENS = 1024
# LoRA: the weight and its gradient in 32 bit, the two moments of the optimizer in 32 (in 8 on CUDA, which is less).
_BYTES_PER_TRAINED_PARAMETER = 16
# Activations of one layer that the backward pass needs, in units of hidden size and 16 bit (Korthikanti et al. 2022,
# arXiv 2205.05198, equation 1 without the attention matrix: 34 bytes a token and hidden unit).
_ACTIVATION_BYTES = 34
# Logits of a training batch: as computed, in 32 bit for the loss, and their gradient.
_BYTES_PER_LOGIT = 10
_ALLOWANCE = _GIB


class TensorShape(NamedTuple):
    """Name and sizes of one tensor of a weight file."""

    name: str
    sizes: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return math.prod(self.sizes)

    @property
    def is_linear(self) -> bool:
        """True for a matrix of a layer, which is quantized and gets an adapter."""
        return len(self.sizes) == 2 and not any(part in self.name for part in _NOT_QUANTIZED)


class MemoryEstimate(NamedTuple):
    """Estimated memory in bytes.

    Attributes:
        weights: the model as it is loaded.
        prompt: KV cache of one prompt.
        batch: KV cache of a full batch; the engine halves a batch that does not fit.
        training: adapter, optimizer, activations and logits.
    """

    weights: float
    prompt: float
    batch: float
    training: float

    @property
    def minimum(self) -> float:
        """Memory below which the run cannot start with these settings."""
        return self.weights + max(self.prompt, self.training) + _ALLOWANCE

    @property
    def full_batch(self) -> float:
        """Memory with which no batch has to be halved."""
        return self.weights + max(self.batch, self.training) + _ALLOWANCE


def estimate_memory(config: RunConfig, source: ModelSource) -> MemoryEstimate:
    """Estimate the device memory of a run.

    Args:
        config: configuration of the run.
        source: model files on this disk.

    Raises:
        OSError: a file cannot be read.
        ValueError: a weight file is invalid, or there is none.
        KeyError: config.json lacks a field.
        TypeError: a field of config.json has the wrong type.
    """
    shapes = list(gguf_shapes(source.folder / source.gguf) if source.gguf else safetensors_shapes(source))
    if not shapes:
        raise ValueError("there are no weight files")
    size = 2 if config.model.device == "cuda" else 4
    weights = sum(shape.parameters * _bytes(shape, config.model, size, bool(source.gguf)) for shape in shapes)
    if source.gguf:  # its header names sizes differently; the weights are most of the need
        return MemoryEstimate(weights, 0.0, 0.0, 0.0)
    return _with_activations(
        config, json.loads((source.folder / "config.json").read_text("utf-8")), shapes, weights, size
    )


def _bytes(shape: TensorShape, settings: ModelSettings, size: int, is_gguf: bool) -> float:
    """Return the bytes per parameter once loaded; a GGUF file is unpacked unless the setting is nf4."""
    quantized = settings.quantization == "nf4" or (settings.quantization == "auto" and not is_gguf)
    return NF4_BYTES if quantized and shape.is_linear else size


def _with_activations(
    config: RunConfig, model: dict[str, Any], shapes: list[TensorShape], weights: float, size: int
) -> MemoryEstimate:
    """Add the memory of generation and training to that of the weights."""
    heads, hidden, layers = model["num_attention_heads"], model["hidden_size"], model["num_hidden_layers"]
    head = model.get("head_dim") or hidden // heads
    cache = 2 * layers * (model.get("num_key_value_heads") or heads) * head * size
    new = max(config.generation.instruction_sampling.max_new_tokens, config.generation.response_sampling.max_new_tokens)
    tokens = min(_PROMPT_TOKENS + new, model.get("max_position_embeddings") or _PROMPT_TOKENS + new)
    checkpointing = config.training.gradient_checkpointing
    # if not set, training decides by the free memory, and only on a GPU
    recomputes = config.model.device == "cuda" if checkpointing is None else checkpointing
    training = _training(config.training, shapes, layers, hidden, model["vocab_size"], recomputes)
    batch_tokens = max(tokens, min(tokens * config.model.batch_size, config.model.batch_tokens))
    return MemoryEstimate(weights, cache * tokens, cache * batch_tokens, training)


def _training(
    settings: TrainingSettings, shapes: list[TensorShape], layers: int, hidden: int, vocabulary: int, recomputes: bool
) -> float:
    """Return the bytes of adapter, optimizer, activations and logits; counts adapters on all linear layers."""
    trained = settings.rank * sum(sum(shape.sizes) for shape in shapes if shape.is_linear)
    tokens = settings.device_batch_size * settings.max_tokens
    activations = _ACTIVATION_BYTES + 2 * layers if recomputes else _ACTIVATION_BYTES * layers
    return trained * _BYTES_PER_TRAINED_PARAMETER + tokens * (hidden * activations + vocabulary * _BYTES_PER_LOGIT)


# ------------------------------------------------------------------------------------------------------------ headers


def safetensors_shapes(source: ModelSource) -> Iterator[TensorShape]:
    """Yield the tensors in the headers of the safetensors files of a model.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is no safetensors file.
    """
    for name in source.weight_files:
        try:
            with safe_open(source.folder / name, framework="numpy") as file:
                shapes = [TensorShape(key, tuple(file.get_slice(key).get_shape())) for key in file.keys()]  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{name} is no safetensors file") from error
        yield from shapes


def gguf_shapes(path: Path) -> Iterator[TensorShape]:
    """Yield the tensors of a GGUF file; embeddings and head get the names that they have in safetensors files."""
    from gguf import GGUFReader

    for tensor in GGUFReader(path).tensors:
        name = "lm_head" if tensor.name == "output.weight" else tensor.name.replace("token_embd", "embed")
        yield TensorShape(name, tuple(int(size) for size in tensor.shape))


# ----------------------------------------------------------------------------------------------------------- machine


def free_memory(device: str) -> int | None:
    """Return the free bytes of the CUDA device with the least, or of this machine; None if not known.

    The limit of a container counts where it leaves less than the machine has.
    """
    if device == "cuda":
        import torch

        free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
        return int(min(free)) if free else None
    limits = [value for value in (_available(), _free_in_container()) if value is not None]
    return min(limits) if limits else None


def _available() -> int | None:
    try:
        return int(psutil.virtual_memory().available)
    except OSError:  # Linux without /proc
        return None


def _free_in_container(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the bytes that the limit of the container leaves (cgroup 2); None without a limit."""
    try:
        limit, used = (root / "memory.max").read_text("utf-8").strip(), (root / "memory.current").read_text("utf-8")
    except OSError:
        return None
    return None if limit == "max" else max(int(limit) - int(used), 0)
