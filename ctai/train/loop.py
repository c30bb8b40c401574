"""Optimization of a LoRA adapter: attach, step, checkpoint, resume, detach.

Owns the weights during training. Does not own the data (`ctai.train.data`), or admission and manifest
(`ctai.train.sft`). The method is QLoRA (Dettmers et al. 2023): low-rank updates in float32 on a frozen base that may be
quantized to NF4.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

from ctai.config import TrainingSettings
from ctai.errors import CtaiError
from ctai.progress import Progress
from ctai.provenance import derive_seed
from ctai.records import DevEvaluation, TrainingStep
from ctai.train.checkpoint import (
    Checkpoint,
    list_checkpoints,
    load_newest_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from ctai.train.data import IGNORED, TokenizedPair, TrainingBatch, micro_batches
from ctai.train.losses import LossFunction, can_pack, mean_loss, summed_loss, summed_loss_packed
from ctai.train.schedule import best_evaluation, has_converged, is_evaluated


@dataclass(frozen=True)
class DevelopmentPlan:
    """Use of the development split during training.

    Attributes:
        pairs: the tokenized pairs of the split; without any, nothing is evaluated.
        interval: optimizer steps between two evaluations.
        patience: evaluations without improvement after which training ends; 0 for none.
        keep_best: keep the adapter with the lowest development loss, not the last one.
    """

    pairs: tuple[TokenizedPair, ...] = ()
    interval: int = 1
    patience: int = 0
    keep_best: bool = False


@dataclass(frozen=True)
class TrainingPlan:
    """Inputs that determine a training run.

    Attributes:
        pairs: the tokenized training pairs.
        order: for each optimizer step the indices of its pairs.
        settings: hyperparameters; `learning_rate` below replaces theirs.
        learning_rate: peak learning rate.
        checkpoint_every: steps between retained checkpoints.
        checkpoint_seconds: interval of temporary checkpoints in seconds: the work that a crash can lose. Results do not
            depend on it.
        padding_id: id of the padding token; any, since it is masked.
        seed: of the run.
        dev: use of the development split.
    """

    pairs: tuple[TokenizedPair, ...]
    order: Sequence[Sequence[int]]
    settings: TrainingSettings
    learning_rate: float
    checkpoint_every: int
    checkpoint_seconds: float
    padding_id: int
    seed: int
    dev: DevelopmentPlan = DevelopmentPlan()

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step: linear warmup to the peak, then cosine decay to 0."""
        steps = len(self.order)
        warmup = math.ceil(self.settings.warmup * steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    @property
    def retained_steps(self) -> tuple[int, ...]:
        """Numbers of steps after which a checkpoint is retained, the last step among them."""
        steps = len(self.order)
        return (*range(self.checkpoint_every, steps, self.checkpoint_every), steps)

    def batches(self, step: int) -> list[TrainingBatch]:
        """Return the forward passes of a step."""
        pairs = [self.pairs[index] for index in self.order[step]]
        return list(micro_batches(pairs, self.settings.device_batch_size, self.padding_id))

    def dev_batches(self) -> Iterator[TrainingBatch]:
        """Return the forward passes of an evaluation on the development split."""
        return micro_batches(self.dev.pairs, self.settings.device_batch_size, self.padding_id)

    def evaluates_after(self, step: int) -> bool:
        """Return whether the development loss is evaluated after a number of finished steps."""
        return bool(self.dev.pairs) and is_evaluated(step, len(self.order), self.dev.interval)

    def is_finished(self, steps: Sequence[TrainingStep], evaluations: Sequence[DevEvaluation]) -> bool:
        """Return whether training ends here: after the last planned step, or since the development loss has converged."""
        converged = has_converged([evaluation.loss for evaluation in evaluations], self.dev.patience)
        return converged or len(steps) >= len(self.order)


class TrainedAdapter(NamedTuple):
    """Trained adapter: tensors (float32, on the CPU), LoRA configuration, records of the steps, and checkpoints.

    Attributes:
        evaluations: on the development split, in order.
        kept_step: number of optimizer steps after which the adapter had these tensors.
    """

    tensors: dict[str, torch.Tensor]
    lora: dict[str, Any]
    trained_parameters: int
    steps: tuple[TrainingStep, ...]
    evaluations: tuple[DevEvaluation, ...]
    kept_step: int
    checkpoints: tuple[Path, ...]


def fit(module: Any, plan: TrainingPlan, checkpoints: Path, progress: Progress) -> TrainedAdapter:
    """Train an adapter on a causal language model, from the newest checkpoint if there is one.

    The weights of the base are not changed, and the adapter is detached on success and on failure.

    Args:
        module: a transformers causal language model, quantized or not.
        plan: data order, hyperparameters and seed.
        checkpoints: folder of the checkpoints of this run; no other run may use it.
        progress: receives each step; an exception that it raises leaves a resumable run.

    Raises:
        CtaiError: the loss is not finite, or a checkpoint cannot be read.
    """
    settings = plan.settings
    seed = derive_seed(plan.seed, "training", "adapter")
    with _attached(module, settings, seed, _needs_recomputation(module, plan)) as adapter:
        weights = [parameter for parameter in adapter.parameters() if parameter.requires_grad]
        optimizer = _optimizer(weights, settings)
        loss_of = _choose_loss(adapter, plan)
        state = _resume(adapter, optimizer, checkpoints)
        steps, evaluations = state.steps, state.evaluations
        progress.start("training", len(plan.order))
        progress.advance(len(steps), "resumed" if steps else "")
        last_save = time.monotonic()
        while not plan.is_finished(steps, evaluations):
            steps.append(_step(adapter, optimizer, weights, plan, len(steps), loss_of))
            if plan.evaluates_after(len(steps)):
                state = _evaluate(adapter, plan, state, loss_of)
            retained = len(steps) in plan.retained_steps or plan.is_finished(steps, evaluations)
            if retained or time.monotonic() - last_save >= plan.checkpoint_seconds:
                save_checkpoint(
                    state._replace(adapter=_tensors(adapter), optimizer=optimizer.state_dict()), checkpoints
                )
                prune_checkpoints(checkpoints, plan.retained_steps)
                last_save = time.monotonic()
            progress.advance(1, f"loss {steps[-1].loss:.3f}")
        prune_checkpoints(checkpoints, plan.retained_steps)  # a crash may have prevented it after the last checkpoint
        progress.finish()
        keeps_best = plan.dev.keep_best and evaluations
        return TrainedAdapter(
            tensors=state.best if keeps_best else _tensors_on_cpu(adapter),
            lora=_lora_values(adapter),
            trained_parameters=sum(parameter.numel() for parameter in weights),
            steps=tuple(steps),
            evaluations=tuple(evaluations),
            kept_step=_best(evaluations).step if keeps_best else len(steps),
            checkpoints=tuple(path for _, path in list_checkpoints(checkpoints)),
        )


def _best(evaluations: Sequence[DevEvaluation]) -> DevEvaluation:
    return evaluations[best_evaluation([evaluation.loss for evaluation in evaluations])]


def _evaluate(adapter: Any, plan: TrainingPlan, state: Checkpoint, loss_of: LossFunction) -> Checkpoint:
    """Append the development loss after the last step, and return the state with the best adapter so far.

    Raises:
        CtaiError: the loss is not finite.
    """
    step = state.steps[-1]
    loss = mean_loss(adapter, plan.dev_batches(), loss_of)
    if not math.isfinite(loss):
        raise CtaiError(f"the development loss is {loss} after step {step.step}: lower training.learning_rate")
    state.evaluations.append(DevEvaluation(step=len(state.steps), epoch=step.epoch, loss=loss))
    is_best = plan.dev.keep_best and _best(state.evaluations) is state.evaluations[-1]
    return state._replace(best=_tensors_on_cpu(adapter)) if is_best else state


@contextmanager
def _attached(module: Any, settings: TrainingSettings, seed: int, recompute: bool) -> Iterator[Any]:
    """Attach a fresh adapter in training mode, and restore the base afterwards.

    Unlike `peft.prepare_model_for_kbit_training` this keeps the precision of the tensors of the base, since base and
    adapter are evaluated on the same weights; norms compute in float32 in any case.
    """
    modules = settings.target_modules
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
        bias="none",
        task_type="CAUSAL_LM",
    )
    with _seeded(module, seed):
        adapter = get_peft_model(module, lora)
    try:
        if recompute:
            _checkpointing(module, "enable")({"use_reentrant": False})
        adapter.train()
        yield adapter
    finally:
        if recompute:
            _checkpointing(module, "disable")()
        adapter.unload()
        if hasattr(module, "peft_config"):
            del module.peft_config
        module.eval()


