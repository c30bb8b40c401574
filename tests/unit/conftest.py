"""Fixtures of the unit tests: a tiny random model with a small tokenizer, and an adapter for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ctai.model.loader import CleanModel, CleanModelLoader
from tests.unit import tiny


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny tensors are slower on many threads, and the bits of a sum depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two small layers with random weights, context 256, and a byte-level BPE tokenizer with a chat template."""
    return tiny.write_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def tiny_model(tiny_model_folder: Path) -> CleanModel:
    """The tiny model, loaded without sentinels: random weights complete nothing."""
    return CleanModelLoader(str(tiny_model_folder), batch_size=8).load(sentinels=False)


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter with random weights that changes the tiny model's logits."""
    return tiny.write_adapter(tiny_model_folder, tmp_path_factory.mktemp("tiny") / "adapter")
