"""Fixtures of the inference tests: the real generation loop over a model that writes a given text."""

from typing import Any

import pytest

from ctai.model.clean_model import CleanModel
from ctai.model.control_tokens import InputGuard
from ctai.model.inference.engine import Engine
from ctai.records import Sampling
from tests.support.spelling import SpellingModel, Writer


@pytest.fixture
def writes(tiny_model: CleanModel) -> Writer:
    """Run the real generation loop over a model that writes a given text (or given ids)."""

    def run(text: str | list[int], **sampling: Any) -> Any:
        ids = tiny_model.engine.encode(text) if isinstance(text, str) else text
        engine = Engine(SpellingModel(tiny_model, ids), tiny_model.tokenizer, InputGuard({}), "cpu")
        return engine.generate(["x"], Sampling(**{"max_new_tokens": 200, **sampling}))[0]

    return run
