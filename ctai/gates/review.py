"""The review packet: what a person needs to judge a gate that failed for good, in one Markdown file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ctai.gates.evidence import Measured
from ctai.records import Record, Rejection
from ctai.rundir import RunDir, write_text

_SAMPLES_A_REASON = 5
_SAMPLE_CHARS = 300


def write_packet(rundir: RunDir, measured: Measured, history: Sequence[Record], samples: Sequence[Rejection]) -> Path:
    """Write `report/review-<gate>.md`: the question, metrics against thresholds, parameter history and samples."""
    lines = [
        f"# Review: gate {measured.gate} failed",
        "",
        "The gate failed after every retry that the plan allows. Is the model unfit, are the parameters wrong, or is an",
        "instrument mistaken? Thresholds are not to be loosened; say what to change before the next run.",
        "",
        "## Metrics against thresholds",
        "",
        *(f"- {'ok  ' if metric.passed else 'FAIL'} {metric.sentence()}" for metric in measured.metrics),
        "",
        "## Parameter history",
        "",
        *(_fenced(record.model_dump_json(indent=2)) for record in history),
        "",
        "## Samples of what was rejected",
        "",
        *_sample_lines(samples),
    ]
    path = rundir.report / f"review-{measured.gate}.md"
    write_text(path, "\n".join(lines) + "\n")
    return path


def _sample_lines(samples: Sequence[Rejection]) -> list[str]:
    lines: list[str] = []
    counts = Counter((sample.phase, sample.reason) for sample in samples)
    for (phase, reason), count in counts.most_common():
        lines += [f"### {phase}: {reason} ({count})", ""]
        chosen = [s for s in samples if (s.phase, s.reason) == (phase, reason)][:_SAMPLES_A_REASON]
        lines += [_fenced(f"{s.instruction}\n-> {s.completion or s.response}"[:_SAMPLE_CHARS]) for s in chosen]
    return lines or ["none"]


def _fenced(text: str) -> str:
    """Text of a model as a code block that it cannot break out of: the fence is longer than any run of backticks."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}\n"
