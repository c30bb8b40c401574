"""Launch of a run: from command-line options to an open run directory, after the preflight checks."""

import re
from pathlib import Path
from typing import Any

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.pipeline.executor.options import parse_execution_options
from ctai.pipeline.options import normalized_command, resolve_options
from ctai.pipeline.preflight.checks import preflight
from ctai.pipeline.run import Run
from ctai.progress import Display
from ctai.records import utc_now
from ctai.rundir import RunDir


def options_to_run(option: Any, display: Display | None = None) -> Run:
    """Open the run that the command-line options select.

    Args:
        option: the parsed options of pytest.
        display: shows progress.

    Raises:
        CtaiError: an option, the profile, the model path or the run directory is not usable.
    """
    if option.fresh and option.run_dir:
        raise CtaiError("--fresh: it makes a new run directory, so --run-dir cannot be given. Leave out one of them")
    config = resolve_options(option).config
    if config.control == "foreign" and not Path(config.control_data).is_file():
        raise CtaiError("--control foreign: no dataset of another run. Give --set control_data=FILE.jsonl")
    execution = parse_execution_options(option.workers, option.only_shards, config.scale.shards)
    root = Path(option.run_dir) if option.run_dir else default_run_dir(config, fresh=option.fresh)
    for check in preflight(config, root):
        if not check.ok:
            raise CtaiError(f"{check.name}: {check.message}")
    return Run(config, RunDir.open(root), execution, display, normalized_command(option))


def default_run_dir(config: RunConfig, *, fresh: bool = False) -> Path:
    """Return `runs/<profile>-<model>-seed<N>[-<control>]`, so that the same command resumes; `fresh` adds the time."""
    model = re.sub(r"[^A-Za-z0-9._-]+", "-", config.model.name).strip("-.") or "model"
    control = f"-{config.control}" if config.control != "none" else ""
    dated = f"-{utc_now():%Y%m%dT%H%M%S}" if fresh else ""
    return Path("runs") / f"{config.profile}-{model}-seed{config.seed}{control}{dated}"
