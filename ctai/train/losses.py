"""Loss functions of fine-tuning, on a padded batch or on one packed row.

Owns the choice of positions that carry loss in a forward pass, and the check whether an architecture can be packed. Does
not own the labels (`ctai.train.data`) or the optimization (`ctai.train.loop`).
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from ctai.train.data import IGNORED, TrainingBatch

LossFunction = Callable[[Any, TrainingBatch], torch.Tensor]


def summed_loss(model: Any, batch: TrainingBatch) -> torch.Tensor:
    """Compute the negative log-likelihood in nats, summed over the supervised tokens of a padded batch.

    Only the logits that carry loss are converted to float32: the full array of a large vocabulary would not fit into
    memory.

    Returns:
        A scalar tensor with gradient.
    """
    output = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False)
    targets = batch.labels[:, 1:]
    supervised = targets != IGNORED
    return cross_entropy(output.logits[:, :-1][supervised].float(), targets[supervised], reduction="sum")


def summed_loss_packed(model: Any, batch: TrainingBatch) -> torch.Tensor:
    """Compute `summed_loss` on the batch packed into one row without padding, with logits of supervised tokens only.

    Position ids restart at 0 with each example, which keeps attention within it where the architecture supports that;
    see `can_pack`.
    """
    return cross_entropy(*_packed(model, batch), reduction="sum")


def _packed(model: Any, batch: TrainingBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of the supervised tokens of one packed row, [tokens, vocabulary], and the tokens, [tokens]."""
    attended = batch.attention_mask.bool()
    ids, labels = batch.input_ids[attended], batch.labels[attended]
    positions = (batch.attention_mask.cumsum(-1) - 1)[attended]
    targets = labels[1:]
    supervised = ((targets != IGNORED) & (positions[1:] > 0)).nonzero()[:, 0]
    output = model(input_ids=ids[None], position_ids=positions[None], use_cache=False, logits_to_keep=supervised)
    return output.logits[0].float(), targets[supervised]


def can_pack(model: Any, batch: TrainingBatch) -> bool:
    """Return whether the architecture computes the same loss on a packed row, without attention across examples.

    A leak may hardly change the loss, so a second check replaces the tokens of all examples but the last, which must not
    change the losses of the last one.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not {"position_ids", "logits_to_keep"} <= inspect.signature(base.forward).parameters.keys():
        return False
    with torch.no_grad():
        padded = summed_loss(model, batch)
        packed = cross_entropy(*_packed(model, batch), reduction="none")
        ids = batch.input_ids.clone()
        ids[:-1] = (ids[:-1] - 1).clamp(min=0)
        perturbed = cross_entropy(*_packed(model, replace(batch, input_ids=ids)), reduction="none")
    last = int((batch.labels[-1, 1:] != IGNORED).sum())
    leak = (perturbed - packed)[-last:].abs().max()
    return bool(((packed.sum() - padded).abs() <= 0.01 * padded) & (leak <= 1e-4))


def mean_loss(model: Any, batches: Iterable[TrainingBatch], loss_of: LossFunction) -> float:
    """Compute the mean loss per supervised token over all batches, in nats, without dropout and without gradient.

    The model is in training mode before and after.
    """
    device = next(model.parameters()).device
    total, tokens = 0.0, 0
    model.eval()
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        for batch in batches:
            total += float(loss_of(model, batch.to(device)).item())
            tokens += int((batch.labels != IGNORED).sum())
    model.train()
    return total / tokens