def _checkpointing(module: Any, verb: str) -> Any:
    """Return the method of transformers that switches recomputation; 5.17 has only its old name, which 6 will drop."""
    current = getattr(module, f"activation_checkpointing_{verb}", None)
    return current or getattr(module, f"gradient_checkpointing_{verb}")


def _needs_recomputation(module: Any, plan: TrainingPlan) -> bool:
    """Return whether activations are recomputed in the backward pass: as configured, or where memory requires it."""
    if plan.settings.gradient_checkpointing is not None:
        return plan.settings.gradient_checkpointing
    device = next(module.parameters()).device
    if device.type != "cuda":
        return False
    free = torch.cuda.get_device_properties(device).total_memory - int(module.get_memory_footprint())
    tokens = plan.settings.device_batch_size * max(map(len, plan.pairs))
    return needs_checkpointing(module.config, tokens, free)


def needs_checkpointing(config: Any, tokens: int, free_bytes: int) -> bool:
    """Return whether activations would take more than half of the memory that the weights leave free.

    Estimates 120 bytes per token, layer and unit of width: the inputs that LoRA stores for all linear layers (in
    float32, with the dropout mask), and the products of the MLP, which is about five times as wide.

    Args:
        config: of the model: `hidden_size` and `num_hidden_layers`.
        tokens: number of tokens of one forward pass.
        free_bytes: memory beside the weights.
    """
    activation_bytes: int = 120 * tokens * config.hidden_size * config.num_hidden_layers
    return activation_bytes > free_bytes / 2


