"""Length of a training run: optimizer steps, evaluations on the development split, and the early stop.

Owns the arithmetic, which needs no model: verification recomputes it. Does not own the loop (`ctai.train.loop`).
"""

import math
from collections.abc import Sequence

from ctai.config import Control, TrainingSettings

# These controls train as an ordinary run does; every other one keeps its planned steps and its last adapter, so that a
# control differs from the run in its data and not in its number of steps.
_MAY_STOP_EARLY: frozenset[Control] = frozenset({"none", "no-critic"})


def steps_for(examples: int, epochs: float, batch_size: int) -> int:
    """Return the number of optimizer steps of `epochs` passes over `examples`, at least one."""
    return max(1, -(-round(examples * epochs) // batch_size))


def evaluation_interval(steps: int, settings: TrainingSettings) -> int:
    """Return the number of optimizer steps between two evaluations on the development split.

    Args:
        steps: planned optimizer steps of the run.
        settings: hyperparameters.
    """
    return max(1, math.ceil(steps / settings.epochs / settings.dev_evaluations_per_epoch))


def is_evaluated(step: int, steps: int, interval: int) -> bool:
    """Return whether the development loss is evaluated after a number of finished steps; always after the last.

    Args:
        step: finished optimizer steps.
        steps: planned optimizer steps.
        interval: steps between two evaluations.
    """
    return step == steps or step % interval == 0


def best_evaluation(losses: Sequence[float]) -> int:
    """Return the index of the lowest development loss, of the earliest among equal ones."""
    return min(range(len(losses)), key=lambda index: (losses[index], index))


def has_converged(losses: Sequence[float], patience: int) -> bool:
    """Return whether the last `patience` development losses are all no better than the best one before them.

    Early stopping by patience as in Prechelt (1998), "Early Stopping - But When?". Never, if the patience is 0.
    """
    return patience > 0 and len(losses) > patience and best_evaluation(losses) < len(losses) - patience


def may_stop_early(control: Control) -> bool:
    """Return whether the development loss may end the training and choose the adapter of a run under this control."""
    return control in _MAY_STOP_EARLY
