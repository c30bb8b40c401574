"""Profiles and settings as sources of a configuration, and messages for their mistakes."""

import pytest

from ctai.config import RunConfig
from ctai.errors import ConfigError

pytestmark = pytest.mark.unit


def test_all_mistakes_are_reported_at_once_with_the_nearest_spelling():
    settings = ["pilot.cuont=1", "scale.count=many", "nonsense", "pilot.count=5", "zzz.q=1"]
    with pytest.raises(ConfigError) as caught:
        RunConfig.load("embedded", settings)
    message = str(caught.value)
    assert "pilot.cuont: unknown setting; did you mean count?" in message
    assert "scale.count" in message
    assert "nonsense: write KEY=VALUE" in message
    assert "pilot.count: Input should be greater than or equal to 100" in message
    assert "zzz: unknown setting; allowed: profile, seed" in message
    assert len(message.splitlines()) == 6


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


def test_a_profile_with_three_mistakes_has_three_lines_with_what_is_allowed(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[pilot]\ncuont = 130\ncount = 20\n[model]\nquantization = "nf5"\n[modle]\nname = "x"\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        RunConfig.load(str(path))
    head, *lines = str(caught.value).splitlines()
    assert head == "invalid configuration:"
    source = f"(from profile {path})"
    assert sorted(line.strip() for line in lines) == sorted([
        f"pilot.cuont: unknown setting; did you mean count? {source}",
        f"pilot.count: Input should be greater than or equal to 100 (got 20) {source}",
        f"model.quantization: Input should be 'auto', 'none' or 'nf4' (got 'nf5'); did you mean nf4? {source}",
        f"modle: unknown setting; did you mean model? {source}",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("pilot=3", "pilot: must be a table of settings, such as [pilot] in a profile (from --set)"),
        ("shards=3", "shards: unknown setting; did you mean scale.shards? (from --set)"),
        (
            "generation.response_sampling.temprature=1",
            "temprature: unknown setting; did you mean temperature? (from --set)",
        ),
        ("seed.x=1", "seed: Input should be a valid integer"),
        ("scale.count=2.5", "scale.count: Input should be a valid integer, got a number with a fractional part"),
        ("training.target_modules=3", "training.target_modules: Input should be a valid string (got 3) (from --set)"),
        ("generation.families=[1]", "generation.families: Input should be a valid string (got 1) (from --set)"),
        ("qc.truncated=7", "qc.truncated: Input should be less than or equal to 1 (got 7) (from --set)"),
        ("qc.pair_acceptance=-0.1", "qc.pair_acceptance: Input should be greater than or equal to 0 (got -0.1)"),
        ("qc.overlap=nan", "qc.overlap: Input should be"),
        ("evaluation.max_interval_width=inf", "evaluation.max_interval_width: Input should be a finite number"),
        ("limits.scale=nan", "limits.scale: Input should be a finite number"),
        ("qc.median_tokens=0", "qc.median_tokens: Input should be greater than 0 (got 0)"),
        ("=3", "--set =3: write KEY=VALUE"),
    ],
)
def test_a_mistake_is_one_sentence(setting, sentence):
    with pytest.raises(ConfigError) as caught:
        RunConfig.load("embedded", [setting])
    (line,) = str(caught.value).splitlines()[1:]
    assert sentence in line


def test_bad_toml_names_the_line_and_a_misspelt_profile_the_nearest(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("[pilot]\ncount = 120\nretries = two\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 3"):
        RunConfig.load(str(bad))
    with pytest.raises(ConfigError, match="nor a TOML file that exists; did you mean embedded"):
        RunConfig.load("embeded")
    with pytest.raises(ConfigError, match="neither embedded nor pod"):
        RunConfig.load(str(tmp_path))  # a folder
