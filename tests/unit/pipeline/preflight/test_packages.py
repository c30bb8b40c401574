"""What is installed: versions against requirements, and libraries that have to work on the device."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit
from bitsandbytes.optim import PagedAdamW8bit

from ctai.pipeline.preflight.packages import (
    bfloat16_problem,
    package_requirements,
    quantization_problem,
    version_problem,
)

pytestmark = pytest.mark.unit
INSTALLED = {"torch": "2.13.0+cu130", "peft": "0.17.1", "numpy": "2.4.6"}


@pytest.mark.parametrize(
    ("requirements", "problem"),
    [
        (["torch>=2.11", "numpy"], ""),
        (["peft>=0.18"], "peft 0.17.1. Run pip install 'peft>=0.18'"),
        (["rich>=13.9"], "rich is not installed. Run pip install 'rich>=13.9'"),
        (
            ["torch<2.12,>=2.11", "rich>=13.9"],
            "torch 2.13.0+cu130, rich is not installed. Run pip install 'torch<2.12,>=2.11' 'rich>=13.9'",
        ),
        (["ray>=2.40; extra == 'ray'", "tomli>=2; python_version < '3.11'"], ""),
    ],
)
def test_what_is_missing_or_too_old_is_said_with_what_to_install(requirements, problem):
    assert version_problem(requirements, INSTALLED.get) == problem


def test_the_requirements_are_those_of_the_package_and_are_met_here():
    assert {"torch>=2.11", "transformers>=5.17"} <= set(package_requirements())
    assert version_problem(package_requirements()) == ""


@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
def test_libraries_that_work_are_no_problem():
    before = torch.random.get_rng_state()
    assert quantization_problem("cpu") == ""
    assert torch.equal(torch.random.get_rng_state(), before)


def test_libraries_that_do_not_work_are_one_sentence():
    problem = quantization_problem("no such device")
    assert problem.startswith("bitsandbytes does not work here (RuntimeError: ")
    assert "Install a version of it that is built for " in problem
    assert "\n" not in problem


@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
@pytest.mark.parametrize(
    ("owner", "name", "broken", "problem"),
    [
        (PagedAdamW8bit, "step", lambda self: None, "a step of the 8-bit optimizer computes wrong values"),
        (Linear4bit, "forward", lambda self, x: torch.zeros_like(x), "a 4-bit layer computes wrong values"),
    ],
)
def test_libraries_that_compute_wrong_are_found(owner, name, broken, problem, monkeypatch):
    monkeypatch.setattr(owner, name, broken)
    assert f"({problem})" in quantization_problem("cpu")


@pytest.mark.parametrize("able", [True, False])
def test_a_gpu_without_bfloat16_is_named(able, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: able or including_emulation)
    assert ("Take a GPU of compute capability 8.0" in bfloat16_problem()) is not able
