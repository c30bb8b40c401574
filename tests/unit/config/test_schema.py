"""Schema of the configuration: valid profiles, unchanged thresholds, typed settings."""

import pytest

from ctai.config import RunConfig
from ctai.config.sources import BUILT_IN_PROFILES

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
        assert config.headroom.max_base == 0.80
        assert config.critic == strict.critic
        assert config.heldout.minimum == 300


def test_settings_change_single_values_and_keep_types():
    config = RunConfig.load("embedded", ["pilot.count=150", "model.name=some/model", "scale.shards=2"], seed=7)
    assert (config.pilot.count, config.model.name, config.scale.shards, config.seed) == (150, "some/model", 2, 7)
