"""KV cache: preallocated buffers hold the same values as plain tensors after every operation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import pad

from ctai.model.inference.kv_cache import PreallocatedLayer

pytestmark = pytest.mark.unit

HEADS, WIDTH = 2, 3


def columns(rows: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    keys, values = torch.randn(2, rows, HEADS, count, WIDTH, generator=torch.Generator().manual_seed(seed))
    return keys, values


def layer_of(rows: int, count: int, seed: int) -> PreallocatedLayer:
    layer = PreallocatedLayer()
    layer.update(*columns(rows, count, seed))
    return layer


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**16))
def test_updates_append_columns(counts: list[int], seed: int) -> None:
    layer, updates = PreallocatedLayer(), [columns(3, count, seed + i) for i, count in enumerate(counts)]
    for keys, values in updates:
        result = layer.update(keys, values)
    assert torch.equal(result[0], torch.cat([keys for keys, _ in updates], dim=2))
    assert torch.equal(result[1], torch.cat([values for _, values in updates], dim=2))


@given(st.data(), st.integers(2, 60), st.integers(0, 2**16))
def test_selected_rows_can_be_updated(data: st.DataObject, count: int, seed: int) -> None:
    rows = torch.tensor(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True).map(sorted)))
    first = data.draw(st.integers(0, count - 1))
    layer, (keys, values) = layer_of(5, count, seed), columns(5, count, seed)
    layer.select(rows, first)
    more = columns(len(rows), 1, seed + 1)
    result = layer.update(*more)
    assert torch.equal(result[0], torch.cat([keys[rows, :, first:], more[0]], dim=2))
    assert torch.equal(result[1], torch.cat([values[rows, :, first:], more[1]], dim=2))


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 40)), min_size=1, max_size=4),
    st.integers(0, 2),
    st.integers(0, 2**16),
)
def test_concatenated_rows_are_aligned_at_the_right(parts: list[tuple[int, int]], more: int, seed: int) -> None:
    layers = [layer_of(rows, count, seed + i) for i, (rows, count) in enumerate(parts)]
    expected = [columns(rows, count, seed + i) for i, (rows, count) in enumerate(parts)]
    longest = max(count for _, count in parts) + more
    layers[0].concat(layers, longest)
    for result, which in ((layers[0].keys, 0), (layers[0].values, 1)):
        padded = [pad(pair[which], (0, 0, longest - pair[which].shape[2], 0)) for pair in expected]
        assert torch.equal(result, torch.cat(padded))


def test_concatenation_frees_the_memory_of_the_parts() -> None:
    first, second = layer_of(2, 5, 0), layer_of(2, 7, 1)
    first.concat([first, second], 7)
    assert second.get_seq_length() == 0
    assert second.keys.untyped_storage().nbytes() == second.values.untyped_storage().nbytes() == 0
    assert first.keys.shape == (4, HEADS, 7, WIDTH)


def test_copies_of_an_expanded_row_change_independently() -> None:
    layer, (keys, _) = layer_of(1, 4, 0), columns(1, 4, 0)
    layer.expand(3)
    more = columns(3, 1, 1)
    result, _ = layer.update(*more)
    assert torch.equal(result, torch.cat([keys.expand(3, -1, -1, -1), more[0]], dim=2))
