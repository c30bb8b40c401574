"""Why a gate's test failed, for the terminal and the JUnit report: the number, some of what caused it, what to try next.

Reads what the gate left in the run directory, as the report does, and judges nothing.
"""

from typing import Any, NamedTuple

from ctai.evidence.advice import ADVICE
from ctai.explain.offenders import Offender, offenders
from ctai.records import Metric
from ctai.report.source import RunReader
from ctai.report.text import plain
from ctai.rundir import RunDir

__all__ = ["Explanation", "explain"]

_SHOWN = 3
_LONGEST = 150


class _Crash(NamedTuple):
    """What pytest takes the one line from, for its summary and for the message in the JUnit report."""

    message: str


class Explanation:
    """The text of a failed test in the place of a traceback; its first line is the metric's sentence."""

    def __init__(self, sentence: str, lines: tuple[str, ...]) -> None:
        self.reprcrash = _Crash(sentence)
        self._lines = (sentence, *lines)

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def toterminal(self, writer: Any) -> None:
        """Write it where pytest would write a traceback."""
        for line in self._lines:
            writer.line(line)


def explain(rundir: RunDir, gate: str, metric: Metric) -> Explanation:
    """What a metric that missed its threshold has to say.

    Args:
        rundir: the run directory, in which the gate's fixture has left its records.
        gate: the gate.
        metric: the metric.
    """
    found = offenders(RunReader(rundir), gate, metric.name)
    examples = (f"    {_line(one)}" for one in found[:_SHOWN])
    head = (f"  for example, of {len(found)}:" if len(found) > _SHOWN else "  namely:",) if found else ()
    return Explanation(one_line(metric.sentence(), 2000), (*head, *examples, f"  try next: {ADVICE[metric.name]}"))


def _line(offender: Offender) -> str:
    said = one_line(offender.text) if offender.text.strip() else "(nothing)"
    asked = f"{one_line(offender.asked)} -> " if offender.asked else ""
    return f"{one_line(offender.what)}: {asked}{said}"


def one_line(text: str, limit: int = _LONGEST) -> str:
    """A text as one line that cannot move the cursor: ends of lines as \\n, hidden characters as labels, cut."""
    shown = plain(text.strip(), limit)
    return shown.replace("\n", "\\n").replace("\t", "\\t")
