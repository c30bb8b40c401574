"""The optimization of a LoRA adapter: attach, step, checkpoint, resume, detach.

Owns what happens to weights during training. What is learned from is made by `ctai.train.data`; whether
training may start, and the files that say it is complete, are the concern of `ctai.train.sft`. The method is
QLoRA (Dettmers et al. 2023): low-rank updates in float32 on a frozen base that may be quantized to NF4.
"""

import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch.nn.functional import cross_entropy

from ctai.config import TrainingSettings
from ctai.errors import CtaiError
from ctai.progress import Progress
from ctai.provenance import derive_seed
from ctai.records import TrainingStep
from ctai.train.checkpoint import Checkpoint, found, load_newest, prune, save
from ctai.train.data import IGNORED, TokenizedPair, TrainingBatch, micro_batches

LossFunction = Callable[[Any, TrainingBatch], torch.Tensor]


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides what a training run does.

    Attributes:
        pairs: the tokenized training pairs.
        order: for each optimizer step the positions in `pairs` that it sees.
        settings: the hyperparameters; `learning_rate` below takes the place of theirs.
        learning_rate: the peak.
        checkpoint_every: steps between checkpoints that are kept.
        checkpoint_seconds: after so many seconds without one a checkpoint is written in between, which the next one
            replaces: that long is what a crash costs. No result depends on it.
        padding_id: any token id; it is masked.
        seed: the run's seed.
    """

    pairs: tuple[TokenizedPair, ...]
    order: Sequence[Sequence[int]]
    settings: TrainingSettings
    learning_rate: float
    checkpoint_every: int
    checkpoint_seconds: float
    padding_id: int
    seed: int

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warmup to the peak, then half a cosine down to 0."""
        steps = len(self.order)
        warmup = math.ceil(self.settings.warmup * steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    @property
    def kept(self) -> tuple[int, ...]:
        """After how many steps there is a checkpoint that stays; after the last one there is."""
        steps = len(self.order)
        return (*range(self.checkpoint_every, steps, self.checkpoint_every), steps)

    def batches(self, step: int) -> list[TrainingBatch]:
        """The forward passes of a step."""
        chosen = [self.pairs[index] for index in self.order[step]]
        return list(micro_batches(chosen, self.settings.device_batch_size, self.padding_id))


class TrainedAdapter(NamedTuple):
    """A trained adapter: tensors (float32, on the CPU), LoRA configuration, and the course of training."""

    tensors: dict[str, torch.Tensor]
    lora: dict[str, Any]
    trained_parameters: int
    steps: tuple[TrainingStep, ...]
    checkpoints: tuple[Path, ...]


def fit(module: Any, plan: TrainingPlan, checkpoints: Path, progress: Progress) -> TrainedAdapter:
    """Train an adapter on a causal language model, from the newest checkpoint if there is one.

    The base's weights are not changed, and the adapter is taken off again however this ends.

    Args:
        module: a transformers causal language model, quantized or not.
        plan: what to do.
        checkpoints: the folder of this run's checkpoints, and of no other's.
        progress: is told of every step; what it raises leaves a run that can be resumed.

    Raises:
        CtaiError: when the loss is not finite, or a checkpoint cannot be read.
    """
    settings = plan.settings
    seed = derive_seed(plan.seed, "training", "adapter")
    with _attached(module, settings, seed, _recomputes(module, plan)) as adapter:
        weights = [parameter for parameter in adapter.parameters() if parameter.requires_grad]
        optimizer = _optimizer(weights, settings)
        loss = _loss(adapter, plan)
        done = _resume(adapter, optimizer, checkpoints)
        progress.start("training", len(plan.order))
        progress.advance(len(done), "resumed" if done else "")
        saved = time.monotonic()
        for step in range(len(done), len(plan.order)):
            done.append(_step(adapter, optimizer, weights, plan, step, loss))
            if len(done) in plan.kept or time.monotonic() - saved >= plan.checkpoint_seconds:
                save(_state(adapter, optimizer, done), checkpoints)
                prune(checkpoints, plan.kept)
                saved = time.monotonic()
            progress.advance(1, f"loss {done[-1].loss:.3f}")
        prune(checkpoints, plan.kept)  # a crash may have come between the last checkpoint and this
        progress.finish()
        return TrainedAdapter(
            tensors={name: tensor.cpu() for name, tensor in _tensors(adapter).items()},
            lora=_lora_values(adapter),
            trained_parameters=sum(parameter.numel() for parameter in weights),
            steps=tuple(done),
            checkpoints=tuple(path for _, path in found(checkpoints)),
        )


def summed_loss(model: Any, batch: TrainingBatch) -> torch.Tensor:
    """Negative log-likelihood in nats, summed over the supervised tokens of a padded batch.

    Only the logits that carry loss are brought to float32: the full array of a large vocabulary would not
    fit.
    """
    output = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False)
    targets = batch.labels[:, 1:]
    kept = targets != IGNORED
    return cross_entropy(output.logits[:, :-1][kept].float(), targets[kept], reduction="sum")


