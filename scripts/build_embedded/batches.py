"""Training rows: documents packed into rows of fixed length, with a loss weight for every token.

Owns packing and the corpus digest. Every row starts at the start of a document, as a prompt does; the last document
of a row is truncated. Rows come in shards that depend only on the seed and the shard number, so training can resume.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from scripts.build_embedded import corpus
from scripts.build_embedded.pages import Document

ROWS_PER_SHARD = 512
_DOCUMENTS_AT_ONCE = 256


class Shard(NamedTuple):
    """Token ids and loss weights, both of shape [rows, length + 1]."""

    tokens: np.ndarray
    weights: np.ndarray

    def batches(self, rows: int, skip: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield inputs, targets and the loss weights of the targets, each of shape [rows, length]."""
        for start in range(skip * rows, len(self.tokens), rows):
            tokens = torch.from_numpy(self.tokens[start : start + rows].astype(np.int64))
            weights = torch.from_numpy(self.weights[start : start + rows])
            yield tokens[:, :-1], tokens[:, 1:], weights[:, 1:]


def _encode(tokenizer: Tokenizer, pages: list[Document]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    texts = ["".join(segment.text for segment in page) for page in pages]
    for page, encoding in zip(pages, tokenizer.encode_batch(texts), strict=True):
        ends = np.fromiter(accumulate(len(segment.text) for segment in page), np.int64)
        starts = np.array([start for start, _ in encoding.offsets])
        weights = np.array([segment.weight for segment in page], np.float32)
        yield np.array(encoding.ids, np.int16), weights[np.searchsorted(ends, starts, "right")]


def make_shard(tokenizer: Tokenizer, seed: str, length: int) -> Shard:
    """Generate and pack the documents of one seed."""
    source = corpus.documents(seed)
    tokens = np.zeros((ROWS_PER_SHARD, length + 1), np.int16)
    weights = np.zeros((ROWS_PER_SHARD, length + 1), np.float32)
    row, filled = 0, 0
    while True:
        for ids, page_weights in _encode(tokenizer, [next(source) for _ in range(_DOCUMENTS_AT_ONCE)]):
            size = min(len(ids), length + 1 - filled)
            tokens[row, filled : filled + size] = ids[:size]
            weights[row, filled : filled + size] = page_weights[:size]
            filled += size
            if filled > length:
                row, filled = row + 1, 0
                if row == ROWS_PER_SHARD:
                    return Shard(tokens, weights)


class Stream:
    """Batches of a whole training run, prefetched by one shard, and the digest of the corpus read so far."""

    def __init__(self, tokenizer: Tokenizer, seed: int, length: int, rows: int, first_step: int = 0) -> None:
        self._make = lambda number: make_shard(tokenizer, f"corpus/{seed}/{number}", length)
        self._rows, self._per_shard = rows, ROWS_PER_SHARD // rows
        self._first = first_step
        self.digest = ""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        number, skip = divmod(self._first, self._per_shard)
        with ThreadPoolExecutor(1) as pool:
            next_shard = pool.submit(self._make, number)
            while True:
                shard = next_shard.result()
                number += 1
                next_shard = pool.submit(self._make, number)
                self.digest = sha256(self.digest.encode() + shard.tokens.tobytes()).hexdigest()
                yield from shard.batches(self._rows, skip)
                skip = 0
