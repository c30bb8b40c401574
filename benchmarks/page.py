"""Writer of the measured table in docs/performance.md, between two markers; the text around it is written by hand."""

from pathlib import Path
from typing import Any

from ctai.rundir import write_text

# Markers by device, each with its table.
BEGIN = {"cpu": "<!-- measured -->", "cuda": "<!-- measured on a GPU -->"}
END = "<!-- end of what was measured -->"


def update(page: Path, measured: dict[str, Any]) -> None:
    """Replace the table between the markers.

    Raises:
        ValueError: the page has no such markers.
    """
    begin = BEGIN[measured["device"]]
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{page} has no markers {begin} and {END}")
    write_text(page, f"{before}{begin}\n{table(measured)}\n{END}{after}")


def table(measured: dict[str, Any]) -> str:
    """Return the results as Markdown: date, commit, machine, and a row for each arm."""
    machine = measured["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"{measured['date']}, commit {measured['commit']}. {machine['processor']}, {machine['cores']} cores, "
        f"GPU: {machine['gpu'] or 'none'}. Python {machine['python']}, {versions}.",
        "",
        "| benchmark | model | arm | rate | ctai is faster by (median, range) | note |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in measured["rows"]:
        rate = "" if row["rate"] is None else f"{row['rate']:,.1f} {row['unit']}"
        ratio = (
            "" if row["ratio"] is None else f"{row['ratio']:.2f}x ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
        )
        lines.append(f"| {row['benchmark']} | {row['model']} | {row['arm']} | {rate} | {ratio} | {row['note']} |")
    return "\n".join(lines)
