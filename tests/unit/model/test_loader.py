"""Loader: accepted arguments, provenance, damaged files, and NF4 weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctai.errors import ContaminationError, CtaiError
from ctai.model.clean_model import CleanModel
from ctai.model.loader import CleanModelLoader, prepare_module
from ctai.records import Sampling
from tests.support import tiny

pytestmark = pytest.mark.unit

GREEDY = Sampling(max_new_tokens=12)
PROMPTS = ["The capital of France is", "Instruction: Name two colors.\nResponse:"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"quantization": "int8"}, "choose none, nf4 or auto"), ({"device": "tpu"}, "choose cpu or cuda")],
)
def test_unknown_arguments_are_refused(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(CtaiError, match=message):
        CleanModelLoader("embedded", **arguments)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_never_replaced_by_the_cpu(folder: Path) -> None:
    with pytest.raises(CtaiError, match="no CUDA device"):
        CleanModelLoader(str(folder), device="cuda").load()


def test_nf4_of_a_gguf_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    with pytest.raises(CtaiError, match="a GGUF file is already quantized: choose quantization none"):
        CleanModelLoader(str(tmp_path / "base.gguf"), quantization="nf4").load()


def test_auto_does_not_quantize_a_gguf_file_again(tmp_path: Path) -> None:
    (tmp_path / "base.gguf").write_bytes(b"GGUF, but no more of it")
    with pytest.raises(CtaiError, match="cannot be loaded"):
        CleanModelLoader(str(tmp_path / "base.gguf"), quantization="auto").load()


def test_attention_on_a_gpu_is_not_left_to_cudnn(tiny_model: CleanModel) -> None:
    enabled = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        prepare_module(tiny_model.module, "cpu")
        assert torch.backends.cuda.cudnn_sdp_enabled()
        prepare_module(tiny_model.module, "cuda")
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(enabled)


def test_provenance_is_complete(tiny_model: CleanModel, tiny_model_folder: Path) -> None:
    provenance = tiny_model.provenance
    expected = {
        "requested": str(tiny_model_folder),
        "model_id": "model",
        "revision": None,
        "architecture": "LlamaForCausalLM",
        "parameters": sum(p.numel() for p in tiny_model.module.parameters()),
        "requested_quantization": "none",
        "quantization": "none",
        "double_quantization": False,
        "compute_dtype": "float32",
        "device": "cpu",
        "template_disabled": True,
        "template_was_present": True,
        "add_special_tokens": False,
        "bos_allowed": False,
        "special_token_delta": 0,
        "control_tokens": tiny.CHAT_TOKENS,
        "adapter_digest": None,
        "sentinels": None,
    }
    assert {name: getattr(provenance, name) for name in expected} == expected
    assert provenance.loader_version.startswith("0.1.0+")
    assert len(provenance.weights_digest) == len(provenance.tokenizer_digest) == 64


def test_the_tokenizer_digest_is_of_the_tokenizer_in_use(folder: Path, tiny_model: CleanModel) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["merges"].pop()
    file.write_text(json.dumps(content))
    changed = CleanModelLoader(str(folder)).load(sentinels=False).provenance
    assert changed.tokenizer_digest != tiny_model.provenance.tokenizer_digest
    assert changed.weights_digest == tiny_model.provenance.weights_digest


def test_loading_is_silent(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    CleanModelLoader(str(folder)).load(sentinels=False)
    assert capfd.readouterr() == ("", "")


def test_missing_tensors_are_an_error_and_not_random(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if "mlp" in name)
    del tensors[name]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CtaiError, match=r"lack 1 tensor\(s\), such as model\.layers"):
        CleanModelLoader(str(folder)).load(sentinels=False)


def test_tensors_of_another_shape_are_an_error(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 96}))
    with pytest.raises(CtaiError, match=r"have 6 tensor\(s\) whose shape differs from config\.json, such as model\."):
        CleanModelLoader(str(folder)).load(sentinels=False)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: an illegal memory access"), KeyError("a_name"), TypeError("no such argument")]
)
def test_a_bug_or_a_fault_of_the_device_keeps_its_traceback(
    error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ctai.model.loader.AutoModelForCausalLM.from_pretrained", fail)
    with pytest.raises(type(error)) as caught:
        CleanModelLoader(str(folder)).load(sentinels=False)
    assert caught.value is error


def test_memory_that_is_too_small_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("ctai.model.loader.AutoModelForCausalLM.from_pretrained", fail)
    with pytest.raises(CtaiError, match="does not fit into the memory of the device"):
        CleanModelLoader(str(folder)).load(sentinels=False)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", "{nope"), ("config.json", "{}"), ("config.json", "[1]"), ("config.json", None),
        ("tokenizer_config.json", "[1]"), ("tokenizer.json", '{"version": "1.0", "model": 5}'),
        ("tokenizer.json", "{}"), ("tokenizer.json", "{nope"), ("tokenizer_config.json", "{nope"),
    ],
)  # fmt: skip
def test_damaged_files_beside_the_weights_are_one_sentence(file: str, text: str | None, folder: Path) -> None:
    config = (folder / "config.json").read_text()
    (folder / file).write_text(json.dumps({**json.loads(config), "hidden_size": "wide"}) if text is None else text)
    with pytest.raises(CtaiError, match="cannot be loaded") as caught:
        CleanModelLoader(str(folder)).load(sentinels=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_act": "nope"}, {"num_attention_heads": 0}, {"dtype": "float33"}, {"rope_parameters": {"rope_type": "x"}},
        {"vocab_size": -1}, {"model_type": "nope"},
    ],
    ids=str,
)  # fmt: skip
def test_a_config_that_describes_no_model_is_one_sentence(wrong: dict[str, object], folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **wrong}))
    with pytest.raises(CtaiError, match="cannot be loaded") as caught:
        CleanModelLoader(str(folder)).load(sentinels=False)
    assert "\n" not in str(caught.value)


def test_cut_off_weights_are_one_sentence(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(CtaiError, match="cannot be loaded") as caught:
        CleanModelLoader(str(folder)).load(sentinels=False)
    assert "\n" not in str(caught.value)


def test_code_beside_the_weights_is_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a prompt asks whether to run it"))
    (folder / "evil.py").write_text("raise SystemExit('run')")
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "unheard_of"
    config["auto_map"] = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CtaiError, match="cannot be loaded"):
        CleanModelLoader(str(folder)).load(sentinels=False)


def test_nf4_loads_and_stays_near_the_full_weights(tiny_model_folder: Path, tiny_model: CleanModel) -> None:
    model = CleanModelLoader(str(tiny_model_folder), quantization="nf4").load(sentinels=False)
    assert (model.provenance.quantization, model.provenance.double_quantization) == ("nf4", True)
    assert model.provenance.compute_dtype == "float32"
    layer_types = {type(module).__name__ for module in model.module.modules()}
    assert "Linear4bit" in layer_types
    tokens = range(tiny_model.module.config.vocab_size)
    quantized = torch.from_numpy(model.engine.token_logprobs(PROMPTS, tokens))
    full = torch.from_numpy(tiny_model.engine.token_logprobs(PROMPTS, tokens))
    correlation = torch.corrcoef(torch.stack([quantized[0], full[0]]))[0, 1]
    assert 0.8 < correlation < 0.99999
    assert model.engine.generate(PROMPTS, GREEDY) == model.engine.generate(PROMPTS, GREEDY)


def test_nf4_weights_that_were_dequantized_once_compute_the_same_bits(tiny_model_folder: Path) -> None:
    module = CleanModelLoader(str(tiny_model_folder), quantization="nf4").load(sentinels=False).module
    layers = [layer for layer in module.modules() if hasattr(getattr(layer, "weight", None), "quant_state")]
    assert len(layers) == 7 * module.config.num_hidden_layers
    for layer in layers:
        inputs = torch.randn(5, layer.in_features, generator=torch.Generator().manual_seed(0)).requires_grad_()
        cached, expected = layer(inputs), type(layer).forward(layer, inputs)
        assert cached.grad_fn is not None
        assert torch.equal(cached, expected)
        (gradient,), (expected_gradient,) = (torch.autograd.grad(y.square().sum(), inputs) for y in (cached, expected))
        assert torch.equal(gradient, expected_gradient)


def test_nf4_computes_with_the_loaded_weights_on_every_call(tiny_model_folder: Path) -> None:
    model = CleanModelLoader(str(tiny_model_folder), quantization="nf4").load(sentinels=False)
    layer = next(m for m in model.module.modules() if type(m).__name__ == "Linear4bit")
    before = layer.weight.data.clone()
    first = model.engine.token_logprobs(PROMPTS, [5])
    model.module.train()
    model.module.eval()
    assert torch.equal(layer.weight.data, before)
    assert (model.engine.token_logprobs(PROMPTS, [5]) == first).all()


def test_the_tokenizer_alone(tiny_model_folder: Path) -> None:
    tokenizer = CleanModelLoader(str(tiny_model_folder)).load_tokenizer()
    with pytest.raises(ContaminationError):
        tokenizer.apply_chat_template([{"role": "user", "content": "x"}])
