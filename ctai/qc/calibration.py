"""The detectors measured on labelled responses, so that their rates can be trusted as far as the labels go.

Owns the labelled responses, which are part of the package, and the calibration record.
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
    """The labelled responses, in the order of the file.

    Raises:
        CtaiError: the file is missing, or a line is no labelled response.
    """
    return read_jsonl(path, LabelledResponse)


def calibrate_detectors(path: Path = LABELLED_RESPONSES) -> DetectorCalibration:
    """Precision and recall of every detector on labelled responses, those of the package by default."""
    labelled = labelled_responses(path)
    found = [find_faults(one.text, one.finish_reason) for one in labelled]
    pairs = list(zip(labelled, found, strict=True))
    origins = dict.fromkeys(one.origin for one in labelled)
    return DetectorCalibration(
        labels=sha256_file(path),
        everything=_sample(pairs),
        origins={origin: _sample([pair for pair in pairs if pair[0].origin == origin]) for origin in origins},
    )


def _sample(pairs: Sequence[tuple[LabelledResponse, frozenset[str]]]) -> DetectorSample:
    return DetectorSample(
        n=len(pairs),
        clean=sum(not labelled.faults for labelled, _ in pairs),
        detectors={fault: _rates(fault, pairs) for fault in FAULTS},
    )


def _rates(fault: str, pairs: Sequence[tuple[LabelledResponse, frozenset[str]]]) -> DetectorRates:
    labelled = [fault in one.faults for one, _ in pairs]
    found = [fault in faults for _, faults in pairs]
    both = sum(a and b for a, b in zip(labelled, found, strict=True))
    return DetectorRates(precision=rate(both, sum(found)), recall=rate(both, sum(labelled)))