def summed_loss_packed(model: Any, batch: TrainingBatch) -> torch.Tensor:
    """The same without padding, the examples one after the other in one row, and with no logits but those with loss.

    Positions that begin again at 0 tell the model where an example ends; `can_pack` says whether it listens.
    """
    return cross_entropy(*_packed(model, batch), reduction="sum")


def _packed(model: Any, batch: TrainingBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of the supervised tokens in one packed row, example by example, and these tokens."""
    used = batch.attention_mask.bool()
    ids, labels = batch.input_ids[used], batch.labels[used]
    positions = (batch.attention_mask.cumsum(-1) - 1)[used]
    targets = labels[1:]
    kept = ((targets != IGNORED) & (positions[1:] > 0)).nonzero()[:, 0]
    output = model(input_ids=ids[None], position_ids=positions[None], use_cache=False, logits_to_keep=kept)
    return output.logits[0].float(), targets[kept]


def can_pack(model: Any, batch: TrainingBatch) -> bool:
    """Whether this architecture computes the same loss on a packed row: some would look across the examples' borders.

    The loss alone would not tell, which a leak may hardly change: beside it other tokens in all examples but the last
    must leave the losses of the last one as they are.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not {"position_ids", "logits_to_keep"} <= inspect.signature(base.forward).parameters.keys():
        return False
    with torch.no_grad():
        padded = summed_loss(model, batch)
        packed = cross_entropy(*_packed(model, batch), reduction="none")
        ids = batch.input_ids.clone()
        ids[:-1] = (ids[:-1] - 1).clamp(min=0)
        beside_others = cross_entropy(*_packed(model, replace(batch, input_ids=ids)), reduction="none")
    last = int((batch.labels[-1, 1:] != IGNORED).sum())
    leak = (beside_others - packed)[-last:].abs().max()
    return bool(((packed.sum() - padded).abs() <= 0.01 * padded) & (leak <= 1e-4))


@contextmanager
def _attached(module: Any, settings: TrainingSettings, seed: int, recomputes: bool) -> Iterator[Any]:
    """The model with a fresh adapter in training mode; afterwards the base as it was.

    Unlike `peft.prepare_model_for_kbit_training` this leaves the base's own tensors in their precision, since
    base and adapter are evaluated on these very weights; norms compute in float32 in any case.
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
        if recomputes:
            _checkpointing(module, "enable")({"use_reentrant": False})
        adapter.train()
        yield adapter
    finally:
        if recomputes:
            _checkpointing(module, "disable")()
        adapter.unload()
        if hasattr(module, "peft_config"):
            del module.peft_config
        module.eval()


def _checkpointing(module: Any, verb: str) -> Any:
    """transformers' switch for recomputing activations: 5.17 knows it by its older name alone, which 6 is going to drop."""
    newer = getattr(module, f"activation_checkpointing_{verb}", None)
    return newer or getattr(module, f"gradient_checkpointing_{verb}")


def _recomputes(module: Any, plan: TrainingPlan) -> bool:
    """Whether activations are computed again in the backward pass instead of being kept: as configured, or as needed."""
    if plan.settings.gradient_checkpointing is not None:
        return plan.settings.gradient_checkpointing
    device = next(module.parameters()).device
    if device.type != "cuda":
        return False
    free = torch.cuda.get_device_properties(device).total_memory - int(module.get_memory_footprint())
    tokens = plan.settings.device_batch_size * max(map(len, plan.pairs))
    return needs_checkpointing(module.config, tokens, free)


def needs_checkpointing(config: Any, tokens: int, free_bytes: int) -> bool:
    """Whether the activations of so many tokens would take more than half of the memory beside the weights.

    About 120 bytes a token, layer and unit of width: what a LoRA on all linear layers keeps of their inputs (in
    float32, with the mask of dropout), and the MLP of its products, which is five times as wide.
    """
    kept: int = 120 * tokens * config.hidden_size * config.num_hidden_layers
    return kept > free_bytes / 2


@contextmanager
def _seeded(module: Any, seed: int) -> Iterator[None]:
    """Random numbers from this seed, on the device of a model too; afterwards generators are as before."""
    device = next(module.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _optimizer(weights: list[torch.nn.Parameter], settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW; on a GPU with 8-bit states in pages that can leave its memory. The rate is set at every step."""
    if weights[0].device.type == "cuda":
        from bitsandbytes.optim import PagedAdamW8bit  # slow to import, and of no use without a GPU

        paged: torch.optim.Optimizer = PagedAdamW8bit(weights, lr=0.0, weight_decay=settings.weight_decay)
        return paged
    return torch.optim.AdamW(weights, lr=0.0, weight_decay=settings.weight_decay, fused=True)


def _loss(adapter: Any, plan: TrainingPlan) -> LossFunction:
    """The way to compute the loss, chosen before the first step, so that a resumed run computes it likewise.

    It is tried on a full batch: the last one may hold a single example, which shares its row with nothing.
    """
    adapter.eval()
    packs = can_pack(adapter, _moved(max(plan.batches(0), key=lambda batch: len(batch.labels)), adapter))
    adapter.train()
    return summed_loss_packed if packs else summed_loss


def _step(
    adapter: Any,
    optimizer: torch.optim.Optimizer,
    weights: list[torch.nn.Parameter],
    plan: TrainingPlan,
    step: int,
    loss_of: LossFunction,
) -> TrainingStep:
    """One optimizer step over all forward passes of its batch.

    Each supervised token of the step weighs the same, however the batch is cut into forward passes. Dropout
    is seeded by the step, so that no generator's state has to survive an interruption.
    """
    batches = plan.batches(step)
    supervised = sum(int((batch.labels != IGNORED).sum()) for batch in batches)
    with _seeded(adapter, derive_seed(plan.seed, "training", "dropout", step)):
        loss = sum(_accumulate(adapter, batch, supervised, loss_of) for batch in batches)
    if not math.isfinite(loss):
        raise CtaiError(f"the training loss is {loss} at step {step}: lower training.learning_rate")
    torch.nn.utils.clip_grad_norm_(weights, plan.settings.gradient_clip)
    for group in optimizer.param_groups:
        group["lr"] = plan.rate(step)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    seen = sum(map(len, plan.order[: step + 1]))
    return TrainingStep(step=step, epoch=seen / len(plan.pairs), learning_rate=plan.rate(step), loss=loss)


def _accumulate(adapter: Any, batch: TrainingBatch, supervised: int, loss_of: LossFunction) -> float:
    """Add the gradient of one forward pass; returns its share of the step's mean loss."""
    moved = _moved(batch, adapter)
    device = moved.input_ids.device.type
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        loss = loss_of(adapter, moved) / supervised
    loss.backward()
    return float(loss.item())


def _moved(batch: TrainingBatch, adapter: Any) -> TrainingBatch:
    device = next(adapter.parameters()).device
    return TrainingBatch(*(tensor.to(device) for tensor in (batch.input_ids, batch.attention_mask, batch.labels)))


def _tensors(adapter: Any) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = get_peft_model_state_dict(adapter, save_embedding_layers=False)
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _lora_values(adapter: Any) -> dict[str, Any]:
    """The adapter's configuration as peft reads it, the same bytes in every process (sets have no order)."""
    values: dict[str, Any] = adapter.peft_config["default"].to_dict()
    ordered = {name: sorted(value) if isinstance(value, set) else value for name, value in values.items()}
    return {**ordered, "inference_mode": True, "base_model_name_or_path": None}


def _state(adapter: Any, optimizer: torch.optim.Optimizer, done: list[TrainingStep]) -> Checkpoint:
    return Checkpoint(_tensors(adapter), optimizer.state_dict(), done)


def _resume(adapter: Any, optimizer: torch.optim.Optimizer, folder: Path) -> list[TrainingStep]:
    """Go on from the newest checkpoint; returns the steps that are done."""
    checkpoint = load_newest(folder)
    if checkpoint is None:
        return []
    set_peft_model_state_dict(adapter, checkpoint.adapter)
    optimizer.load_state_dict(checkpoint.optimizer)
    return checkpoint.steps
