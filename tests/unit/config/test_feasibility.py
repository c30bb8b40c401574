"""Configurations that no run can pass: each is refused in one sentence, and the shipped profiles are not."""

from types import SimpleNamespace

import pytest

from ctai.config import RunConfig, impossible_settings
from ctai.errors import ConfigError
from ctai.pipeline.options import resolve_options

pytestmark = pytest.mark.unit

IMPOSSIBLE = {
    "headroom.max_new_tokens=1": "headroom.max_new_tokens: one token holds no answer with its end",
    "generation.response_sampling.max_new_tokens=1": "one token holds no answer with its end",
    "qc.runaway=0": "qc.runaway: runaway_rate cannot be below 0",
    "qc.token_limit=0": "qc.token_limit: token_limit_rate cannot be below 0",
    "qc.truncated=0": "qc.truncated: truncated_rate cannot be below 0",
    "training.epochs=0.01": "training.epochs: 0.01 of 1000 examples is less than one optimizer step of 16",
    "generation.instruction_sampling.max_new_tokens=1": "need more than the 0 lines of 8 rounds",
}


def options(*settings: str) -> SimpleNamespace:
    return SimpleNamespace(
        gpu=False, model=None, profile=None, seed=None, count=None, shards=None, control=None, settings=list(settings)
    )


@pytest.mark.parametrize("profile", ["embedded", "pod"])
def test_the_shipped_profiles_can_pass(profile):
    assert list(impossible_settings(RunConfig.load(profile))) == []


@pytest.mark.parametrize(("setting", "sentence"), IMPOSSIBLE.items())
def test_what_cannot_pass_is_refused_before_the_first_gate(setting, sentence):
    with pytest.raises(ConfigError) as caught:
        resolve_options(options(setting))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("setting", ["headroom.max_new_tokens=2", "training.epochs=0.016"])
def test_what_can_still_pass_is_not_refused(setting):
    resolve_options(options(setting))
