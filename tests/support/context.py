"""The context of a stage in tests: a fixed run id and commit, and no screen."""

from ctai.config import RunConfig
from ctai.progress import Progress, SilentProgress
from ctai.provenance import GitState, StageContext
from ctai.records import MadeBy
from ctai.rundir import RunDir

MADE_BY = MadeBy(
    git_commit="c",
    git_dirty=False,
    code_digest="d",
    loader_version="1",
    python="3",
    torch="2",
    transformers="5",
    cuda=None,
    device="cpu",
    commands=("pytest -m gates",),
)


def stage_context(
    rundir: RunDir, config: RunConfig, progress: Progress | None = None, run_id: str = "run"
) -> StageContext:
    """Return a context whose records carry `run_id` and the commit `c`."""
    git = GitState("c", "main", dirty=False)
    return StageContext(
        config=config,
        rundir=rundir,
        run_id=run_id,
        git=git,
        progress=progress or SilentProgress(),
        made_by=MADE_BY,
    )
