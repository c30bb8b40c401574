"""How much memory a run needs of its device, estimated from the headers of the weight files and the model's configuration.

Owns the estimate and what a machine has free. It reads no weights: shapes and types stand in the headers. What it leaves
out (fragments, kernels' workspace) is covered by a fixed allowance, so it tells what cannot fit, not what just does.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ctai.config import ModelSettings, RunConfig, TrainingSettings
from ctai.model.sources import ModelSource

_GIB = 1 << 30
# NF4 with double quantization: 4 bits, one 8-bit scale for 64 of them, one 32-bit scale for 256 of those.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
# What bitsandbytes leaves as it is, as names of tensors say it: embeddings and the head.
_NOT_QUANTIZED = ("embed", "wte", "wpe", "lm_head", "embed_out")
# Few-shot examples and a list of negative ones, before what is generated.
_PROMPT_TOKENS = 1024
# LoRA: the weight and its gradient in 32 bit, the two moments of the optimizer in 32 (in 8 on CUDA, which is less).
_BYTES_A_TRAINED_PARAMETER = 16
# Activations of one layer that the backward pass needs, in units of hidden size and 16 bit (Korthikanti et al. 2022,
# arXiv 2205.05198, equation 1 without the attention matrix: 34 bytes a token and hidden unit).
_ACTIVATION_BYTES = 34
# Logits of a training batch: as computed, in 32 bit for the loss, and their gradient.
_BYTES_A_LOGIT = 10
_ALLOWANCE = _GIB


class Shape(NamedTuple):
    """One tensor of a weight file."""

    name: str
    sizes: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Its parameters."""
        return math.prod(self.sizes)

    @property
    def is_linear(self) -> bool:
        """Whether it is a matrix of a layer: quantized, and what adapters are put on."""
        return len(self.sizes) == 2 and not any(part in self.name for part in _NOT_QUANTIZED)


class Need(NamedTuple):
    """Estimated memory in bytes.

    Attributes:
        weights: of the model as it is loaded.
        prompt: the cache of keys and values for one prompt.
        batch: the same for a whole batch; the engine halves a batch that does not fit.
        training: adapter, optimizer, activations and logits.
    """

    weights: float
    prompt: float
    batch: float
    training: float

    @property
    def least(self) -> float:
        """Below this nothing helps but other settings."""
        return self.weights + max(self.prompt, self.training) + _ALLOWANCE

    @property
    def whole(self) -> float:
        """With this no batch has to be halved."""
        return self.weights + max(self.batch, self.training) + _ALLOWANCE


def estimate(config: RunConfig, source: ModelSource) -> Need:
    """What a run needs of its device.

    Args:
        config: the run's configuration.
        source: the model, on this disk.

    Raises:
        OSError, ValueError, KeyError: the files do not say enough for an estimate.
    """
    shapes = list(gguf_shapes(source.folder / source.gguf) if source.gguf else safetensors_shapes(source))
    if not shapes:
        raise ValueError("there are no weight files")
    size = 2 if config.model.device == "cuda" else 4
    weights = sum(shape.parameters * _bytes(shape, config.model, size, bool(source.gguf)) for shape in shapes)
    if source.gguf:  # its header names sizes otherwise; the weights are most of it
        return Need(weights, 0.0, 0.0, 0.0)
    return _with_work(config, json.loads((source.folder / "config.json").read_text("utf-8")), shapes, weights, size)


def _bytes(shape: Shape, settings: ModelSettings, size: int, is_gguf: bool) -> float:
    """Bytes a parameter, once loaded: a GGUF file is unpacked unless nf4 is asked for."""
    quantized = settings.quantization == "nf4" or (settings.quantization == "auto" and not is_gguf)
    return NF4_BYTES if quantized and shape.is_linear else size


def _with_work(config: RunConfig, model: dict[str, Any], shapes: list[Shape], weights: float, size: int) -> Need:
    """The need with what generation and training take beside the weights."""
    heads, hidden, layers = model["num_attention_heads"], model["hidden_size"], model["num_hidden_layers"]
    head = model.get("head_dim") or hidden // heads
    cache = 2 * layers * (model.get("num_key_value_heads") or heads) * head * size
    new = max(config.generation.instruction_sampling.max_new_tokens, config.generation.response_sampling.max_new_tokens)
    tokens = min(_PROMPT_TOKENS + new, model.get("max_position_embeddings") or _PROMPT_TOKENS + new)
    chosen = config.training.gradient_checkpointing
    # not set, training decides by what is free, and only on a GPU
    recomputes = config.model.device == "cuda" if chosen is None else chosen
    training = _training(config.training, shapes, layers, hidden, model["vocab_size"], recomputes)
    together = max(tokens, min(tokens * config.model.batch_size, config.model.batch_tokens))
    return Need(weights, cache * tokens, cache * together, training)


def _training(
    settings: TrainingSettings, shapes: list[Shape], layers: int, hidden: int, vocabulary: int, recomputes: bool
) -> float:
    """Adapter with its optimizer, activations, logits. Adapters on some modules only are counted as on all."""
    trained = settings.rank * sum(sum(shape.sizes) for shape in shapes if shape.is_linear)
    tokens = settings.device_batch_size * settings.max_tokens
    kept = _ACTIVATION_BYTES + 2 * layers if recomputes else _ACTIVATION_BYTES * layers
    return trained * _BYTES_A_TRAINED_PARAMETER + tokens * (hidden * kept + vocabulary * _BYTES_A_LOGIT)


# ------------------------------------------------------------------------------------------------------------ headers


def safetensors_shapes(source: ModelSource) -> Iterator[Shape]:
    """The tensors of a folder, as the headers of its safetensors files name them.

    Raises:
        OSError, ValueError: a file cannot be read, or is none.
    """
    for name in source.weight_files:
        with (source.folder / name).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > (source.folder / name).stat().st_size:
                raise ValueError(f"{name} is no safetensors file")
            header = json.loads(file.read(length))
        yield from (Shape(key, tuple(v["shape"])) for key, v in header.items() if key != "__metadata__")


def gguf_shapes(path: Path) -> Iterator[Shape]:
    """The tensors of a GGUF file; its embeddings and head are called otherwise, and are named so that they are known."""
    from gguf import GGUFReader

    for tensor in GGUFReader(path).tensors:
        name = "lm_head" if tensor.name == "output.weight" else tensor.name.replace("token_embd", "embed")
        yield Shape(name, tuple(int(size) for size in tensor.shape))


# ----------------------------------------------------------------------------------------------------------- machine


def free_memory(device: str) -> int | None:
    """Bytes that are free: of the CUDA device that has least, or of this machine's memory; None if nobody says.

    A container may use less than the machine has.
    """
    if device == "cuda":
        import torch

        found = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
        return int(min(found)) if found else None
    known = [value for value in (_available(), _left_in_container()) if value is not None]
    return min(known) if known else None


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None


def _left_in_container(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the container's limit leaves (cgroup 2); None without a limit."""
    try:
        limit, used = (root / "memory.max").read_text("utf-8").strip(), (root / "memory.current").read_text("utf-8")
    except OSError:
        return None
    return None if limit == "max" else max(int(limit) - int(used), 0)
