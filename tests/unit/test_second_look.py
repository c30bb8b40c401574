"""The evaluation's one retry looks at the test set again, and has to pay for that."""

import pytest

from ctai.config import RunConfig
from ctai.gates.looks import tuned

pytestmark = pytest.mark.unit


def test_the_second_look_needs_half_the_p_value_and_loosens_nothing():
    config = RunConfig.load("embedded")
    second = tuned(config)
    assert second.evaluation.alpha == config.evaluation.alpha / 2
    changed = {"training": second.training, "evaluation": second.evaluation}
    assert second == config.model_copy(update=changed)
    assert second.evaluation == config.evaluation.model_copy(update={"alpha": second.evaluation.alpha})
    assert second.training.learning_rate < config.training.learning_rate
    assert second.training.epochs > config.training.epochs
