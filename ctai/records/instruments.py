"""Records of the calibration of detectors on labelled responses."""

from typing import Literal

from ctai.records.core import FinishReason, Rate, Record, VersionedRecord


class LabelledResponse(Record):
    """Response with labelled faults.

    Attributes:
        origin: `tuned`: used to develop the detectors. `a`, `b`: labelled later by a reader who did not know the
            detectors, and used to repair them. `c`: labelled likewise and never used for repairs.
        note: reason for the labels.
    """

    text: str
    finish_reason: FinishReason | None
    faults: tuple[str, ...]
    origin: Literal["tuned", "a", "b", "c"]
    note: str = ""


class DetectorRates(Record):
    """Precision and recall of a detector; `k` of both counts the true positives."""

    precision: Rate
    recall: Rate


class DetectorSample(Record):
    """Rates of all detectors on `n` labelled responses, of which `clean` have no fault."""

    n: int
    clean: int
    detectors: dict[str, DetectorRates]


class DetectorCalibration(VersionedRecord):
    """Agreement of the detectors with labelled responses, in total and by origin.

    Attributes:
        labels_sha256: SHA-256 of the labelled file.
        overall: rates on all labelled responses.
        by_origin: rates by origin of the responses.
    """

    labels_sha256: str
    overall: DetectorSample
    by_origin: dict[str, DetectorSample]
