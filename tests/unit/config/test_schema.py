"""Schema of the configuration: valid profiles, unchanged thresholds, typed settings."""

import pytest

from ctai.config import RunConfig
from ctai.config.sources import BUILT_IN_PROFILES
from ctai.errors import ConfigError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("profile", BUILT_IN_PROFILES)
def test_profiles_are_valid(profile):
    assert RunConfig.load(profile).profile == profile


def test_the_pod_profile_is_qwen_in_four_bit():
    model = RunConfig.load("pod").model
    assert (model.name, model.quantization, model.device) == ("Qwen/Qwen2.5-32B", "nf4", "cuda")


def test_no_profile_changes_a_threshold():
    strict = RunConfig()
    for profile in BUILT_IN_PROFILES:
        config = RunConfig.load(profile)
        assert config.qc == strict.qc
        assert config.evaluation.alpha == 0.01
        assert config.evaluation.max_interval_width == 0.15
        assert config.critic == strict.critic
        if not config.generation.embedded_world:
            assert config.heldout == strict.heldout


def test_the_gap_is_relaxed_by_the_embedded_profile_alone():
    gaps = {name: RunConfig.load(name).headroom for name in BUILT_IN_PROFILES}
    assert (gaps["pod"].max_base, gaps["pod"].max_base_upper, gaps["pod"].min_reference) == (0.30, 0.40, 0.70)
    assert (gaps["embedded"].max_base, gaps["embedded"].max_base_upper) == (0.599, 0.70)


@pytest.mark.parametrize("value", ["0.6", "0.8", "1"])
def test_a_base_that_answers_most_items_cannot_be_allowed(value):
    with pytest.raises(ConfigError, match=r"headroom\.max_base.*less than 0\.6"):
        RunConfig.load("embedded", [f"headroom.max_base={value}"])


def test_settings_change_single_values_and_keep_types():
    config = RunConfig.load("embedded", ["pilot.count=150", "model.name=some/model", "scale.shards=2"], seed=7)
    assert (config.pilot.count, config.model.name, config.scale.shards, config.seed) == (150, "some/model", 2, 7)
