"""The base model of a run: it gives its memory back and is loaded again."""

import weakref
from pathlib import Path

import pytest

from ctai.config import ModelSettings
from ctai.gates.base import BaseModel
from ctai.model.clean import CleanModel
from ctai.records import Sampling

pytestmark = pytest.mark.unit


def test_a_released_model_is_gone_and_the_next_use_loads_it_again(
    tiny_model_folder: Path, tiny_model: CleanModel
) -> None:
    base = BaseModel(ModelSettings(name=str(tiny_model_folder), quantization="none"))
    base.passed(tiny_model.provenance)
    base.release()  # there is nothing yet
    sampling = Sampling(max_new_tokens=4)
    first = base.engine.generate(["x"], sampling)
    model = weakref.ref(base.module)
    base.release()
    assert model() is None
    assert base.engine.generate(["x"], sampling) == first
