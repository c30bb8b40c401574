"""Arms of a checked model: attaching and detaching adapters, and only one usable arm at a time."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from ctai.errors import CtaiError
from ctai.model.clean_model import CleanModel
from ctai.model.loader import CleanModelLoader
from ctai.model.sources import adapter_digest
from ctai.records import Sampling

pytestmark = pytest.mark.unit


GREEDY = Sampling(max_new_tokens=12)


PROMPTS = ["The capital of France is", "Instruction: Name two colors.\nResponse:"]


def test_an_adapter_changes_the_model_and_comes_off_again(tiny_model_folder: Path, tiny_adapter: Path) -> None:
    model = CleanModelLoader(str(tiny_model_folder)).load(sentinels=False)
    before = model.engine.token_logprobs(PROMPTS, range(50))
    texts = model.engine.generate(PROMPTS, GREEDY)
    for _ in range(2):
        with model.with_adapter(tiny_adapter) as adapted:
            assert abs(adapted.engine.token_logprobs(PROMPTS, range(50)) - before).max() > 0.1
            assert adapted.engine.generate(PROMPTS, GREEDY) != texts
            assert adapted.provenance.adapter_digest == adapter_digest(tiny_adapter)
            assert adapted.provenance.weights_digest == model.provenance.weights_digest
        assert (model.engine.token_logprobs(PROMPTS, range(50)) == before).all()
        assert model.engine.generate(PROMPTS, GREEDY) == texts
    assert model.provenance.adapter_digest is None


@pytest.mark.fault(
    3, plant="the base used while an adapter is attached, and an adapter on an adapter", check="suspended engine"
)
def test_only_one_arm_can_be_used_at_a_time(tiny_model_folder: Path, tiny_adapter: Path) -> None:
    model = CleanModelLoader(str(tiny_model_folder)).load(sentinels=False)
    adapted = model.with_adapter(tiny_adapter)
    with pytest.raises(CtaiError, match="an adapter is attached"):
        model.engine.generate(PROMPTS, GREEDY)
    with pytest.raises(CtaiError, match="not put on top"):
        adapted.with_adapter(tiny_adapter)
    with pytest.raises(CtaiError, match="not put on top"):
        model.with_adapter(tiny_adapter)
    assert adapted.unload() is model
    with pytest.raises(CtaiError, match="was unloaded"):
        adapted.engine.token_logprobs(PROMPTS, [1])
    with pytest.raises(CtaiError, match="no adapter to unload"):
        model.unload()


@pytest.mark.fault(23, plant="both arms asked for at once", check="one set of weights in memory")
def test_adapter_and_base_share_their_weights(tiny_model_folder: Path, tiny_adapter: Path) -> None:
    model = CleanModelLoader(str(tiny_model_folder)).load(sentinels=False)
    embedding = model.module.get_input_embeddings().weight
    with model.with_adapter(tiny_adapter) as adapted:
        assert adapted.module.get_input_embeddings().weight is embedding


def test_an_adapter_that_does_not_fit_leaves_the_base_usable(
    tiny_model_folder: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    model = CleanModelLoader(str(tiny_model_folder)).load(sentinels=False)
    before = model.engine.token_logprobs(PROMPTS, [1, 2])
    with pytest.raises(CtaiError, match=r"lacks adapter_config\.json and adapter_model\.safetensors"):
        model.with_adapter(tmp_path)
    wrong = Path(shutil.copytree(tiny_adapter, tmp_path / "wrong"))
    config = json.loads((wrong / "adapter_config.json").read_text())
    (wrong / "adapter_config.json").write_text(json.dumps({**config, "r": 8}))
    with pytest.raises(CtaiError, match="does not fit"):
        model.with_adapter(wrong)
    renamed = {f"x.{name}": value for name, value in load_file(tiny_adapter / "adapter_model.safetensors").items()}
    (wrong / "adapter_config.json").write_text(json.dumps(config))
    save_file(renamed, wrong / "adapter_model.safetensors")
    with pytest.raises(CtaiError, match="do not match its configuration"):
        model.with_adapter(wrong)
    assert (model.engine.token_logprobs(PROMPTS, [1, 2]) == before).all()
    with model.with_adapter(tiny_adapter) as adapted:
        assert (adapted.engine.token_logprobs(PROMPTS, [1, 2]) != before).any()


def test_pickled_adapters_are_not_loaded(tiny_model: CleanModel, tiny_adapter: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_adapter / "adapter_config.json", tmp_path)
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80")
    with pytest.raises(CtaiError, match=r"lacks adapter_model\.safetensors"):
        tiny_model.with_adapter(tmp_path)
