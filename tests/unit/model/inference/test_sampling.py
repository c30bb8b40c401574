"""Sampling: nucleus, repetition penalty, stop strings and shared prefixes, without a model."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctai.model.inference.sampling import Sampler, StopMatcher, nucleus_floor, shared_prefix_length
from ctai.records import Sampling

pytestmark = pytest.mark.unit


@given(text=st.text("ab:\n#Qé ", max_size=20), stop=st.text("ab:\n#Qé ", min_size=1, max_size=4))
def test_stop_matcher_agrees_with_a_plain_search(stop: str, text: str) -> None:
    matcher = StopMatcher(_characters(), (stop,))
    ids = [ord(char) for char in text]
    end = next((end for end in range(1, len(ids) + 1) if matcher.matches(ids[:end])), None)
    start = text.find(stop)
    assert end == (None if start < 0 else start + len(stop))


def _characters() -> Any:
    """Return a tokenizer in which every character is a token."""

    class Characters:
        def decode(self, ids: list[int], **_options: object) -> str:
            return "".join(map(chr, ids))

    return Characters()


@given(
    probabilities=st.lists(st.floats(0.001, 1), min_size=1, max_size=40),
    top_p=st.floats(0.01, 1),
)
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(probabilities: list[float], top_p: float) -> None:
    p = torch.tensor([probabilities], dtype=torch.float64)
    p = p / p.sum()
    nucleus = p[p >= nucleus_floor(p, top_p)]
    assert float(nucleus.sum()) >= min(top_p, float(p.sum())) - 1e-9
    distinct = len(set(p[0].tolist())) == p.shape[1]
    if distinct and len(nucleus) > 1:
        assert float(nucleus.sum() - nucleus.min()) < top_p + 1e-9


def test_sampled_tokens_follow_the_distribution() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    sampler = Sampler(Sampling(temperature=1, top_p=0.9, max_new_tokens=1), [[0]] * 4000, range(4000), 4, "cpu")
    counts = np.bincount(sampler.choose(logits.expand(4000, 4)).numpy(), minlength=4) / 4000
    assert counts == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0], abs=0.03)


def test_the_repetition_penalty_is_that_of_transformers() -> None:
    from transformers import RepetitionPenaltyLogitsProcessor

    logits = torch.randn(2, 20, generator=torch.Generator().manual_seed(0))
    prompts = [[1, 2, 3], [4, 4, 5]]
    sampler = Sampler(Sampling(repetition_penalty=3.0, max_new_tokens=4), prompts, [0, 0], 20, "cpu")
    ids = torch.tensor(prompts)
    for _ in range(4):
        expected = RepetitionPenaltyLogitsProcessor(3.0)(ids, logits.clone()).argmax(-1)
        chosen = sampler.choose(logits)
        assert chosen.tolist() == expected.tolist()
        ids = torch.cat([ids, chosen[:, None]], dim=1)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=30), min_size=1, max_size=5), st.integers(0, 40))
def test_the_shared_prefix_is_shared_and_leaves_each_row_a_token(rows: list[list[int]], common: int) -> None:
    rows = [[0] * common + row for row in rows]
    length = shared_prefix_length(rows)
    assert length == 0 or length >= 16
    assert len({tuple(row[:length]) for row in rows}) == 1
    assert all(len(row) > length for row in rows)
    if len(rows) > 1 and common >= 16:
        assert length >= common
