"""Lazy base model: it frees its memory, loads again, and is the model that gate contamination passed."""

import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from ctai.config import ModelSettings
from ctai.errors import CtaiError
from ctai.model.clean_model import CleanModel
from ctai.model.hub import RemoteSize
from ctai.model.lazy import LazyBaseModel
from ctai.records import Sampling
from tests.support import tiny

pytestmark = pytest.mark.unit


def test_the_next_use_of_a_released_model_loads_it_again(tiny_model_folder: Path, tiny_model: CleanModel) -> None:
    base = LazyBaseModel(ModelSettings(name=str(tiny_model_folder), quantization="none"))
    base.mark_passed(tiny_model.provenance)
    base.release()  # nothing is loaded yet
    sampling = Sampling(max_new_tokens=4)
    first = base.engine.generate(["x"], sampling)
    model = weakref.ref(base.module)
    base.release()
    assert model() is None
    assert base.engine.generate(["x"], sampling) == first


def other_weights(folder: Path) -> None:
    """Replace the weights by those of another model."""
    tiny.write_model(folder, seed=1)


def other_tokenizer(folder: Path) -> None:
    """Remove the last merge of the tokenizer, so that texts become other tokens."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["merges"].pop()
    path.write_text(json.dumps(tokenizer))


@pytest.mark.parametrize("change", [other_weights, other_tokenizer])
def test_a_model_that_changed_after_its_gate_passed_is_not_used(
    tiny_model_folder: Path, tiny_model: CleanModel, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))
    base = LazyBaseModel(ModelSettings(name=str(folder), quantization="none"))
    base.mark_passed(tiny_model.provenance)
    change(folder)
    with pytest.raises(CtaiError, match=r"weights, tokenizer or precision of .* are not those that gate contamination"):
        _ = base.clean


def test_downloads_and_hashing_are_announced(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    messages: list[str] = []

    def download(name: str, revision: str | None) -> Path:
        messages.append("the download")
        return tiny_model_folder

    monkeypatch.setattr("ctai.model.hub.cached_snapshot", lambda name, revision: None)
    monkeypatch.setattr("ctai.model.hub.remote_size", lambda name, revision: RemoteSize(65_500_000_000, 20_000_000_000))
    monkeypatch.setattr("ctai.model.hub.download", download)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    base = LazyBaseModel(ModelSettings(name="some/model"), messages.append)
    assert base.files_digest
    assert base.weights_digest
    assert messages == [
        f"downloading some/model, about 20.0 GB, to {tmp_path}",
        "the download",
        "hashing some/model, about 65.5 GB",
    ]


def test_small_files_are_not_announced() -> None:
    messages: list[str] = []
    assert LazyBaseModel(ModelSettings(name="embedded"), messages.append).weights_digest
    assert messages == []
