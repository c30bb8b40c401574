"""Benchmark of the critic against log-likelihood requests of lm-evaluation-harness and plain forward passes."""

from typing import Any

import numpy as np
import torch

from benchmarks.common import Arm, Output, Row, Subject, compare
from benchmarks.hardware import share_of_limit
from benchmarks.workload import pairs
from ctai.generate.critic import InstructionCritic
from ctai.model.inference.sampling import shared_prefix_length

_HARNESS_BATCH = 16
_PART = 8


def run(subject: Subject, items: int, turns: int, **_sizes: object) -> list[Row]:
    """Return one row per arm, in judged pairs per second."""
    engine = subject.model.engine
    critic = InstructionCritic(engine)
    prompts = [critic.pair_prompt(*pair) for pair in pairs(items)]
    labels = [engine.encode(label)[0] for label in (" A", " B")]
    harness: list[Any] = []

    def ours() -> Output:
        return Output(items, engine.token_logprobs(prompts, labels))

    def plain() -> Output:
        chosen = prompts[::_PART]
        with torch.inference_mode():
            logits = [
                subject.model.module(torch.tensor([engine.encode(text)], device=subject.model.module.device)).logits
                for text in chosen
            ]
        values = torch.stack([row[0, -1] for row in logits]).double().log_softmax(-1)[:, labels]
        return Output(len(chosen), (_PART, values.cpu().numpy()), items / len(chosen))

    def prepare() -> None:
        from lm_eval.models.huggingface import HFLM

        module, tokenizer = subject.model.module, subject.model.tokenizer
        harness.append(HFLM(pretrained=module, tokenizer=tokenizer, batch_size=_HARNESS_BATCH))

    def requests() -> Output:
        from lm_eval.api.instance import Instance

        instances = [
            Instance("loglikelihood", {}, (text, label), index)
            for index, text in enumerate(prompts)
            for label in (" A", " B")
        ]
        results = harness[0].loglikelihood(instances, disable_tqdm=True)
        return Output(items, (1, np.array([value for value, _ in results]).reshape(items, 2)))

    arms = [
        Arm(f"lm-evaluation-harness, batches of {_HARNESS_BATCH}", requests, _agreement, prepare),
        Arm("plain forward passes, one by one", plain, _agreement),
    ]
    rows = compare("critic", subject, "items/s", ours, arms, turns)
    if rows[0].rate:
        ids = [engine.encode(text) for text in prompts]
        rubric = shared_prefix_length(ids)
        pair_tokens = sum(map(len, ids)) - rubric * items
        rows[0].note = (
            f"{items} pairs of {pair_tokens / items:.0f} tokens after a rubric of {rubric}; "
            + share_of_limit(subject, rubric + pair_tokens, items / rows[0].rate)
        )
    return rows


def _agreement(ours: Any, theirs: Any) -> str:
    step, values = theirs
    expected = ours[::step]
    labels = int(((expected[:, 0] > expected[:, 1]) == (values[:, 0] > values[:, 1])).sum())
    return (
        f"{labels} of {len(expected)} labels the same, log-probabilities within {np.abs(expected - values).max():.0e}"
    )
