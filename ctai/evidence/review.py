"""The review of a gate that failed for good: a packet for a person or a program to judge, and what they answered.

Owns the packet, one Markdown file with the question, metrics against thresholds, what to try, parameter history and samples,
and the run of the user's own review command on it. Nothing that a review says changes a verdict.
"""

import json
import shlex
import subprocess
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ctai.evidence.result import GateResult
from ctai.nested import leaves
from ctai.records import EvaluationItem, Record, Rejection
from ctai.registry import metric_spec
from ctai.rundir import RunDir, sha256_file, write_text

COMMAND_VARIABLE = "CTAI_REVIEW_COMMAND"
# Of each attempt shown, whether it differs or not.
_OUTCOME = ("passed", "reasons")
_SAMPLES_A_REASON = 5
_SAMPLE_CHARS = 300


class Sample(NamedTuple):
    """Something that speaks against the gate: why, what was asked, what the model wrote."""

    reason: str
    instruction: str
    text: str


class ReviewContext(NamedTuple):
    """What a gate did before it failed: the parameters and results of each attempt, and samples of what went wrong."""

    history: tuple[Record, ...] = ()
    samples: tuple[Sample, ...] = ()


def rejected(rejections: Sequence[Rejection]) -> tuple[Sample, ...]:
    """Samples of what a shard did not keep."""
    return tuple(Sample(f"{r.phase}: {r.reason}", r.instruction, r.completion or r.response) for r in rejections)


def failed_answers(items: Sequence[EvaluationItem]) -> tuple[Sample, ...]:
    """Samples of the answers of an arm that were not right."""
    return tuple(Sample(f"{i.arm}: {i.failure_reason}", i.instruction, i.raw) for i in items if not i.strict)


def packet_path(rundir: RunDir, gate: str) -> Path:
    """Where the packet of a gate lies."""
    return rundir.report / f"review-{gate}.md"


def write_packet(rundir: RunDir, measured: GateResult, background: ReviewContext) -> Path:
    """Write the packet of a gate that failed."""
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
        "## What to try",
        "",
        *(f"- {metric.name}: {metric_spec(metric.name).remedy}" for metric in measured.metrics if not metric.passed),
        "",
        "## Parameter history",
        "",
        *(_history_lines(background.history) or ["one attempt, as configured"]),
        "",
        "## Samples of what went wrong",
        "",
        *_sample_lines(background.samples),
    ]
    path = packet_path(rundir, measured.gate)
    write_text(path, "\n".join(lines) + "\n")
    return path


def archive_review(rundir: RunDir, gate: str) -> None:
    """Move the packet of an earlier failure below `superseded/`: the gate has passed since."""
    path = packet_path(rundir, gate)
    if path.exists():
        target = next(t for n in count() if not (t := rundir.path("superseded", f"review-{gate}-{n}.md")).exists())
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def run_review_command(rundir: RunDir, packet: Path, command: str, limit_seconds: float) -> str:
    """Run the user's review command on a packet, once for each content of it, and file its answer.

    The command is started without a shell, as `COMMAND... PACKET ANSWER`: it reads the first file and writes the second;
    what it prints is the answer if it writes none.

    Returns:
        One sentence for the log. A review that cannot be had is no error: the packet is there all the same.
    """
    answer = rundir.path("reviews", f"{packet.stem}-{sha256_file(packet)[:12]}.md")
    where = rundir.relative(answer)
    if answer.exists():
        return f"the review of {packet.name} is at {where} already"
    answer.parent.mkdir(parents=True, exist_ok=True)
    try:
        arguments = [*shlex.split(command), str(packet), str(answer)]
        done = subprocess.run(arguments, capture_output=True, text=True, errors="replace", timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        return f"no review of {packet.name}: the command took longer than {limit_seconds:g} s"
    except (OSError, ValueError) as error:
        return f"no review of {packet.name}: {COMMAND_VARIABLE} cannot be run: {error}"
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        return (
            f"no review of {packet.name}: the command ended with {done.returncode} {said[-1] if said else ''}".rstrip()
        )
    if not answer.exists():
        write_text(answer, done.stdout)
    return f"the review of {packet.name} is at {where}, SHA-256 {sha256_file(answer)}"


def _history_lines(history: Sequence[Record]) -> list[str]:
    """The first attempt in full, of each later one what differs from the attempt before it, and how each ended."""
    attempts = [dict(leaves(record.model_dump(mode="json"))) for record in history]
    lines: list[str] = []
    for number, attempt in enumerate(attempts):
        before = attempts[number - 1] if number else {}
        shown = {key: value for key, value in attempt.items() if key in _OUTCOME or before.get(key, ...) != value}
        title = f"### attempt {number + 1}" + (", where it differs from the one before" if number else "")
        lines += [title, "", fenced("\n".join(f"{key}: {json.dumps(value)}" for key, value in shown.items()))]
    return lines


def _sample_lines(samples: Sequence[Sample]) -> list[str]:
    lines: list[str] = []
    for reason, number in Counter(sample.reason for sample in samples).most_common():
        lines += [f"### {reason} ({number})", ""]
        chosen = [sample for sample in samples if sample.reason == reason][:_SAMPLES_A_REASON]
        lines += [fenced(f"{sample.instruction}\n-> {sample.text}"[:_SAMPLE_CHARS]) for sample in chosen]
    return lines or ["none"]


def fenced(text: str) -> str:
    """Text of a model as a code block that it cannot break out of: the fence is longer than any run of backticks."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}\n"
