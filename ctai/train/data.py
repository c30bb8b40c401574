"""Training data: tokenization, loss mask, order and batches of instruction-response pairs.

Owns the token layout of supervised fine-tuning. Does not own the optimization (`ctai.train.loop`).
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
    """A tokenizer, as training data needs it."""

    eos_token_id: int | None

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """Return the token ids of a text under `input_ids`."""
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
    """Usable pairs, and the number of pairs left out because they exceed the token limit."""

    pairs: tuple[TokenizedPair, ...]
    too_long: int

    @property
    def supervised_tokens(self) -> int:
        """Number of tokens with loss in one pass over the data."""
        return sum(len(pair.completion) for pair in self.pairs)


@dataclass(frozen=True)
class TrainingBatch:
    """Inputs of one forward pass: int64 tensors [rows, longest row], padded on the right."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor

    def to(self, device: torch.device) -> "TrainingBatch":
        """Return the batch on a device."""
        return TrainingBatch(*(tensor.to(device) for tensor in (self.input_ids, self.attention_mask, self.labels)))


def end_of_text_id(tokenizer: Tokenizer, control_token_ids: Sequence[int]) -> int:
    """Return the token that ends a response: the end token of the tokenizer, unless it belongs to a chat template.

    The end-of-turn token of a chat (`<|im_end|>`) is practically untrained in a base model, and LoRA does not change the
    output embedding, so a model trained to stop with it never stops.

    Raises:
        CtaiError: the end token is missing, or belongs to a chat template.
    """
    token = tokenizer.eos_token_id
    if token is None or token in control_token_ids:
        fault = "is missing" if token is None else f"({token}) belongs to a chat template"
        raise CtaiError(
            f"the tokenizer's end token {fault}, so the model cannot learn to stop. Use the base model's original "
            "tokenizer, which has an end-of-text token"
        )
    return token


def encode_pairs(
    tokenizer: Tokenizer, pairs: Sequence[Pair], end_id: int, max_tokens: int, prefix_ids: Sequence[int] = ()
) -> EncodedPairs:
    """Tokenize prompt and completion separately, each without special tokens.

    At inference the prompt is tokenized alone and the model appends tokens to exactly these ids. Tokenizing the
    concatenated text could merge characters across the border, and neither ids nor mask would match inference.

    Args:
        tokenizer: of the base.
        pairs: instruction and response.
        end_id: the token that ends every completion, with loss.
        max_tokens: longer examples are left out and counted; none is cut, since a cut response teaches to stop early.
        prefix_ids: ids that the engine puts before every prompt: an allowed BOS token, or none.

    Raises:
        CtaiError: an instruction or response holds the delimiter, or no token carries loss.
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


def data_order(count: int, batch_size: int, steps: int, seed: int) -> list[list[int]]:
    """Return the indices of the examples of each optimizer step, [steps][batch_size].

    Passes over the data are concatenated, each shuffled with its own derived seed, and each step takes the next
    `batch_size` examples: no step is smaller, and a step does not depend on how often a run was resumed.
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
    """Split the examples of one step into forward passes, sorted by length to minimize padding."""
    ordered = sorted(pairs, key=len)
    for start in range(0, len(ordered), device_batch_size):
        yield collate(ordered[start : start + device_batch_size], padding_id)


def collate(pairs: Sequence[TokenizedPair], padding_id: int) -> TrainingBatch:
    """Pad pairs to one length on the right, and mask the loss of prompt and padding.

    Labels follow from the lengths of prompt and completion, not from comparing ids with the padding token: it may be the
    end-of-text token, which must keep its loss.
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
