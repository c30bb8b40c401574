"""Benchmark of generation against a loop over `model.generate`, one padded batch, and continuous batching.

All arms decode greedily, with the same prompts, stop strings and end tokens, so that they write the same texts.
"""

import copy
from typing import Any

import torch
from transformers import GenerationConfig

from benchmarks.common import Arm, Output, Row, Subject, compare
from benchmarks.hardware import share_of_limit
from benchmarks.workload import SAMPLING, prompts
from ctai.model.control_tokens import InputGuard
from ctai.model.inference.engine import Engine

_FEW_ROWS = 8
_SAMPLED = SAMPLING.model_copy(update={"temperature": 0.7, "top_p": 0.9})
# The loop over single prompts processes every fourth prompt; its time is scaled.
_PART = 4


def run(subject: Subject, items: int, turns: int, **_sizes: object) -> list[Row]:
    """Return one row per arm, in response tokens per second."""
    texts = prompts(subject, items)
    engine = subject.model.engine
    first = engine.generate(texts, SAMPLING)
    lengths = [len(completion.token_ids) for completion in first]
    peer = _Peer(subject, texts, lengths)

    def ours() -> Output:
        return Output(sum(lengths), [completion.token_ids for completion in engine.generate(texts, SAMPLING)])

    few = _few_rows(subject)

    def ours_in_few() -> Output:
        return Output(sum(lengths), {i: done.token_ids for i, done in enumerate(few.generate(texts, SAMPLING))})

    arms = [
        Arm(f"ctai, {_FEW_ROWS} rows at once", ours_in_few, _same),
        Arm("model.generate, one by one", peer.loop, _same),
        Arm("model.generate, one padded batch", peer.padded, _same),
        Arm("continuous batching of transformers", peer.continuous, _same),
    ]
    rows = compare("generation", subject, "response tokens/s", ours, arms, turns)
    read = sum(map(len, engine.encode_batch(texts)))
    if rows[0].rate:
        share = share_of_limit(subject, read + sum(lengths), sum(lengths) / rows[0].rate)
        rows[0].note = f"{items} prompts, {read} tokens read, {sum(lengths)} written; {share}"
    together, apart = engine.generate(texts, _SAMPLED), few.generate(texts, _SAMPLED)
    alike = sum(first == second for first, second in zip(together, apart, strict=True))
    rows[1].note += f"; {alike} of {items} the same when sampled at temperature {_SAMPLED.temperature}"
    return rows


def _few_rows(subject: Subject) -> Engine:
    """Return the engine with a small batch limit, to measure the floating-point effect of the batch size."""
    provenance = subject.model.provenance
    guard = InputGuard(dict(zip(provenance.control_token_ids, provenance.control_tokens, strict=True)))
    return Engine(subject.model.module, subject.model.tokenizer, guard, provenance.device, _FEW_ROWS)


def _same(ours: Any, theirs: Any) -> str:
    """Count texts with the same prefix: the peers continue for a few tokens after the end."""
    alike = sum(tuple(their[: len(ours[item])]) == ours[item] for item, their in theirs.items())
    return f"{alike} of {len(theirs)} texts the same"


class _Peer:
    def __init__(self, subject: Subject, texts: list[str], lengths: list[int]) -> None:
        self._module, self._tokenizer = subject.model.module, subject.model.tokenizer
        self._ids = [subject.model.engine.encode(text) for text in texts]
        self._lengths = lengths
        ends = {self._tokenizer.eos_token_id, *subject.model.provenance.control_token_ids}
        self._config = GenerationConfig(
            max_new_tokens=SAMPLING.max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(ends),
            pad_token_id=self._tokenizer.eos_token_id,
        )
        self._copy: Any = None

    def loop(self) -> Output:
        """Generate for one prompt after the other."""
        chosen = range(0, len(self._ids), _PART)
        return self._output({item: self._generate([self._ids[item]])[0] for item in chosen})

    def padded(self) -> Output:
        """Generate for all prompts as one batch, padded on the left."""
        return self._output(dict(enumerate(self._generate(self._ids))))

    def continuous(self) -> Output:
        """Generate with continuous batching; it has no stop strings, so each length is given in advance."""
        if self._copy is None:  # continuous batching changes the attention of the model
            self._copy = copy.deepcopy(self._module)
        manager = self._copy.init_continuous_batching(generation_config=self._config)
        manager.start()
        try:
            names = [
                manager.add_request(ids, max_new_tokens=length)
                for ids, length in zip(self._ids, self._lengths, strict=True)
            ]
            tokens: dict[str, list[int]] = {}
            while len(tokens) < len(names) and (result := manager.get_result(timeout=600)) is not None:
                if result.is_finished():
                    tokens[result.request_id] = result.generated_tokens
        finally:
            manager.stop(block=True)
        if len(tokens) < len(names):
            raise RuntimeError(f"{len(names) - len(tokens)} requests did not finish")
        return self._output({item: tokens[name] for item, name in enumerate(names)})

    def _generate(self, rows: list[list[int]]) -> list[list[int]]:
        longest = max(map(len, rows))
        ids = torch.tensor([[self._config.pad_token_id] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        written = self._module.generate(
            input_ids=ids.to(self._module.device),
            attention_mask=mask.to(self._module.device),
            generation_config=self._config,
            stop_strings=list(SAMPLING.stop),
            tokenizer=self._tokenizer,
        )
        return [row[longest:] for row in written.tolist()]

    def _output(self, tokens: dict[int, list[int]]) -> Output:
        """Return the output; its amount is the number of tokens that ctai wrote for the same prompts."""
        amount = sum(self._lengths[item] for item in tokens)
        return Output(amount, tokens, sum(self._lengths) / amount)
