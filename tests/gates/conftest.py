"""The fixtures of the run. Each makes its artifact and demands the passed verdict of the gate before it.

Gates are imported where they run: collecting the tests imports no torch.
"""

import pytest

from ctai.evidence.result import GateResult
from ctai.pipeline.run import Run


@pytest.fixture(scope="session")
def base_model(gate_run: Run) -> GateResult:
    """Gate contamination: the base model, loaded and checked."""
    from ctai.gates.contamination import check_base_model

    return check_base_model(gate_run)


@pytest.fixture(scope="session")
def instruments(gate_run: Run) -> GateResult:
    """Gate instruments: the frozen test set, and every instrument measured on labels."""
    from ctai.gates.instruments import calibrate_instruments

    gate_run.require_passed("contamination")
    return calibrate_instruments(gate_run)


@pytest.fixture(scope="session")
def headroom(gate_run: Run) -> GateResult:
    """Gate headroom: the base model and the cheap baselines, before anything is generated."""
    from ctai.gates.headroom import measure_headroom

    gate_run.require_passed("instruments")
    return measure_headroom(gate_run)


@pytest.fixture(scope="session")
def pilot(gate_run: Run) -> GateResult:
    """Gate pilot: a small dataset with its quality control."""
    from ctai.gates.pilot import make_pilot

    gate_run.require_passed("headroom")
    return make_pilot(gate_run)


@pytest.fixture(scope="session")
def scale_dataset(gate_run: Run) -> GateResult:
    """Gate scale: the merged dataset."""
    from ctai.gates.scale import make_scale_dataset

    gate_run.require_passed("pilot")
    return make_scale_dataset(gate_run)


@pytest.fixture(scope="session")
def evaluation(gate_run: Run) -> GateResult:
    """Gate evaluation: the adapter, trained and compared with its base."""
    from ctai.gates.evaluation import train_and_evaluate

    gate_run.require_passed("scale")
    return train_and_evaluate(gate_run)
