"""Records of instruments that are held against labels which people gave."""

from typing import Literal

from ctai.records.core import FinishReason, Rate, Record, VersionedRecord


class LabelledResponse(Record):
    """A response with the faults that it has, and why.

    `origin` says how the detectors know it: `tuned` ones they were made with; `a` and `b` were labelled later by a
    reader who did not know the detectors, which were repaired on them; `c` likewise, and nothing was repaired on it.
    """

    text: str
    finish_reason: FinishReason | None
    faults: tuple[str, ...]
    origin: Literal["tuned", "a", "b", "c"]
    note: str = ""


class DetectorRates(Record):
    """How right a detector is: `precision` is over what it found, `recall` over what the labels say; `k` of both agree."""

    precision: Rate
    recall: Rate


class DetectorSample(Record):
    """All detectors on `n` labelled responses, `clean` of them without a fault."""

    n: int
    clean: int
    detectors: dict[str, DetectorRates]


class DetectorCalibration(VersionedRecord):
    """How well the detectors agree with labelled responses: on all of them, and on those of each origin.

    `labels` is the SHA-256 of the labelled file.
    """

    labels: str
    everything: DetectorSample
    origins: dict[str, DetectorSample]
