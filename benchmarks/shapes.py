"""Models of published shapes with random weights, without a download.

Speed and memory depend on the shape and not on the values of the weights. Owns the shapes, their weights, a tokenizer
whose words are numbers, and random texts; `benchmarks.shape_parts` measures.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from ctai.model.control_tokens import InputGuard
from ctai.model.inference.engine import Engine
from ctai.model.loader import from_pretrained_options, prepare_module

PREFIX = "shape:"
_ROPE = {"rope_type": "default", "rope_theta": 1_000_000.0}
# From config.json of the base models, huggingface.co/Qwen/<name>; "tiny" is ours, to try the benchmarks on a CPU.
SHAPES: dict[str, dict[str, Any]] = {
    "Qwen2.5-32B": {
        "hidden_size": 5120,
        "intermediate_size": 27648,
        "num_hidden_layers": 64,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "vocab_size": 152064,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
    },
    "Qwen2.5-7B": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
    },
    "Qwen2.5-0.5B": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
    },
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 1024,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    },
}


class Lazy:
    """Weight that is created when it is read by `[...]`, like a tensor in a file, so that only one is in memory."""

    def __init__(self, make: Callable[[], Tensor]) -> None:
        self._make = make

    def __getitem__(self, _all: Any) -> Tensor:
        return self._make()


def config_of(name: str) -> Qwen2Config:
    """Return the configuration of a shape."""
    return Qwen2Config(**SHAPES[name], rope_parameters=dict(_ROPE))


def weights(config: Qwen2Config, device: str, dtype: torch.dtype) -> dict[str, Lazy]:
    """Return a lazy weight for every name in a file of this model: normal initialization, norms 1, biases 0."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in Qwen2ForCausalLM(config).state_dict().items()}
    if config.tie_word_embeddings:
        del shapes["lm_head.weight"]
    return {
        name: Lazy(partial(_random, number, name, shape, config, device, dtype))
        for number, (name, shape) in enumerate(shapes.items())
    }


def _random(number: int, name: str, shape: torch.Size, config: Qwen2Config, device: str, dtype: torch.dtype) -> Tensor:
    if len(shape) == 1:
        return torch.full(shape, 0.0 if name.endswith("bias") else 1.0, device=device, dtype=dtype)
    generator = torch.Generator(device).manual_seed(number)
    weight = torch.empty(shape, device=device, dtype=dtype)
    return weight.normal_(std=config.initializer_range, generator=generator)


def module_of(name: str, device: str) -> Qwen2ForCausalLM:
    """Return a model of a shape in NF4, loaded weight by weight and prepared like a model from files."""
    config, options = config_of(name), from_pretrained_options("nf4", device)
    module = Qwen2ForCausalLM.from_pretrained(
        None, config=config, state_dict=weights(config, device, options["dtype"]), **options
    )
    return prepare_module(module, device)


def tokenizer_of(vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer whose words are token ids, without an end token, so that a text can have any length."""
    words = Tokenizer(WordLevel({str(number): number for number in range(vocabulary)}, unk_token="0"))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words)


@dataclass
class Shaped:
    """Model of a shape with its tokenizer and the limits of the hardware."""

    name: str
    device: str
    module: Any
    tokenizer: Any
    limits: dict[str, float]
    rng: random.Random = field(default_factory=lambda: random.Random("shape"))

    def ids(self, about: int, vary: bool = True) -> list[int]:
        """Return random token ids: `about` many, by default up to a quarter more or fewer."""
        count = self.rng.randint(about * 3 // 4, about * 5 // 4) if vary else about
        return [self.rng.randrange(self.module.config.vocab_size) for _ in range(count)]

    def prompts(self, count: int, shared: int, own: int) -> list[str]:
        """Return prompts with a shared prefix of `shared` tokens and about `own` more tokens each."""
        prefix = self.ids(shared, vary=False)
        return [" ".join(map(str, [*prefix, *self.ids(own)])) for _ in range(count)]

    def finish(self) -> None:
        """Wait until a GPU has finished."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def engine(self, rows: int, tokens: int) -> Engine:
        """Return an engine with limits of rows and tokens per batch."""
        return Engine(self.module, self.tokenizer, InputGuard({}), self.device, rows, tokens)
