"""The fixtures of the run. Each makes its artifact and demands the passed verdict of the gate before it."""

from collections.abc import Callable

import pytest

from ctai.gates import contamination as gate_1
from ctai.gates import data as gates_2b_and_3
from ctai.gates import evaluation as gate_4
from ctai.gates import instruments as gate_2a
from ctai.gates.evidence import Measured
from ctai.gates.run import Run
from ctai.records import Metric

Judge = Callable[[Measured, str], Metric]


@pytest.fixture(scope="session")
def base_model(gate_run: Run) -> Measured:
    """Gate 1: the base model, loaded, examined and shown to be one."""
    return gate_1.examine_base(gate_run)


@pytest.fixture(scope="session")
def instruments(gate_run: Run) -> Measured:
    """Gate 2a: the frozen test set, and every instrument measured on labels."""
    gate_run.require_passed("contamination")
    return gate_2a.calibrate_instruments(gate_run)


@pytest.fixture(scope="session")
def pilot(gate_run: Run) -> Measured:
    """Gate 2b: a small dataset with its quality control."""
    gate_run.require_passed("instruments")
    return gates_2b_and_3.make_pilot(gate_run)


@pytest.fixture(scope="session")
def scale_dataset(gate_run: Run) -> Measured:
    """Gate 3: the merged dataset."""
    gate_run.require_passed("pilot")
    return gates_2b_and_3.make_scale_dataset(gate_run)


@pytest.fixture(scope="session")
def headroom(gate_run: Run) -> Measured:
    """Gate 4a: the base model and the cheap baselines, measured before training."""
    gate_run.require_passed("scale")
    return gate_4.measure_headroom(gate_run)


@pytest.fixture(scope="session")
def evaluation(gate_run: Run) -> Measured:
    """Gate 4b: the adapter, trained and compared with its base."""
    gate_run.require_passed("headroom")
    return gate_4.train_and_evaluate(gate_run)
