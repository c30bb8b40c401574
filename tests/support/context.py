"""The context of a stage in tests: a fixed run id and commit, and no screen."""

from ctai.config import RunConfig
from ctai.progress import Progress, SilentProgress
from ctai.provenance import GitState, StageContext
from ctai.rundir import RunDir


def stage_context(
    rundir: RunDir, config: RunConfig, progress: Progress | None = None, run_id: str = "run"
) -> StageContext:
    """Return a context whose records carry `run_id` and the commit `c`."""
    git = GitState("c", "main", dirty=False)
    return StageContext(config=config, rundir=rundir, run_id=run_id, git=git, progress=progress or SilentProgress())
