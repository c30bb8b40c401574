"""A causal model that spells out a given text, and the prompts and settings of the inference tests."""

from collections.abc import Callable
from typing import Any

import torch

from ctai.model.clean_model import CleanModel
from ctai.records import Sampling

FRAME = "Instruction: Name two colors.\nResponse: red and blue\n###END###\n\n"


PROMPTS = [
    "The capital of France is",
    "x",
    FRAME + "Instruction: What is 2 + 2?\nResponse:",
    "Q: What is water made of?\nA: hydrogen and oxygen\n\nQ: Dogs",
    FRAME + "Instruction: cats\nResponse:",
    " leading space",
    "1. First.\n2.",
    "Label: A\nLabel:",
    "déjà vu",
]


GREEDY = Sampling(max_new_tokens=24)


SAMPLED = Sampling(temperature=0.9, top_p=0.9, repetition_penalty=1.1, max_new_tokens=24)


Writer = Callable[..., Any]


class SpellingModel(torch.nn.Module):
    """Causal model that writes a given text after any prompt, token by token, and then ends it."""

    def __init__(self, engine_model: CleanModel, ids: list[int]) -> None:
        super().__init__()
        self.config = engine_model.module.config
        self._ids = [*ids, engine_model.tokenizer.eos_token_id]
        self._written: int = -1

    def forward(self, input_ids: torch.Tensor, **_rest: object) -> Any:
        self._written += 1
        logits = torch.zeros(input_ids.shape[0], 1, self.config.vocab_size)
        logits[..., self._ids[min(self._written, len(self._ids) - 1)]] = 10.0
        return type("Output", (), {"logits": logits})()
