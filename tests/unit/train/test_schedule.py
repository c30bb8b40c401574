"""Length of a training run: steps, evaluations and the early stop."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.config import Control, TrainingSettings
from ctai.train.schedule import (
    best_evaluation,
    evaluation_interval,
    has_converged,
    is_evaluated,
    may_stop_early,
    steps_for,
)

pytestmark = pytest.mark.unit

LOSSES = st.lists(st.floats(0.01, 10.0), min_size=1, max_size=12)


@pytest.mark.parametrize(("examples", "epochs", "steps"), [(16, 3, 6), (10, 3, 4), (10, 0.5, 1), (1, 0.1, 1)])
def test_steps(examples, epochs, steps):
    assert steps_for(examples, epochs, 8) == steps


@pytest.mark.parametrize(("steps", "epochs", "interval"), [(24, 3.0, 4), (6, 3.0, 1), (23, 3.0, 4), (1, 0.1, 5)])
def test_evaluations_are_spread_over_an_epoch(steps, epochs, interval):
    settings = TrainingSettings(epochs=epochs, dev_evaluations_per_epoch=2)
    assert evaluation_interval(steps, settings) == interval


def test_the_last_step_is_always_evaluated():
    assert [step for step in range(1, 11) if is_evaluated(step, 10, 4)] == [4, 8, 10]


@pytest.mark.parametrize(
    ("losses", "patience", "converged"),
    [
        ([3.0, 2.0, 1.0], 1, False),
        ([1.0, 1.0], 1, True),  # an equal loss is no improvement
        ([1.0, 2.0], 2, False),
        ([1.0, 2.0, 1.5], 2, True),
        ([1.0, 2.0, 0.9], 2, False),
        ([2.0, 1.0, 1.5, 1.6, 1.7], 3, True),
        ([1.0, 2.0, 3.0, 4.0], 0, False),
        ([], 3, False),
        ([1.0], 1, False),
    ],
)
def test_training_ends_when_the_loss_no_longer_falls(losses, patience, converged):
    assert has_converged(losses, patience) == converged


@given(LOSSES, st.integers(1, 5))
def test_a_stop_leaves_the_best_loss_exactly_patience_evaluations_behind(losses, patience):
    """At the first stop; a run that obeys it sees no later one."""
    stops = [n for n in range(1, len(losses) + 1) if has_converged(losses[:n], patience)]
    if stops:
        seen = losses[: stops[0]]
        assert best_evaluation(seen) == len(seen) - 1 - patience
        assert seen[best_evaluation(seen)] == min(seen)
    else:
        assert len(losses) - 1 - best_evaluation(losses) < patience


@given(LOSSES)
def test_the_earliest_of_equal_losses_is_the_best(losses):
    assert best_evaluation([*losses, *losses]) == losses.index(min(losses))


def test_controls_of_the_data_keep_their_number_of_steps():
    assert [control for control in get_args(Control) if may_stop_early(control)] == ["none", "no-critic"]
