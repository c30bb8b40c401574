"""Generator of docs/known_right.md: accuracy of the instruments and error rates of the gates on one page.

    python -m scripts.known_right --run runs/embedded-embedded-seed0

takes the calibration of the instruments from a finished run, and the tables of sentinels, false passes and fault injection
from their generated pages.
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
# First measurements of the instruments on labels that they had not been tuned on, recorded at the time.
FIRST = DOCS / "data" / "first_measurements.json"
# Origin of the labels that were added after the last repair.
UNSEEN = "c"
HEAD = """# Known to be right

ctai measures its own error rates. Every run calibrates each instrument against labels on its base model, and the numbers are
part of the evidence (gate instruments stops a run whose instruments miss their thresholds). Each fault that an earlier
implementation let through is injected by a test. A study of whole runs counts how often a faulty run passes.

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
        "First measurement of each instrument on labels that it had not been tuned on:",
        "",
        *first_measurements(),
        "",
        *included("Sentinels", "sentinels.md"),
        *included("False passes", "false_passes.md"),
        *included("Fault injection", "faults.md"),
    ]
    write_text(DOCS / "known_right.md", "\n".join(lines).rstrip() + "\n")
    return 0


def instruments(folder: Path) -> Iterator[str]:
    """Yield the table of the calibration by gate instruments of a run."""
    yield "| instrument | labels | measured (95% interval) | threshold |"
    yield "| --- | --- | --- | --- |"
    scorers = read_record(folder / "scorers" / "calibration.json", ScorerCalibration)
    labels = f"{scorers.n} labelled answers"
    content = _value(scorers.kappa, scorers.kappa_interval)
    strict = _value(scorers.strict_kappa, scorers.strict_kappa_interval)
    yield f"| answer scorers, content | {labels} | Cohen's kappa {content} | 0.9, lower bound |"
    yield f"| answer scorers, strict | {labels} | Cohen's kappa {strict} | |"
    yield f"| wrong answers that pass | {scorers.false_passes.n} labelled wrong | {_rate(scorers.false_passes)} | |"
    detectors = read_record(folder / "detectors" / "calibration.json", DetectorCalibration)
    yield from _detectors(detectors.overall, "labelled responses", "0.95 each")
    yield from _detectors(detectors.by_origin[UNSEEN], "of them, added after the last repair", "")
    for kind in ("instructions", "pairs"):
        critic = read_record(folder / f"critic_{kind}" / "calibration.json", CriticCalibration)
        yield from _critic(kind, critic)


def _detectors(sample: DetectorSample, labels: str, threshold: str) -> Iterator[str]:
    for fault, accuracy in sample.detectors.items():
        measured = f"precision {_rate(accuracy.precision)}, recall {_rate(accuracy.recall)}"
        yield f"| detector {fault} | {sample.n} {labels} | {measured} | {threshold} |"


def _critic(kind: str, critic: CriticCalibration) -> Iterator[str]:
    probes = f"{critic.n} labelled probes"
    accuracy = _value(critic.balanced_accuracy, critic.balanced_accuracy_interval)
    yield f"| critic of {kind} | {probes} | balanced accuracy {accuracy} | 0.6, lower bound |"
    yield f"| | | AUROC {_value(critic.auroc, critic.auroc_interval)} | |"
    for fault, acceptance in critic.acceptance.items():
        yield f"| | {fault} | accepted {_rate(acceptance)} | |"
    yield f"| | | P(A) + P(B) {critic.coverage_mean:.3f} | |"
    yield f"| | nothing to judge | P(A) share {critic.label_bias:.3f} (no bias: 0.5) | |"
    swapped = _value(critic.swapped_balanced_accuracy, critic.swapped_balanced_accuracy_interval)
    yield f"| | letters exchanged | balanced accuracy {swapped}; below 0.5 it follows the letter, not its meaning | |"
    yield f"| | examples in reverse order | same verdict {_rate(critic.order_agreement)} | |"


def first_measurements() -> Iterator[str]:
    """Yield the table of first measurements."""
    yield "| instrument | labels | measured |"
    yield "| --- | --- | --- |"
    for row in json.loads(FIRST.read_text(encoding="utf-8")):
        yield f"| {row['instrument']} | {row['labels']} | {row['measured']} |"


def included(title: str, page: str) -> Iterator[str]:
    """Yield another page as a section: its text up to the end of its first table, and a link to the rest."""
    text = (DOCS / page).read_text(encoding="utf-8").split("\n", 1)[1].strip()
    lines = text.split("\n")
    rows = [number for number, line in enumerate(lines) if line.startswith("|")]
    last = next((n for n in rows if n + 1 not in rows), len(lines) - 1)
    yield from (f"## {title}", "", *lines[: last + 1], "", f"Details: [{page}]({page}).", "")


def _value(value: float, interval: Interval) -> str:
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _rate(rate: Rate) -> str:
    return f"{rate.k} of {rate.n}, {_value(rate.value, rate.interval)}"


if __name__ == "__main__":
    sys.exit(main())
