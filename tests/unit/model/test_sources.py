"""Model files: resolution of names and paths, and digests of weights and adapters."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from ctai.errors import CtaiError
from ctai.model import sources
from ctai.model.clean_model import CleanModel
from ctai.model.loader import CleanModelLoader
from ctai.model.sources import adapter_digest

pytestmark = pytest.mark.unit


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "name", ["./nowhere", "no/such/folder", "weights.gguf", "/nowhere", "nobody/no-such-model", ""]
)
def test_a_model_that_is_nowhere_is_one_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CtaiError, match=r"(?s)^model '.{0,30}'.{20,400}$") as caught:
        CleanModelLoader(name or "./").load()
    assert "\n" not in str(caught.value)


def test_a_local_folder_is_preferred_over_the_hub(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sources.resolve_model("model").folder == Path("model")
    (tmp_path / "owner").mkdir()
    shutil.copytree(folder, tmp_path / "owner" / "name")
    source = sources.resolve_model("owner/name")
    assert (source.model_id, source.revision, source.weight_files) == ("name", None, ("model.safetensors",))


def test_a_gguf_file_and_its_folder_are_the_same_model(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    file = tmp_path / "m" / "base.gguf"
    file.write_bytes(b"GGUF")
    assert (
        sources.resolve_model(str(file)).weight_files
        == sources.resolve_model(str(tmp_path / "m")).weight_files
        == ("base.gguf",)
    )
    (tmp_path / "m" / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(CtaiError, match=r"2 \.gguf files; name one of them: base\.gguf, other\.gguf"):
        sources.resolve_model(str(tmp_path / "m"))


def test_files_that_hold_no_model_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(CtaiError, match=r"folder without config\.json"):
        sources.resolve_model(str(tmp_path))
    with pytest.raises(CtaiError, match=r"not a \.gguf file"):
        sources.resolve_model(str(folder / "config.json"))


def test_the_weights_digest_is_of_the_weights(folder: Path, tiny_model: CleanModel) -> None:
    same = sources.weights_digest(sources.resolve_model(str(folder)))
    assert same == tiny_model.provenance.weights_digest
    tensors = load_file(folder / "model.safetensors")
    next(iter(tensors.values()))[0, 0] += 1e-3
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert sources.weights_digest(sources.resolve_model(str(folder))) != same


def test_the_embedded_model_is_part_of_the_package() -> None:
    source = sources.resolve_model("embedded")
    assert source.model_id == "embedded"
    assert source.weight_files == ("model.safetensors",)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapters_digest_is_of_both_its_files(tmp_path: Path, tiny_adapter: Path, name: str) -> None:
    folder = shutil.copytree(tiny_adapter, tmp_path / "adapter")
    assert adapter_digest(folder) == adapter_digest(tiny_adapter)
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert adapter_digest(folder) != adapter_digest(tiny_adapter)
