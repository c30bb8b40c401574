"""Checkpoints of the optimizer that training uses on a GPU: its 8-bit states come back as they were."""

from pathlib import Path

import pytest
import torch
from bitsandbytes.optim import PagedAdamW8bit

from ctai.records import DevEvaluation, TrainingStep
from ctai.train.checkpoint import Checkpoint, load_newest_checkpoint, save_checkpoint

pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")]

# The last is too small for 8 bit.
SHAPES = ((16, 512), (700, 200), (10,))


class Training:
    """Weights of several sizes with an optimizer, and gradients that follow from the step."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.weights = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
        self.optimizer = PagedAdamW8bit(self.weights, lr=0.0, weight_decay=0.01)

    def run(self, *steps: int) -> None:
        """Do these steps."""
        for step in steps:
            generator = torch.Generator().manual_seed(step)
            for weight in self.weights:
                weight.grad = torch.randn(weight.shape, generator=generator)
            for group in self.optimizer.param_groups:
                group["lr"] = 1e-3 * (step + 1)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def take(self, tensors: dict[str, torch.Tensor]) -> None:
        """Begin with these weights."""
        with torch.no_grad():
            for name, tensor in tensors.items():
                self.weights[int(name)].copy_(tensor)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights by their numbers."""
        return {str(number): weight.detach() for number, weight in enumerate(self.weights)}

    def equals(self, other: "Training") -> bool:
        """Whether all weights are the same bits."""
        return all(torch.equal(one, two) for one, two in zip(self.weights, other.weights, strict=True))


def test_training_in_8_bit_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    uninterrupted = Training()
    uninterrupted.run(0, 1, 2)
    done = [TrainingStep(step=step, epoch=1.0, learning_rate=0.1, loss=1.0) for step in range(3)]
    evaluations = [DevEvaluation(step=2, epoch=1.0, loss=0.5)]
    best = {"0": torch.ones(16, 512)}
    state = Checkpoint(uninterrupted.tensors(), uninterrupted.optimizer.state_dict(), done, evaluations, best)
    save_checkpoint(state, tmp_path)
    uninterrupted.run(3, 4)

    read = load_newest_checkpoint(tmp_path)
    assert read is not None
    assert (read.steps, read.evaluations) == (done, evaluations)
    assert torch.equal(read.best["0"], best["0"])
    resumed, forgetful = Training(), Training()
    resumed.optimizer.load_state_dict(read.optimizer)
    for training in (resumed, forgetful):
        training.take(read.adapter)
        training.run(3, 4)
    states = [resumed.optimizer.state[weight]["state1"].dtype for weight in resumed.weights]
    assert states == [torch.uint8, torch.uint8, torch.float32]
    assert resumed.equals(uninterrupted)
    assert not forgetful.equals(uninterrupted)
