"""Explanation of a failed metric for the terminal and the JUnit report: value, offending samples, remedy.

Reads the records of the run directory, as the report does. Computes no metric and no verdict.
"""

from typing import Any, NamedTuple

from ctai.explain.offenders import Offender, find_offenders
from ctai.records import Metric
from ctai.registry import metric_spec
from ctai.report.text import to_plain_text
from ctai.rundir import RunDir
from ctai.rundir.reader import RunReader

__all__ = ["Explanation", "explain"]

_MAX_EXAMPLES = 3
_MAX_CHARACTERS = 150


class _Crash(NamedTuple):
    """One-line message in the form that pytest reads for its summary and for the JUnit report."""

    message: str


class Explanation:
    """Text of a failed test in place of a traceback; the first line is the sentence of the metric."""

    def __init__(self, sentence: str, lines: tuple[str, ...]) -> None:
        self.reprcrash = _Crash(sentence)
        self._lines = (sentence, *lines)

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def toterminal(self, writer: Any) -> None:
        """Write the lines where pytest would write a traceback."""
        for line in self._lines:
            writer.line(line)


def explain(rundir: RunDir, gate: str, metric: Metric) -> Explanation:
    """Explain a metric that missed its threshold.

    Args:
        rundir: run directory that holds the records of the gate.
        gate: name of the gate.
        metric: the missed metric.
    """
    offenders = find_offenders(RunReader(rundir), gate, metric.name)
    examples = (f"    {_format_offender(offender)}" for offender in offenders[:_MAX_EXAMPLES])
    count = len(offenders)
    head = (f"  for example, of {count}:" if count > _MAX_EXAMPLES else "  namely:",) if offenders else ()
    return Explanation(
        to_line(metric.sentence(), 2000), (*head, *examples, f"  try next: {metric_spec(metric.name).remedy}")
    )


def _format_offender(offender: Offender) -> str:
    output = to_line(offender.text) if offender.text.strip() else "(nothing)"
    prompt = f"{to_line(offender.prompt)} -> " if offender.prompt else ""
    return f"{to_line(offender.problem)}: {prompt}{output}"


def to_line(text: str, limit: int = _MAX_CHARACTERS) -> str:
    r"""Return a text as one line that cannot move the cursor.

    Line ends become `\n`, hidden characters become labels, and the text is cut after `limit` characters.
    """
    return to_plain_text(text.strip(), limit).replace("\n", "\\n").replace("\t", "\\t")
