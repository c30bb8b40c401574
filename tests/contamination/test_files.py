"""Names and files: names of tuned weights, adapters beside the weights, pickles."""

import shutil
from pathlib import Path

import pytest

from ctai.errors import ContaminationError
from ctai.model.checks.contamination import name_findings
from ctai.model.loader import CleanModelLoader
from tests.support import tiny

pytestmark = pytest.mark.contamination


@pytest.mark.parametrize(
    "name",
    [
        "Qwen/Qwen2.5-32B-Instruct",
        "meta-llama/Llama-2-7b-chat-hf",
        "google/gemma-2-9b-it",
        "gemma-2-9b-it-GGUF",
        "x/zephyr-7b-sft-full",
        "Tulu-2-DPO-7b",
        "StarChat",
        "ChatGLM3-6b",
        "mpt-7b-instruct2",
        "openchat_3.5",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "/models/base/my-model-RLHF/",
    ],
)
def test_names_of_tuned_models_are_found(name: str) -> None:
    assert [finding.name for finding in name_findings(name, [])] == ["names"]


@pytest.mark.parametrize(
    "name",
    [
        "Qwen/Qwen2.5-32B",
        "meta-llama/Llama-3.1-8B",
        "mistralai/Mistral-7B-v0.1",
        "chat-labs/base-7b",
        "/data/instruct/chat/base",
        "hkunlp/instructor-xl",
        "make-it-small-base",
        "merlin-suite",
        "embedded",
    ],
)
def test_names_of_base_models_pass(name: str) -> None:
    assert name_findings(name, ["model-00001-of-00002.safetensors"]) == []


def test_the_name_of_a_weight_file_counts() -> None:
    [finding] = name_findings("base", ["model-chat.Q4_1.gguf"])
    assert "'model-chat.Q4_1.gguf' says 'chat'" in finding.message


def test_a_template_file_beside_base_weights_says_nothing_about_them(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("<|im_start|>{{ messages }}")
    assert CleanModelLoader(str(folder)).check(sentinels=False).findings == ()


def test_weights_that_are_called_instruct_are_stopped(folder: Path) -> None:
    renamed = folder.rename(folder.parent / "tiny-Instruct")
    with pytest.raises(ContaminationError, match="'tiny-Instruct' says 'instruct'"):
        CleanModelLoader(str(renamed)).load(sentinels=False)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_beside_the_weights_is_refused_before_loading(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"{}")
    result = CleanModelLoader(str(folder)).check()
    assert result.model is None
    assert result.messages("adapter_files") == [
        f"adapter files lie beside the base weights: {name}; move them to a separate folder"
    ]
    with pytest.raises(ContaminationError, match=name):
        CleanModelLoader(str(folder)).load()


def test_a_real_adapter_folder_is_not_loaded_as_a_model(tiny_folder: Path, tmp_path: Path) -> None:
    adapter = tiny.write_adapter(tiny_folder, tmp_path / "adapter")
    with pytest.raises(ContaminationError, match="adapter files lie beside"):
        CleanModelLoader(str(adapter)).load()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickled_weights_are_never_loaded(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ContaminationError, match=f"only pickled ones \\({name}\\)"):
        CleanModelLoader(str(folder)).load()


def test_pickles_beside_safetensors_are_left_alone(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"not a pickle at all")
    assert CleanModelLoader(str(folder)).check(sentinels=False).findings == ()


def test_all_reasons_are_given_at_once(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "tiny-chat", tiny.make_tokenizer(adds_bos=True))
    with pytest.raises(ContaminationError) as caught:
        CleanModelLoader(str(folder)).load()
    for part in ("says 'chat'", "adds 1 special token", "not a working language model"):
        assert part in str(caught.value)


def test_a_clean_copy_passes(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert CleanModelLoader(str(copy)).check(sentinels=False).findings == ()
