"""Optimization of an adapter: learning, resumption, losses on packed rows, and the base that stays as it was."""

import math

import pytest
import safetensors.torch
import torch

from ctai.config import RunConfig, TrainingSettings
from ctai.errors import CtaiError
from ctai.model.loader import CleanModelLoader
from ctai.prompts import CompletionStylePrompts
from ctai.records import TrainingStep
from ctai.rundir import read_jsonl, sha256_tree
from ctai.train.data import data_order
from ctai.train.loop import TrainingPlan, needs_checkpointing
from ctai.train.losses import can_pack
from ctai.train.sft import TrainingInputs, train_adapter
from tests.support import tiny
from tests.support.context import stage_context
from tests.support.trained import RETAINED, STEPS, CountsSteps, Prepared, StopsAfter, example, logits

pytestmark = pytest.mark.unit


def test_training_learns_and_leaves_the_base_as_it_was(prepared):
    base = {name: tensor.clone() for name, tensor in prepared.model.module.state_dict().items()}
    before = logits(prepared.model)
    manifest = prepared.train(epochs=12)
    assert manifest.loss_last < manifest.loss_first - 0.3
    after = prepared.model.module.state_dict()
    assert after.keys() == base.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in base.items())
    assert torch.equal(logits(prepared.model), before)
    with prepared.model.with_adapter(prepared.rundir.adapter_dir) as adapted:
        assert (logits(adapted) - before).abs().max() > 0.1


