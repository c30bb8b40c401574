"""HTML report of a run: one self-contained file, written for finished, failed and damaged runs alike.

`write_report` reads records and decides no verdict; the rates of the base arms are those that gate headroom computes. Missing
or unreadable records never raise; the report lists them. The report needs no network and no script.
"""

from pathlib import Path

from ctai.errors import CtaiError
from ctai.report.render import render_report
from ctai.rundir import RunDir, write_text
from ctai.rundir.reader import RunReader

__all__ = ["write_report"]


def write_report(run_dir: Path) -> Path:
    """Write `report/index.html` of a run directory and return its path.

    Raises:
        CtaiError: the folder is not a run directory, or the report cannot be written.
    """
    rundir = RunDir(Path(run_dir).absolute())
    if not any(path.exists() for path in (rundir.evidence, rundir.logs / "session_manifest.json")):
        raise CtaiError(f"{run_dir} is not a run directory: it holds neither evidence nor logs/session_manifest.json")
    rundir.check_schema_version()
    path = rundir.report / "index.html"
    write_text(path, render_report(RunReader(rundir)))
    return path
