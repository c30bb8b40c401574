"""Names that users script against stay importable, and keep their signatures."""

import inspect

import pytest

import ctai
from ctai import CleanModelLoader, CompletionStylePrompts, InstructionCritic, RunConfig
from ctai.errors import ContaminationError, CtaiError
from ctai.generate.dedup import deduplicate
from ctai.model.clean_model import CleanModel
from ctai.model.inference.engine import Engine
from ctai.qc import find_faults
from ctai.tasks import FAMILIES

pytestmark = pytest.mark.unit


def test_the_package_exports_the_documented_names() -> None:
    assert ctai.__all__ == [
        "CleanModelLoader", "CompletionStylePrompts", "ContaminationError", "CtaiError", "InstructionCritic", "RunConfig",
    ]  # fmt: skip
    assert all(hasattr(ctai, name) for name in ctai.__all__)
    assert issubclass(ContaminationError, CtaiError)
    assert RunConfig.load("embedded").profile == "embedded"


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (CleanModelLoader, ["name_or_path", "quantization", "device", "allow_bos"]),
        (CleanModel.with_adapter, ["self", "path"]),
        (Engine.generate, ["self", "prompts", "sampling"]),
        (Engine.token_logprobs, ["self", "prompts", "token_ids"]),
        (InstructionCritic.judge_instructions, ["self", "instructions"]),
        (InstructionCritic.judge_pairs, ["self", "pairs"]),
        (CompletionStylePrompts.clean_response, ["raw"]),
        (CompletionStylePrompts.parse_instructions, ["raw", "complete"]),
        (find_faults, ["text", "finish_reason"]),
        (deduplicate, ["records", "against", "threshold"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_a_public_function_keeps_its_first_parameters(function: object, parameters: list[str]) -> None:
    assert callable(function)
    assert list(inspect.signature(function).parameters)[: len(parameters)] == parameters


def test_a_family_asks_and_checks() -> None:
    import random

    family = FAMILIES[0]
    instruction = family.instruction(random.Random(0))
    assert family.check(instruction, "no answer at all", "eos") == family.score(instruction, "no answer at all", "eos")
