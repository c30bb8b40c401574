"""Fixtures of the gates: each requires the verdict of the gate before, then makes the artifacts of its gate.

Gates are imported inside the fixtures, so that collection imports no torch.
"""

import pytest

from ctai.evidence.result import GateResult
from ctai.pipeline.run import Run


@pytest.fixture(scope="session")
def _ledger_of_the_session() -> None:
    """Leave the ledger of comparisons that the user has: the gates are a run, not a test of the code."""


@pytest.fixture
def _ledger_of_the_test() -> None:
    """Leave the ledger of comparisons that the user has."""


@pytest.fixture(scope="session")
def base_model(gate_run: Run) -> GateResult:
    """Run gate contamination: load and check the base model."""
    from ctai.gates.contamination import check_base_model

    return check_base_model(gate_run)


@pytest.fixture(scope="session")
def instruments(gate_run: Run) -> GateResult:
    """Run gate instruments: freeze the test set and calibrate every instrument."""
    from ctai.gates.instruments import calibrate_instruments

    gate_run.require_passed("contamination")
    return calibrate_instruments(gate_run)


@pytest.fixture(scope="session")
def headroom(gate_run: Run) -> GateResult:
    """Run gate headroom: evaluate the base model and its baselines."""
    from ctai.gates.headroom import measure_headroom

    gate_run.require_passed("instruments")
    return measure_headroom(gate_run)


@pytest.fixture(scope="session")
def pilot(gate_run: Run) -> GateResult:
    """Run gate pilot: generate a small dataset with its quality control."""
    from ctai.gates.pilot import make_pilot

    gate_run.require_passed("headroom")
    return make_pilot(gate_run)


@pytest.fixture(scope="session")
def scale_dataset(gate_run: Run) -> GateResult:
    """Run gate scale: generate the shards and merge them."""
    from ctai.gates.scale import make_scale_dataset

    gate_run.require_passed("pilot")
    return make_scale_dataset(gate_run)


@pytest.fixture(scope="session")
def evaluation(gate_run: Run) -> GateResult:
    """Run gate evaluation: train the adapter and compare it with its base."""
    from ctai.gates.evaluation import train_and_evaluate

    gate_run.require_passed("scale")
    return train_and_evaluate(gate_run)
