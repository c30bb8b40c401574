"""Calibration of the fault detectors: precision and recall on human-labelled responses.

Owns the labelled responses of the package and the calibration record.
"""

from collections.abc import Sequence
from pathlib import Path

from ctai.qc.faults import FAULTS, find_faults
from ctai.records import DetectorCalibration, DetectorRates, DetectorSample, LabelledResponse
from ctai.rundir import read_jsonl, sha256_file
from ctai.statistics import rate
from ctai.tasks import data

LABELLED_RESPONSES = Path(data.__file__).parent / "labelled" / "responses.jsonl"


def labelled_responses(path: Path = LABELLED_RESPONSES) -> list[LabelledResponse]:
    """Return the labelled responses, in the order of the file.

    Raises:
        CtaiError: the file is missing, or a line is not a labelled response.
    """
    return read_jsonl(path, LabelledResponse)


def calibrate_detectors(path: Path = LABELLED_RESPONSES) -> DetectorCalibration:
    """Compute precision and recall of every detector on labelled responses, by default those of the package."""
    responses = labelled_responses(path)
    pairs = [(response, find_faults(response.text, response.finish_reason)) for response in responses]
    origins = dict.fromkeys(response.origin for response in responses)
    return DetectorCalibration(
        labels_sha256=sha256_file(path),
        overall=_sample(pairs),
        by_origin={origin: _sample([pair for pair in pairs if pair[0].origin == origin]) for origin in origins},
    )


def _sample(pairs: Sequence[tuple[LabelledResponse, frozenset[str]]]) -> DetectorSample:
    return DetectorSample(
        n=len(pairs),
        clean=sum(not response.faults for response, _ in pairs),
        detectors={fault: _rates(fault, pairs) for fault in FAULTS},
    )


def _rates(fault: str, pairs: Sequence[tuple[LabelledResponse, frozenset[str]]]) -> DetectorRates:
    labels = [fault in response.faults for response, _ in pairs]
    detections = [fault in faults for _, faults in pairs]
    true_positives = sum(a and b for a, b in zip(labels, detections, strict=True))
    return DetectorRates(precision=rate(true_positives, sum(detections)), recall=rate(true_positives, sum(labels)))
