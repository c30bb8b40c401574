"""Writes docs/known_right.md: on one page, how right the instruments are and what the gates stop.

    python -m scripts.known_right --run runs/embedded-embedded-seed0

takes the calibration of the instruments from a finished run, and the tables of planted faults, sentinels and false passes
from the pages that their own commands have written.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from ctai.records import CriticCalibration, DetectorCalibration, DetectorSample, Interval, Rate, ScorerCalibration
from ctai.rundir import read_record, write_text

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# What instruments measured on labels that they had not been tuned on, the first time; written down then.
FIRST = DOCS / "data" / "first_measurements.json"
# The origin of labels that came after the last repair.
UNSEEN = "c"
HEAD = """# Known to be right

ctai asks nobody to take a verdict on trust. Each instrument is held against labels on the model at hand, and its numbers are
part of the evidence of every run (gate 2a stops a run whose instruments fall short); each fault that an earlier
implementation let through is planted again and again; and whole runs that must not pass are counted.

This page is generated:

    python -m scripts.known_right --run runs/embedded-embedded-seed0
"""


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run directory")
    run = parser.parse_args().run
    lines = [
        HEAD,
        "## Instruments",
        "",
        *instruments(run / "evidence" / "instruments"),
        "",
        "How right they were on labels that nobody had tuned them on, at the first measurement:",
        "",
        *first_measurements(),
        "",
        *included("Sentinels", "sentinels.md"),
        *included("False passes", "false_passes.md"),
        *included("Planted faults", "faults.md"),
    ]
    write_text(DOCS / "known_right.md", "\n".join(lines).rstrip() + "\n")
    return 0


def instruments(folder: Path) -> Iterator[str]:
    """The table of what a run's gate 2a measured."""
    yield "| instrument | held against | measured (95% interval) | floor |"
    yield "| --- | --- | --- | --- |"
    scorers = read_record(folder / "scorers" / "calibration.json", ScorerCalibration)
    labels = f"{scorers.n} labelled answers"
    content = _value(scorers.kappa, scorers.kappa_interval)
    strict = _value(scorers.strict_kappa, scorers.strict_kappa_interval)
    yield f"| answer checkers, content | {labels} | Cohen's kappa {content} | 0.9, lower bound |"
    yield f"| answer checkers, strict | {labels} | Cohen's kappa {strict} | |"
    yield f"| wrong answers that pass | {scorers.false_passes.n} labelled wrong | {_rate(scorers.false_passes)} | |"
    detectors = read_record(folder / "detectors" / "calibration.json", DetectorCalibration)
    yield from _detectors(detectors.everything, "labelled responses", "0.95 each")
    yield from _detectors(detectors.origins[UNSEEN], "of them, on which nothing was repaired", "")
    for kind in ("instructions", "pairs"):
        critic = read_record(folder / f"critic_{kind}" / "calibration.json", CriticCalibration)
        yield from _critic(kind, critic)


def _detectors(sample: DetectorSample, labels: str, floor: str) -> Iterator[str]:
    for fault, one in sample.detectors.items():
        measured = f"precision {_rate(one.precision)}, recall {_rate(one.recall)}"
        yield f"| detector {fault} | {sample.n} {labels} | {measured} | {floor} |"


def _critic(kind: str, critic: CriticCalibration) -> Iterator[str]:
    probes = f"{critic.n} labelled probes"
    accuracy = _value(critic.balanced_accuracy, critic.balanced_accuracy_interval)
    yield f"| critic of {kind} | {probes} | balanced accuracy {accuracy} | 0.6, lower bound |"
    yield f"| | | AUROC {_value(critic.auroc, critic.auroc_interval)} | |"
    for fault, accepted in critic.acceptance.items():
        yield f"| | {fault} | accepted {_rate(accepted)} | |"
    yield f"| | | P(A) + P(B) {critic.coverage_mean:.3f} | |"
    yield f"| | nothing to judge | P(A) share {critic.label_bias:.3f} (no bias: 0.5) | |"
    swapped = _value(critic.swapped_balanced_accuracy, critic.swapped_balanced_accuracy_interval)
    yield f"| | letters exchanged | balanced accuracy {swapped}; below 0.5 it knows the letter, not its meaning | |"
    yield f"| | examples in reverse order | same verdict {_rate(critic.order_agreement)} | |"


def first_measurements() -> Iterator[str]:
    """The table of first measurements."""
    yield "| instrument | labels | measured |"
    yield "| --- | --- | --- |"
    for row in json.loads(FIRST.read_text(encoding="utf-8")):
        yield f"| {row['instrument']} | {row['labels']} | {row['measured']} |"


def included(title: str, page: str) -> Iterator[str]:
    """A page of its own, as a section: its text up to the end of its first table, and where the rest is."""
    text = (DOCS / page).read_text(encoding="utf-8").split("\n", 1)[1].strip()
    lines = text.split("\n")
    rows = [number for number, line in enumerate(lines) if line.startswith("|")]
    last = next((n for n in rows if n + 1 not in rows), len(lines) - 1)
    yield from (f"## {title}", "", *lines[: last + 1], "", f"More on this: [{page}]({page}).", "")


def _value(value: float, interval: Interval) -> str:
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _rate(rate: Rate) -> str:
    return f"{rate.k} of {rate.n}, {_value(rate.value, rate.interval)}"


if __name__ == "__main__":
    sys.exit(main())
