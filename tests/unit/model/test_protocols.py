"""Model interface: the scripted engine of the tests implements it."""

import math

import pytest

from ctai.model.protocols import TextEngine
from ctai.records import Sampling
from tests.support.scripted import ScriptedEngine

pytestmark = pytest.mark.unit


def test_the_scripted_engine_is_a_text_engine() -> None:
    engine: TextEngine = ScriptedEngine(lambda prompt: "Paris\nQ: more", lambda prompt: {" A": 0.75})
    completion = engine.generate(["x"], Sampling(stop=("\nQ:",)))[0]
    assert (completion.text, completion.raw, completion.finish_reason) == ("Paris", "Paris\nQ:", "stop")
    label = engine.encode(" A")
    assert len(label) == 1
    assert engine.token_logprobs(["x"], label)[0, 0] == pytest.approx(math.log(0.75))
