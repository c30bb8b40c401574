"""Generation settings of a retry, by the reasons that the previous attempt failed."""

import pytest

from ctai.config import RunConfig
from ctai.generate.retry import retry_generation
from tests.support.generated import CONFIG

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("reason", "retry", "changed"),
    [
        ("token_limit_rate 0.2 >= 0.1", 1, {"response_sampling"}),
        ("pair_acceptance 0.3 < 0.5", 1, {"few_shot_examples"}),
        ("runaway_rate 0.2 >= 0.05", 2, {"few_shot_examples", "response_sampling"}),
        ("instruction_acceptance 0.3 < 0.5", 1, {"list_examples"}),
        ("instruction_acceptance 0.3 < 0.5", 2, {"list_examples", "instruction_sampling"}),
        ("kept_examples 80 < 120", 1, {"example_rotation", "max_batches_per_item", "instruction_sampling"}),
    ],
)
def test_each_reason_changes_what_it_is_about(reason, retry, changed):
    config = retry_generation(CONFIG, [reason], retry)
    before, after = CONFIG.generation.model_dump(), config.generation.model_dump()
    assert {key for key in before if before[key] != after[key]} == changed


def test_a_retry_changes_settings_in_the_right_direction():
    config = retry_generation(CONFIG, ["token_limit_rate 0.2 >= 0.1", "pair_acceptance 0.3 < 0.5"], 2)
    before, after = CONFIG.generation, config.generation
    assert after.response_sampling.max_new_tokens == 45
    assert after.few_shot_examples == before.few_shot_examples + 1
    assert after.response_sampling.temperature == 0.32


def test_low_acceptance_is_never_answered_with_heat():
    config = retry_generation(CONFIG, ["kept_examples 80 < 120", "pair_acceptance 0.3 < 0.5"], 1)
    assert config.generation.instruction_sampling == CONFIG.generation.instruction_sampling


@pytest.mark.parametrize("retry", [1, 2])
def test_a_retry_changes_nothing_but_generation(retry):
    reasons = [
        "runaway_rate 1 >= 0.05",
        "kept_examples 0 < 1",
        "token_limit_rate 1 >= 0.1",
        "instruction_acceptance 0 < 0.5",
    ]
    changed = retry_generation(CONFIG, reasons, retry)
    assert changed.model_copy(update={"generation": CONFIG.generation}) == CONFIG
    assert RunConfig.model_validate(changed.model_dump()) == changed
