"""Batching check: models without support for padded batches are refused with one message, all others pass."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ctai.errors import CtaiError
from ctai.model.checks.batching import check_batching
from ctai.model.loader import CleanModelLoader
from tests.support import tiny

pytestmark = pytest.mark.unit

STATE = {"hidden_size": 32, "num_hidden_layers": 2}
SIZES = {**STATE, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2, "initializer_range": 0.3}
SETTINGS: dict[str, dict[str, Any]] = {
    "mamba": {**STATE, "state_size": 8},
    "mamba2": {**STATE, "state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8},
    "rwkv": {**STATE, "attention_hidden_size": 32},
    "openai-gpt": {"n_embd": 32, "n_layer": 2, "n_head": 2},
    "recurrent_gemma": {**SIZES, "num_hidden_layers": 3, "lru_width": 32, "head_dim": 16, "w_init_variance_scale": 1.0},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.3},
    "mistral": {**SIZES, "sliding_window": 4},
    "mixtral": {**SIZES, "num_local_experts": 4},
    "lfm2": {**SIZES, "layer_types": ["conv", "full_attention"]},
    "jamba": {**SIZES, "mamba_d_state": 8, "num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1},
}


def random_model(architecture: str, vocabulary: int) -> Any:
    torch.manual_seed(0)
    settings = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 0, **SETTINGS[architecture]}
    config = AutoConfig.for_model(architecture, vocab_size=vocabulary, **settings)
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("mamba", "ValueError: `get_seq_length` can only be called on Attention layers"),
        ("mamba2", "ValueError: `get_seq_length` can only be called on Attention layers"),
        ("openai-gpt", "RuntimeError: Expected size"),
        ("rwkv", "it takes the padding of a batch for text"),
        ("recurrent_gemma", "it takes the padding of a batch for text"),
    ],
)
def test_models_that_do_not_support_batches_are_refused_when_loaded(
    tmp_path: Path, architecture: str, reason: str
) -> None:
    tokenizer = tiny.make_tokenizer()
    model = random_model(architecture, len(tokenizer))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(CtaiError) as caught:
        CleanModelLoader(str(tmp_path / "model")).load(sentinels=False)
    message = str(caught.value)
    head = f"{tmp_path / 'model'} ({type(model).__name__}) cannot be run in batches that are continued from a cache: {reason}"
    assert message.startswith(head)
    assert message.endswith("; choose a base model of another architecture, such as Llama, Qwen, Mistral or GPT-2")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("architecture", ["gpt2", "mistral", "mixtral", "lfm2", "jamba"])
def test_attention_with_windows_experts_or_recurrent_layers_passes(architecture: str, dtype: torch.dtype) -> None:
    check_batching(random_model(architecture, 100).to(dtype), (), "cpu", "model")


def test_a_fault_of_the_device_is_not_blamed_on_the_architecture() -> None:
    model = random_model("gpt2", 300)

    def fail(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    model.register_forward_pre_hook(fail)
    with pytest.raises(torch.AcceleratorError):
        check_batching(model, (), "cpu", "a model")
