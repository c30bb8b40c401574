"""Models of a published shape with random weights, made where they are used: nothing is downloaded.

Speed and memory depend on the shape, not on what a model knows. Owns the figures of the shapes, their weights, a tokenizer
whose words are numbers, and texts of it; what is measured is `benchmarks.shape_parts`'.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from ctai.model.control_tokens import InputGuard
from ctai.model.inference.engine import Engine
from ctai.model.loader import prepare_module, from_pretrained_options

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
    """A weight that is made when it is read, by `[...]` as a tensor in a file is: so only one is whole at a time."""

    def __init__(self, make: Callable[[], Tensor]) -> None:
        self._make = make

    def __getitem__(self, _all: Any) -> Tensor:
        return self._make()


def config_of(name: str) -> Qwen2Config:
    """The configuration of a shape."""
    return Qwen2Config(**SHAPES[name], rope_parameters=dict(_ROPE))


def weights(config: Qwen2Config, device: str, dtype: torch.dtype) -> dict[str, Lazy]:
    """A weight for every name that a file of this model would hold: normal as before training, norms 1, biases 0."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in Qwen2ForCausalLM(config).state_dict().items()}
    if config.tie_word_embeddings:
        del shapes["lm_head.weight"]
    return {
        name: Lazy(lambda number=number, name=name, shape=shape: _random(number, name, shape, config, device, dtype))
        for number, (name, shape) in enumerate(shapes.items())
    }


def _random(number: int, name: str, shape: torch.Size, config: Qwen2Config, device: str, dtype: torch.dtype) -> Tensor:
    if len(shape) == 1:
        return torch.full(shape, 0.0 if name.endswith("bias") else 1.0, device=device, dtype=dtype)
    generator = torch.Generator(device).manual_seed(number)
    made = torch.empty(shape, device=device, dtype=dtype)
    return made.normal_(std=config.initializer_range, generator=generator)


def module_of(name: str, device: str) -> Qwen2ForCausalLM:
    """A model of a shape in NF4, read by the library and prepared by ctai as one from files is; one weight after the other."""
    config, options = config_of(name), from_pretrained_options("nf4", device)
    read = Qwen2ForCausalLM.from_pretrained(
        None, config=config, state_dict=weights(config, device, options["dtype"]), **options
    )
    return prepare_module(read, device)


def tokenizer_of(vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer without an end token whose words are the numbers of its tokens: any text length, and a word for any token."""
    words = Tokenizer(WordLevel({str(number): number for number in range(vocabulary)}, unk_token="0"))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words)


@dataclass
class Shaped:
    """A model, its tokenizer, and what the hardware can do."""

    name: str
    device: str
    module: Any
    tokenizer: Any
    limits: dict[str, float]
    rng: random.Random = field(default_factory=lambda: random.Random("shape"))

    def ids(self, about: int, vary: bool = True) -> list[int]:
        """Tokens at random; about so many, or exactly."""
        count = self.rng.randint(about * 3 // 4, about * 5 // 4) if vary else about
        return [self.rng.randrange(self.module.config.vocab_size) for _ in range(count)]

    def prompts(self, count: int, shared: int, own: int) -> list[str]:
        """Texts of mixed lengths that begin alike."""
        first = self.ids(shared, vary=False)
        return [" ".join(map(str, [*first, *self.ids(own)])) for _ in range(count)]

    def finish(self) -> None:
        """Wait for a GPU."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def engine(self, rows: int, tokens: int) -> Engine:
        """ctai's engine with room for so much."""
        return Engine(self.module, self.tokenizer, InputGuard({}), self.device, rows, tokens)