@contextmanager
def _seeded(module: Any, seed: int) -> Iterator[None]:
    """Seed the generators of CPU and model device, and restore their states afterwards."""
    device = next(module.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _optimizer(weights: list[torch.nn.Parameter], settings: TrainingSettings) -> torch.optim.Optimizer:
    """Return AdamW, on a GPU with paged 8-bit states; the learning rate is set at every step."""
    if weights[0].device.type == "cuda":
        from bitsandbytes.optim import PagedAdamW8bit  # slow to import, and needed on a GPU only

        paged: torch.optim.Optimizer = PagedAdamW8bit(weights, lr=0.0, weight_decay=settings.weight_decay)
        return paged
    return torch.optim.AdamW(weights, lr=0.0, weight_decay=settings.weight_decay, fused=True)


def _choose_loss(adapter: Any, plan: TrainingPlan) -> LossFunction:
    """Return the loss function, chosen before the first step so that a resumed run uses the same one.

    The check uses the largest batch: the last one may hold a single example, which cannot reveal a leak.
    """
    adapter.eval()
    largest = max(plan.batches(0), key=lambda batch: len(batch.labels))
    packable = can_pack(adapter, largest.to(next(adapter.parameters()).device))
    adapter.train()
    return summed_loss_packed if packable else summed_loss


def _step(
    adapter: Any,
    optimizer: torch.optim.Optimizer,
    weights: list[torch.nn.Parameter],
    plan: TrainingPlan,
    step: int,
    loss_of: LossFunction,
) -> TrainingStep:
    """Run one optimizer step over all forward passes of its batch.

    Each supervised token of the step has the same weight, whatever the split into forward passes. Dropout is seeded by
    the step, so that no generator state has to survive an interruption.

    Raises:
        CtaiError: the loss is not finite.
    """
    batches = plan.batches(step)
    supervised = sum(int((batch.labels != IGNORED).sum()) for batch in batches)
    with _seeded(adapter, derive_seed(plan.seed, "training", "dropout", step)):
        loss = sum(_accumulate(adapter, batch, supervised, loss_of) for batch in batches)
    if not math.isfinite(loss):
        raise CtaiError(f"the training loss is {loss} at step {step}: lower training.learning_rate")
    torch.nn.utils.clip_grad_norm_(weights, plan.settings.gradient_clip)
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate_at(step)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    examples = sum(map(len, plan.order[: step + 1]))
    return TrainingStep(
        step=step, epoch=examples / len(plan.pairs), learning_rate=plan.learning_rate_at(step), loss=loss
    )


def _accumulate(adapter: Any, batch: TrainingBatch, supervised: int, loss_of: LossFunction) -> float:
    """Add the gradient of one forward pass, and return its share of the mean loss of the step."""
    device = next(adapter.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        loss = loss_of(adapter, batch.to(device)) / supervised
    loss.backward()
    return float(loss.item())


def _tensors(adapter: Any) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = get_peft_model_state_dict(adapter, save_embedding_layers=False)
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _tensors_on_cpu(adapter: Any) -> dict[str, torch.Tensor]:
    """Return copies of the tensors of an adapter, which further steps do not change."""
    return {name: tensor.cpu().clone() for name, tensor in _tensors(adapter).items()}


def _lora_values(adapter: Any) -> dict[str, Any]:
    """Return the configuration of the adapter as peft reads it, with sets sorted so that its bytes are deterministic."""
    values: dict[str, Any] = adapter.peft_config["default"].to_dict()
    ordered = {name: sorted(value) if isinstance(value, set) else value for name, value in values.items()}
    return {**ordered, "inference_mode": True, "base_model_name_or_path": None}


def _resume(adapter: Any, optimizer: torch.optim.Optimizer, folder: Path) -> Checkpoint:
    """Load the newest checkpoint into adapter and optimizer, and return it; without one, the state before any step."""
    checkpoint = load_newest_checkpoint(folder)
    if checkpoint is None:
        return Checkpoint({}, {}, [], [], {})
    set_peft_model_state_dict(adapter, checkpoint.adapter)
    optimizer.load_state_dict(checkpoint.optimizer)
    return checkpoint
