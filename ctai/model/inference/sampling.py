"""Next-token sampling, stop strings and shared prefixes.

Owns the parts of generation that need no model. Each item has a separate stream of uniform random numbers, so that its
text does not depend on the rest of the batch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctai.prompts import until_stop
from ctai.records import Sampling

MIN_SHARED_PREFIX = 16
_FIRST_NUCLEUS = 256


def shared_prefix_length(rows: Sequence[Sequence[int]]) -> int:
    """Count the leading tokens that all rows share, leaving at least one token of each row.

    Returns:
        0 for fewer than two rows or fewer than 16 shared tokens, which are not worth a separate call.
    """
    if len(rows) < 2:
        return 0
    low, high = min(map(list, rows)), max(map(list, rows))
    limit = min(map(len, rows)) - 1
    shared = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    shared = min(shared, limit)
    return shared if shared >= MIN_SHARED_PREFIX else 0


def nucleus_floor(probabilities: Tensor, top_p: float) -> Tensor:
    """Return the smallest probability in the nucleus of each row, [n, 1].

    The nucleus is the smallest set of most likely tokens whose mass reaches `top_p` (Holtzman et al. 2020). Rows whose
    most likely token suffices need no sorting.

    Args:
        probabilities: next-token probabilities, [n, vocabulary].
        top_p: nucleus sampling probability mass.
    """
    floor = probabilities.amax(-1, keepdim=True)
    several = (floor[:, 0].double() < top_p).nonzero()[:, 0]
    if len(several):
        floor[several] = _floor_of_several(probabilities[several], top_p)
    return floor


def _floor_of_several(probabilities: Tensor, top_p: float) -> Tensor:
    """Search the few hundred most likely tokens first: sorting a whole vocabulary is slow."""
    size, k = probabilities.shape[-1], _FIRST_NUCLEUS
    while True:
        top = probabilities.topk(min(k, size)).values
        mass = top.double().cumsum(-1)
        if k >= size or bool((mass[:, -1] >= top_p).all()):
            count = ((mass - top) < top_p).sum(-1, keepdim=True)
            return top.gather(-1, count.clamp(min=1) - 1)
        k *= 8


class Sampler:
    """Sampler of the next token of every row of a batch.

    Args:
        sampling: temperature, top-p and repetition penalty, applied in the order of transformers: penalty,
            temperature, top-p. The penalty (Keskar et al. 2019) covers prompt and generated tokens.
        prompts: token ids of each row.
        seeds: one seed per row.
        vocabulary: number of logits.
        device: device of the logits.
    """

    def __init__(
        self, sampling: Sampling, prompts: Sequence[Sequence[int]], seeds: Sequence[int], vocabulary: int, device: str
    ) -> None:
        self._sampling = sampling
        self._steps = torch.zeros(len(prompts), 1, dtype=torch.long, device=device)
        self._max_steps = 0  # maximum of `_steps`, known without a device synchronization
        self._uniform: Tensor | None = None
        self._seen: Tensor | None = None
        if sampling.temperature > 0:
            draws = [np.random.Generator(np.random.PCG64(seed)).random(sampling.max_new_tokens) for seed in seeds]
            self._uniform = torch.from_numpy(np.stack(draws)).to(device)
        if sampling.repetition_penalty != 1:
            self._seen = torch.zeros(len(prompts), vocabulary, dtype=torch.bool)
            for row, ids in enumerate(prompts):
                self._seen[row, torch.tensor(ids)] = True
            self._seen = self._seen.to(device)

    def choose(self, logits: Tensor) -> Tensor:
        """Choose the next token of each row.

        Args:
            logits: logits of the next token, [n, vocabulary].

        Returns:
            Token ids, [n].
        """
        logits = self._penalized(logits.float())
        uniform = self._uniform
        tokens = logits.argmax(-1) if uniform is None else self._draw(logits, uniform.gather(1, self._steps))
        if self._seen is not None:
            self._seen.scatter_(1, tokens[:, None], True)
        self._steps = self._steps + 1
        self._max_steps += 1
        return tokens

    @property
    def is_exhausted(self) -> bool:
        """True when a row has used its whole token budget."""
        return self._max_steps >= self._sampling.max_new_tokens

    def select(self, rows: Tensor) -> None:
        """Keep the given rows (indices) only."""
        self._steps = self._steps[rows]
        self._max_steps = int(self._steps.max())
        self._uniform = None if self._uniform is None else self._uniform[rows]
        self._seen = None if self._seen is None else self._seen[rows]

    def concat(self, other: "Sampler") -> None:
        """Append the rows of another sampler with the same settings."""
        self._steps = torch.cat([self._steps, other._steps])
        self._max_steps = max(self._max_steps, other._max_steps)
        if self._uniform is not None and other._uniform is not None:
            self._uniform = torch.cat([self._uniform, other._uniform])
        if self._seen is not None and other._seen is not None:
            self._seen = torch.cat([self._seen, other._seen])

    def _penalized(self, logits: Tensor) -> Tensor:
        if self._seen is None:
            return logits
        penalty = self._sampling.repetition_penalty
        return torch.where(self._seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)

    def _draw(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """Sample by the inverse CDF with one uniform number per row, [n, 1].

        The CDF is in vocabulary order, so that noise in the last bits cannot reorder the tokens.
        """
        probabilities = (logits / self._sampling.temperature).softmax(-1)
        if self._sampling.top_p < 1:
            floor = nucleus_floor(probabilities, self._sampling.top_p)
            probabilities = torch.where(probabilities >= floor, probabilities, 0.0)
        cumulative = probabilities.double().cumsum(-1)
        target = uniform * cumulative[:, -1:]
        return torch.searchsorted(cumulative, target, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)


class StopMatcher:
    """Matcher of stop strings on the decoded text of a row.

    A stop string may span several tokens and may begin or end inside one. The tail of a row is decoded only after a token
    that can end a stop string, so that most steps cost a dictionary access.

    Args:
        tokenizer: tokenizer of the model.
        stops: stop strings, without empty ones.
    """

    def __init__(self, tokenizer: Any, stops: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stops = tuple(stops)
        self._tail = max((len(stop.encode()) for stop in stops), default=0) + 4
        # Bytes of one character may be spread over tokens, and a token decoded alone may lose its leading space:
        # such stop strings are searched after every token.
        self._always = any(not stop.isascii() or stop.endswith(" ") for stop in stops)
        self._may_end: dict[int, bool] = {}

    def decode(self, ids: Sequence[int]) -> str:
        """Decode generated ids without special tokens."""
        text = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    def matches(self, ids: Sequence[int]) -> bool:
        """Return whether the last token of `ids` completes a stop string."""
        if not self._stops or not self._can_end(ids[-1]):
            return False
        tail = self.decode(ids[-self._tail :])
        return any(stop in tail for stop in self._stops) and self.truncate(self.decode(ids)) is not None

    def truncate(self, raw: str) -> str | None:
        """Return `raw` up to the first stop string, or None when it holds none."""
        return until_stop(raw, self._stops)

    def _can_end(self, token: int) -> bool:
        if self._always:
            return True
        if token not in self._may_end:
            piece = self.decode([token])
            self._may_end[token] = any(_may_complete(piece, stop) for stop in self._stops)
        return self._may_end[token]


def _may_complete(piece: str, stop: str) -> bool:
    """Return whether a text followed by `piece` can end its first occurrence of `stop` inside `piece`."""
    return stop in piece or any(piece.startswith(stop[-k:]) for k in range(1, len(stop)))
