"""TOML form of a configuration: read back as the same run, with the origin of each value."""

import pytest

from ctai.config import RunConfig, resolve
from ctai.config.toml import config_text
from ctai.rundir import digest_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("profile", "settings"),
    [
        ("embedded", []),
        ("pod", ["model.revision=main", "limits.scale=1e16", "training.learning_rate=3e-5"]),
        (
            "embedded",
            ['model.name="a \\"b\\" \\\\ ü\\u007f\\n"', 'training.target_modules=["q_proj", "v_proj"]', "seed=-3"],
        ),
    ],
)
def test_what_is_written_down_is_read_back_as_the_same_run(profile, settings, tmp_path):
    before = resolve(profile, settings)
    path = tmp_path / "my profile.toml"
    path.write_text(config_text(before), encoding="utf-8")
    after = RunConfig.load(str(path))
    assert after == before.config
    assert digest_of(after) == digest_of(before.config)


def test_each_value_says_where_it_comes_from():
    options = {"seed": (3, "--seed"), "control": (None, "--control")}
    lines = config_text(resolve("embedded", ["pilot.count=150"], options)).splitlines()
    assert "seed = 3  # from --seed" in lines
    assert 'control = "none"  # default' in lines
    assert "count = 150  # from --set" in lines
    assert "count = 1000  # from profile embedded" in lines
    at = lines.index("count = 150  # from --set")
    assert lines[at - 1] == "# examples to keep (at least 100, at most 200)"
    assert lines[at - 2].startswith("[pilot]  # Gate pilot")
