"""Memory estimates from the headers of weight files, and free memory."""

from pathlib import Path

import pytest

from ctai.config import RunConfig
from ctai.model import sources
from ctai.model.loader import CleanModelLoader
from ctai.pipeline.preflight.memory import (
    NF4_BYTES,
    TensorShape,
    _free_in_container,
    estimate_memory,
    free_memory,
    safetensors_shapes,
)
from tests.support.headers import large_model, write_header

pytestmark = pytest.mark.unit
GIB = 1 << 30


def pod(folder: Path, *settings: str) -> RunConfig:
    return RunConfig.load("pod", [f"model.name='{folder}'", *settings])


def test_the_need_of_a_32b_model_in_4_bit(tmp_path):
    config = pod(large_model(tmp_path / "large"))
    need = estimate_memory(config, sources.resolve_model(config.model.name))
    linear, others = 31.2e9, 2 * 152064 * 5120
    assert need.weights == pytest.approx(linear * NF4_BYTES + others * 2, rel=0.01)
    assert need.prompt == 2 * 64 * 8 * 128 * 2 * (1024 + 200)
    assert need.batch == 32_768 * need.prompt / (1024 + 200)  # 64 such prompts would be more than model.batch_tokens
    assert 2 * GIB < need.training < 12 * GIB
    assert 24 * GIB < need.full_batch < 44 * GIB  # runs on GPUs of 46 to 80 GB


def test_without_quantization_it_needs_16_bit_a_parameter(tmp_path):
    config = pod(large_model(tmp_path / "large"), "model.quantization='none'")
    assert estimate_memory(config, sources.resolve_model(config.model.name)).weights == pytest.approx(65.5e9, rel=0.01)


def test_shapes_from_headers_are_those_of_the_model():
    shapes = list(safetensors_shapes(sources.resolve_model("embedded")))
    loaded = CleanModelLoader("embedded").load(sentinels=False)
    assert sum(shape.parameters for shape in shapes) == loaded.provenance.parameters
    assert not TensorShape("model.embed_tokens.weight", (4, 4)).is_linear


def test_the_bytes_of_4_bit_are_those_that_bitsandbytes_takes():
    module = CleanModelLoader("embedded", quantization="nf4").load(sentinels=False).module
    taken = count = 0
    for layer in module.modules():
        if state := getattr(getattr(layer, "weight", None), "quant_state", None):
            blocks = state.absmax.numel()
            taken += layer.weight.numel() + blocks + 4 * (state.state2.absmax.numel() if state.nested else 0)
            taken += 0 if state.nested else 3 * blocks
            count += state.shape.numel()
    assert count > 0
    assert taken / count == pytest.approx(NF4_BYTES, rel=0.01)


def test_free_memory_of_this_machine_is_told(tmp_path):
    known = free_memory("cpu")
    assert known is None or 0 < known < 1 << 50
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert _free_in_container(tmp_path) == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert _free_in_container(tmp_path) is None
    assert _free_in_container(tmp_path / "none") is None


def damaged(path: Path) -> sources.ModelSource:
    return sources.ModelSource("m", "m", path.parent, None, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 100,
        b"\x02" + bytes(7) + b"[]",
        b"\x38" + bytes(7) + b'{"a":{"dtype":"BF16","shape":[4],"data_offsets":[0,99]}}',
    ],
)
def test_a_damaged_header_is_one_sentence(tmp_path, data):
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match=r"^model\.safetensors is no safetensors file$"):
        list(safetensors_shapes(damaged(tmp_path / "model.safetensors")))


def test_only_the_header_of_a_file_is_read(tmp_path):
    write_header(tmp_path / "model.safetensors", {"a": [1 << 16, 1 << 16], "b": [7]})
    assert sorted(safetensors_shapes(damaged(tmp_path / "model.safetensors"))) == [
        ("a", (1 << 16, 1 << 16)),
        ("b", (7,)),
    ]
