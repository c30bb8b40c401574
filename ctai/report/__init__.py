"""The report of a run: one HTML page from what lies in the run directory, whatever became of the run.

`write_report` reads records, computes no metric and no verdict, and never fails on what it reads: what is missing or
cannot be read is said on the page. The page needs no network and no script.
"""

from pathlib import Path

from ctai.errors import CtaiError
from ctai.report.page import render
from ctai.report.source import RunReader
from ctai.rundir import RunDir, write_text

__all__ = ["write_report"]


def write_report(run_dir: Path) -> Path:
    """Write `report/index.html` of a run directory and return its path.

    Raises:
        CtaiError: the folder is no run directory, or the page cannot be written.
    """
    rundir = RunDir(Path(run_dir).absolute())
    if not any(path.exists() for path in (rundir.evidence, rundir.logs / "session_manifest.json")):
        raise CtaiError(f"{run_dir} is no run directory: it holds neither evidence nor logs/session_manifest.json")
    path = rundir.report / "index.html"
    write_text(path, render(RunReader(rundir)))
    return path
