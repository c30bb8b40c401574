"""Calibration of the fault detectors on labelled responses."""

import json

import pytest

from ctai.qc.calibration import LABELLED_RESPONSES, calibrate_detectors, labelled_responses
from ctai.qc.faults import FAULTS, find_faults
from ctai.records import DetectorCalibration

pytestmark = pytest.mark.unit

FLOOR = 0.95


@pytest.fixture(scope="module")
def calibration() -> DetectorCalibration:
    return calibrate_detectors()


@pytest.mark.fault(8, plant="labelled responses with long good ones among them", check="detectors measured on labels")
@pytest.mark.parametrize("fault", FAULTS)
def test_precision_and_recall_on_labelled_responses(fault, calibration):
    rates = calibration.overall.detectors[fault]
    rows = [(row, fault in find_faults(row.text, row.finish_reason)) for row in labelled_responses()]
    wrong = [row.text for row, found in rows if found != (fault in row.faults)]
    assert rates.recall.n >= 30
    assert rates.precision.value >= FLOOR, wrong
    assert rates.recall.value >= FLOOR, wrong


def test_the_labelled_responses_have_hard_negatives_and_no_copies(calibration):
    rows = labelled_responses()
    assert calibration.overall.clean >= 200
    assert len({(row.text, row.finish_reason) for row in rows}) == len(rows)
    assert {fault for row in rows for fault in row.faults} == set(FAULTS)
    assert all(("token_limit" in row.faults) == (row.finish_reason == "length") for row in rows)


def test_the_calibration_adds_up_over_its_origins(calibration):
    assert sum(sample.n for sample in calibration.by_origin.values()) == calibration.overall.n
    for fault in FAULTS:
        whole, parts = (
            calibration.overall.detectors[fault],
            [s.detectors[fault] for s in calibration.by_origin.values()],
        )
        assert sum(part.recall.k for part in parts) == whole.recall.k == whole.precision.k
        assert sum(part.precision.n for part in parts) == whole.precision.n
    assert DetectorCalibration.model_validate_json(calibration.model_dump_json()) == calibration


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_labels_are_seen(fault, calibration, tmp_path):
    """Labels that say the opposite of one fault leave its detector without precision and recall, and no other."""
    spoilt = tmp_path / "labels.jsonl"
    rows = [json.loads(line) for line in LABELLED_RESPONSES.read_text(encoding="utf-8").split("\n") if line]
    for row in rows:
        row["faults"] = sorted({*row["faults"]} ^ {fault})
    spoilt.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = calibrate_detectors(spoilt)
    low = {name for name, r in found.overall.detectors.items() if min(r.precision.value, r.recall.value) < FLOOR}
    assert low == {fault}
    assert found.labels_sha256 != calibration.labels_sha256
