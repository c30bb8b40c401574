"""Generator of the tables of docs/gates.md from the registry: `python -m scripts.gate_tables`.

Each table is between the comments `<!-- metrics of GATE -->` and `<!-- end -->`; the text around it is written by hand.
"""

from collections.abc import Iterator
from pathlib import Path

from ctai.config import RunConfig, threshold_of
from ctai.registry import GATES, KEPT_EXAMPLES, QC_METRICS, UNIQUE_EXAMPLES, GateSpec, MetricSpec
from ctai.rundir import write_text

PAGE = Path(__file__).parents[1] / "docs" / "gates.md"


def table(gate: GateSpec) -> str:
    """Return the Markdown table of a gate's metrics; the quality metrics of the pilot are not repeated for scale."""
    metrics = [metric for metric in gate.metrics if gate.name != "scale" or metric not in QC_METRICS]
    return (
        "\n".join(["| metric | threshold | shown | not shown |", "| --- | --- | --- | --- |", *map(_row, metrics)])
        + "\n"
    )


def _row(metric: MetricSpec) -> str:
    is_count = metric in (KEPT_EXAMPLES, UNIQUE_EXAMPLES)
    threshold = f"`{metric.setting}`" if is_count else f"{threshold_of(metric, RunConfig()):g}"
    bound = "" if metric.bound == "value" else f"{metric.bound} bound: "
    setting = f" (`{metric.setting}`)" if metric.setting and not is_count else ""
    return f"| `{metric.name}` | {metric.comparison} {threshold} | {bound}{metric.meaning}{setting} | {metric.limits} |"


def with_tables(text: str) -> str:
    """Return the page with every table generated again."""
    for gate in GATES:
        start, end = f"<!-- metrics of {gate.name} -->\n", "<!-- end -->"
        head, separator, rest = text.partition(start)
        if not separator:
            raise SystemExit(f"docs/gates.md has no place for the metrics of gate {gate.name}: add {start.strip()}")
        text = head + start + table(gate) + end + rest.partition(end)[2]
    return text


def headings() -> Iterator[str]:
    """Yield the heading of each gate's section."""
    yield from (f"## {gate.number} {gate.name}: {gate.title}" for gate in GATES)


if __name__ == "__main__":
    write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8")))
