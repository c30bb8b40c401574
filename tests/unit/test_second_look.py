"""The evaluation's one retry looks at the test set again, and has to pay for that."""

import pytest

from ctai.config import RunConfig
from ctai.gates.evaluation import _tuned

pytestmark = pytest.mark.unit


def test_the_second_look_needs_half_the_p_value_and_loosens_nothing():
    config = RunConfig.load("embedded")
    tuned = _tuned(config)
    assert tuned.evaluation.alpha == config.evaluation.alpha / 2
    changed = {"training": tuned.training, "evaluation": tuned.evaluation}
    assert tuned == config.model_copy(update=changed)
    assert tuned.evaluation == config.evaluation.model_copy(update={"alpha": tuned.evaluation.alpha})
    assert tuned.training.learning_rate < config.training.learning_rate
    assert tuned.training.epochs > config.training.epochs