@pytest.mark.fault(
    17, plant="the first loss, against the base's own on the completions", check="loss of the first step"
)
@pytest.mark.parametrize("allow_bos", [False, True])
def test_first_loss_is_that_of_the_base_on_the_completions(tmp_path, allow_bos):
    """An adapter starts as the identity, so the first step's loss can be had from the base alone.

    An allowed BOS token precedes every prompt, as it does when the engine answers.
    """
    folder = tiny.write_model(tmp_path / "model", tiny.make_tokenizer(adds_bos=allow_bos))
    prepared = Prepared(tmp_path / "run", CleanModelLoader(str(folder), allow_bos=allow_bos).load(sentinels=False))
    prepared.train()
    step = read_jsonl(prepared.rundir.adapter_dir / "loss.jsonl", TrainingStep)[0]
    order = data_order(16, 8, STEPS, seed=0)[0]
    bos = [prepared.model.tokenizer.bos_token_id] if allow_bos else []
    total, tokens = 0.0, 0
    for number in order:
        e = example(number)
        prompt = [*bos, *prepared.model.engine.encode(CompletionStylePrompts.zero_shot(e.instruction))]
        completion = [*prepared.model.engine.encode(f" {e.response}"), prepared.model.tokenizer.eos_token_id]
        with torch.no_grad():
            scores = prepared.model.module(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        total -= sum(scores[len(prompt) + i - 1, token].item() for i, token in enumerate(completion))
        tokens += len(completion)
    assert step.loss == pytest.approx(total / tokens, rel=1e-4)


@pytest.mark.fault(27, plant="training interrupted at any step", check="resume by checkpoint")
@pytest.mark.parametrize("interrupted_at", [1, 3, 5])
def test_resumed_equals_uninterrupted(tmp_path, tiny_model, interrupted_at):
    uninterrupted = Prepared(tmp_path / "whole", tiny_model)
    uninterrupted.train()
    resumed = Prepared(tmp_path / "resumed", tiny_model)
    with pytest.raises(CtaiError, match="time limit"):
        resumed.train(progress=StopsAfter(interrupted_at))
    assert not (resumed.rundir.adapter_dir / "TRAINING_SUCCESS").exists()
    seen = CountsSteps()
    resumed.train(progress=seen)
    assert seen.resumed_from == interrupted_at - interrupted_at % 2
    assert resumed.adapter_bytes == uninterrupted.adapter_bytes


@pytest.mark.parametrize("interrupted_at", [1, 3, 5, 6])
def test_checkpoints_in_between_lose_no_step_and_leave_no_trace(tmp_path, tiny_model, interrupted_at):
    uninterrupted = Prepared(tmp_path / "whole", tiny_model)
    uninterrupted.train()
    resumed = Prepared(tmp_path / "resumed", tiny_model)
    with pytest.raises(CtaiError, match="time limit"):
        resumed.train(progress=StopsAfter(interrupted_at), checkpoint_seconds=0)
    work = resumed.rundir.adapter_dir / "work"
    assert len([path for path in work.iterdir() if path.name not in RETAINED]) <= 1
    seen = CountsSteps()
    resumed.train(progress=seen, checkpoint_seconds=0)
    assert seen.resumed_from == interrupted_at
    assert sorted(path.name for path in work.iterdir()) == list(RETAINED)
    assert sha256_tree(resumed.rundir.adapter_dir) == sha256_tree(uninterrupted.rundir.adapter_dir)


def test_the_gradient_is_clipped_and_weights_decay_as_the_settings_say(tmp_path, tiny_model):
    """Under a gradient clipped to almost nothing an adapter stays as it began, but for the decay of its weights."""
    tensors, rates = {}, []
    for decay in (0.0, 20.0):
        prepared = Prepared(tmp_path / str(decay), tiny_model)
        prepared.train(gradient_clip=1e-12, weight_decay=decay)
        tensors[decay] = safetensors.torch.load(prepared.adapter_bytes)
        rates = [step.learning_rate for step in read_jsonl(prepared.rundir.adapter_dir / "loss.jsonl", TrainingStep)]
    shrunk = math.prod(1 - 20 * rate for rate in rates)
    assert 0.2 < shrunk < 0.9
    for name, began in tensors[0.0].items():
        assert torch.allclose(tensors[20.0][name], began * shrunk, atol=1e-5)
        assert "lora_B" not in name or began.abs().max() < 1e-5  # B begins at 0


def test_gradient_checkpointing_changes_nothing(tmp_path, tiny_model):
    plain, checkpointed = (Prepared(tmp_path / name, tiny_model) for name in ("plain", "checkpointed"))
    losses = plain.train().losses
    settings = TrainingSettings(
        rank=4, batch_size=8, device_batch_size=4, learning_rate=1e-2, gradient_checkpointing=True
    )
    config = RunConfig(training=settings)
    p = checkpointed
    inputs = TrainingInputs(p.rundir.dataset, p.qc, p.verdict)
    recomputed = train_adapter(tiny_model, stage_context(p.rundir, config), inputs).losses
    assert config.training.gradient_checkpointing
    assert not any(getattr(layer, "gradient_checkpointing", False) for layer in tiny_model.module.modules())
    assert recomputed == pytest.approx(losses, rel=1e-4)


def test_activations_are_recomputed_only_where_memory_needs_it(tiny_model):
    free = 10**9
    width, layers = tiny_model.module.config.hidden_size, tiny_model.module.config.num_hidden_layers
    fits = free // 2 // (120 * width * layers)
    assert not needs_checkpointing(tiny_model.module.config, fits, free)
    assert needs_checkpointing(tiny_model.module.config, fits + 1, free)


def test_result_does_not_depend_on_the_device_batch_size(tmp_path, tiny_model):
    losses = [
        Prepared(tmp_path / str(size), tiny_model).train(device_batch_size=size, dropout=0.0).losses for size in (2, 8)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_loss_that_is_not_finite_stops_and_detaches(prepared):
    weight = prepared.model.module.model.norm.weight
    good = weight.detach().clone()
    try:
        weight.data.fill_(float("nan"))
        with pytest.raises(CtaiError, match="loss is nan at step 0"):
            prepared.train()
    finally:
        weight.data.copy_(good)
    assert not hasattr(prepared.model.module, "peft_config")
    assert not any("lora" in name for name in prepared.model.module.state_dict())


def test_random_numbers_of_others_are_left_alone(prepared):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    prepared.train()
    assert torch.equal(torch.rand(3), expected)


def test_nf4_trains_on_the_cpu(tmp_path, tiny_model_folder):
    model = CleanModelLoader(str(tiny_model_folder), quantization="nf4").load(sentinels=False)
    prepared = Prepared(tmp_path / "run", model)
    before = logits(model)
    manifest = prepared.train(epochs=12)
    assert manifest.hyperparameters["quantization"] == "nf4"
    assert manifest.loss_last < manifest.loss_first - 0.3
    assert torch.equal(logits(model), before)
    with model.with_adapter(prepared.rundir.adapter_dir) as adapted:
        assert (logits(adapted) - before).abs().max() > 0.1


def test_packing_is_tried_on_examples_that_share_a_row(tmp_path, tiny_model, monkeypatch):
    """Also where the last batch of a step holds one only."""
    tried = []

    def spy(model, batch):
        tried.append(len(batch.labels))
        return can_pack(model, batch)

    monkeypatch.setattr("ctai.train.loop.can_pack", spy)
    Prepared(tmp_path / "run", tiny_model).train(batch_size=7, device_batch_size=3, epochs=0.5)
    assert tried == [3]


def test_learning_rate_warms_up_and_falls_to_zero():
    settings = TrainingSettings(warmup=0.1)
    plan = TrainingPlan((), [[0]] * 100, settings, 1.0, checkpoint_every=1, checkpoint_seconds=60, padding_id=0, seed=0)
    rates = [plan.learning_rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == max(rates) == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001
