"""Configuration: profiles, settings from the command line, and mistakes reported all at once."""

import pytest

from ctai.config import BUILT_IN_PROFILES, RunConfig
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
        assert config.evaluation.headroom_max_base == 0.80
        assert config.critic == strict.critic
        assert config.heldout.minimum == 300


def test_settings_change_single_values_and_keep_types():
    config = RunConfig.load("embedded", ["pilot.count=150", "model.name=some/model", "scale.shards=2"], seed=7)
    assert (config.pilot.count, config.model.name, config.scale.shards, config.seed) == (150, "some/model", 2, 7)


def test_all_mistakes_are_reported_at_once_with_the_nearest_spelling():
    settings = ["pilot.cuont=1", "scale.count=many", "nonsense", "pilot.count=5", "zzz.q=1"]
    with pytest.raises(ConfigError) as caught:
        RunConfig.load("embedded", settings)
    message = str(caught.value)
    assert "pilot.cuont: unknown; did you mean count?" in message
    assert "scale.count" in message
    assert "nonsense: write KEY=VALUE" in message
    assert "pilot.count: Input should be greater than or equal to 100" in message
    assert "zzz: unknown; known here: profile, seed" in message


def test_a_profile_file_is_read_and_its_errors_are_clear(tmp_path):
    good = tmp_path / "mine.toml"
    good.write_text("[pilot]\ncount = 130\n", encoding="utf-8")
    assert RunConfig.load(str(good)).pilot.count == 130
    bad = tmp_path / "bad.toml"
    bad.write_text("[pilot\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid TOML"):
        RunConfig.load(str(bad))
    with pytest.raises(ConfigError, match="neither embedded nor pod nor a TOML file"):
        RunConfig.load(str(tmp_path / "none.toml"))
