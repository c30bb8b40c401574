"""From pairs to training batches: which tokens carry loss, in which order.

Owns the token layout of supervised fine-tuning. It knows no optimizer and no adapter (`ctai.train.sft`).
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from ctai.errors import CtaiError
from ctai.prompts import DELIMITER, CompletionStylePrompts, Pair
from ctai.provenance import derive_seed

IGNORED = -100


class Tokenizer(Protocol):
    """What is needed of a tokenizer here."""

    eos_token_id: int | None

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """Token ids of a text under `input_ids`."""
        ...


@dataclass(frozen=True)
class TokenizedPair:
    """A pair in tokens: `prompt` carries no loss, `completion` does and ends with the end-of-text token."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


@dataclass(frozen=True)
class EncodedPairs:
    """All usable pairs, and how many were left out because they are longer than the limit."""

    pairs: tuple[TokenizedPair, ...]
    too_long: int

    @property
    def supervised_tokens(self) -> int:
        """Tokens with loss in one pass over the data."""
        return sum(len(pair.completion) for pair in self.pairs)


@dataclass(frozen=True)
class TrainingBatch:
    """One forward pass: int64 tensors of shape [rows, longest row], padded on the right."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor


def end_of_text_id(tokenizer: Tokenizer, control_token_ids: Sequence[int]) -> int:
    """The token that ends a response: the tokenizer's own end token, unless it belongs to a chat template.

    A chat's turn end (`<|im_end|>`) is as good as untrained in a base model, and LoRA does not touch the
    output embedding, so that a model taught to stop with it never stops.

    Raises:
        CtaiError: the end token is missing, or belongs to a chat template.
    """
    token = tokenizer.eos_token_id
    if token is None or token in control_token_ids:
        fault = "is missing" if token is None else f"({token}) belongs to a chat template"
        raise CtaiError(
            f"the tokenizer's end token {fault}, so nothing can teach this model to stop; use the base's own "
            "tokenizer, which ends texts with an end-of-text token"
        )
    return token


def encode_pairs(
    tokenizer: Tokenizer, pairs: Sequence[Pair], end_id: int, max_tokens: int, prefix_ids: Sequence[int] = ()
) -> EncodedPairs:
    """Tokenize prompt and completion apart, each without special tokens.

    At inference the prompt is tokenized alone and the model appends tokens to exactly these ids. Tokenizing
    the joined text could merge characters across the border, and then neither the ids nor the mask would be
    those of inference.

    Args:
        tokenizer: the base's tokenizer.
        pairs: instruction and response.
        end_id: the token that ends every completion, with loss.
        max_tokens: longer examples are left out whole and counted; none is cut, for a cut answer teaches to
            stop early.
        prefix_ids: what the engine puts before every prompt: an allowed BOS token, or nothing.

    Raises:
        CtaiError: when a response holds the delimiter, or when no token is left to learn from.
    """
    encoded = []
    for number, pair in enumerate(pairs, start=1):
        if DELIMITER in pair.response or DELIMITER in pair.instruction:
            raise CtaiError(f"training example {number} holds the delimiter {DELIMITER}: clean the dataset first")
        prompt = (*prefix_ids, *_ids(tokenizer, CompletionStylePrompts.zero_shot(pair.instruction)))
        completion = _ids(tokenizer, CompletionStylePrompts.completion(pair.response))
        encoded.append(TokenizedPair(prompt, (*completion, end_id)))
    usable = tuple(pair for pair in encoded if len(pair) <= max_tokens)
    result = EncodedPairs(usable, len(encoded) - len(usable))
    if not result.supervised_tokens:
        raise CtaiError(
            f"no token to learn from: {len(encoded)} examples, of which {result.too_long} are longer than "
            f"training.max_tokens = {max_tokens}"
        )
    return result


def steps_for(examples: int, epochs: float, batch_size: int) -> int:
    """Optimizer steps of `epochs` passes over `examples`, at least one."""
    return max(1, -(-round(examples * epochs) // batch_size))


def data_order(count: int, batch_size: int, steps: int, seed: int) -> list[list[int]]:
    """Which of `count` examples each optimizer step sees.

    The passes over the data follow one another without a gap, each shuffled by its own derived seed, and
    every step takes the next `batch_size` examples: no step is smaller, and step s is the same however often
    a run was resumed.
    """
    stream: list[int] = []
    epoch = 0
    while len(stream) < steps * batch_size:
        order = list(range(count))
        random.Random(derive_seed(seed, "training", "order", epoch)).shuffle(order)
        stream += order
        epoch += 1
    return [stream[step * batch_size : (step + 1) * batch_size] for step in range(steps)]


def micro_batches(pairs: Sequence[TokenizedPair], device_batch_size: int, padding_id: int) -> Iterator[TrainingBatch]:
    """Cut one step's examples into forward passes, neighbours in length together: little is padding."""
    ordered = sorted(pairs, key=len)
    for start in range(0, len(ordered), device_batch_size):
        yield collate(ordered[start : start + device_batch_size], padding_id)


def collate(pairs: Sequence[TokenizedPair], padding_id: int) -> TrainingBatch:
    """Pad to one length, on the right.

    Labels are written from the known lengths, never found by comparing ids with the padding token: that token
    may be the end-of-text token itself, which must keep its loss.
    """
    width = max(len(pair) for pair in pairs)
    input_ids = torch.full((len(pairs), width), padding_id, dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    labels = torch.full_like(input_ids, IGNORED)
    for row, pair in enumerate(pairs):
        start, end = len(pair.prompt), len(pair)
        input_ids[row, :end] = torch.tensor([*pair.prompt, *pair.completion])
        attention_mask[row, :end] = 1
        labels[row, start:end] = torch.tensor(pair.completion)
    return TrainingBatch(input_ids, attention_mask, labels)


def _ids(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
