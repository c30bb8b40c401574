"""Restart of pytest with `--model=PATH` and `--run-dir=PATH` joined, so that users may write them with a space.

pytest looks for its configuration before it knows the options of a conftest's plugin, and takes the value of an unknown
option for a test path if it exists: `pytest -m gates --run-dir /workspace/run-1` would look for a pytest.ini in /workspace
and find none (https://docs.pytest.org/en/stable/reference/customize.html, "Finding the rootdir"). `--run-dir=...` has no
such problem, so this plugin, the only one that is loaded in every run, starts pytest again with the options joined.

Adds no options, and does nothing unless pytest was started in a checkout of ctai and found another rootdir.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

PATH_OPTIONS = ("--model", "--run-dir", "--profile")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Restart pytest if the path of an option has led it to a rootdir other than the checkout it was started in."""
    invocation = early_config.invocation_params
    arguments = [str(argument) for argument in invocation.args]
    joined = join_paths(arguments)
    checkout = _checkout(invocation.dir)
    program_name = Path(sys.argv[0]).name
    if joined == arguments or checkout is None or early_config.rootpath == checkout:
        return
    if program_name not in ("pytest", "py.test", "__main__.py"):
        return  # pytest.main() inside another program, which must not be restarted
    started_as_module = program_name == "__main__.py"
    program = [sys.executable, "-m", "pytest"] if started_as_module else [sys.executable, sys.argv[0]]
    capture = early_config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()  # the new process inherits the terminal
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*program, *joined])


def join_paths(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with each path option and its value joined: `--model X` becomes `--model=X`."""
    joined: list[str] = []
    pending = list(arguments)
    while pending:
        argument = pending.pop(0)
        if argument in PATH_OPTIONS and pending:
            argument = f"{argument}={pending.pop(0)}"
        joined.append(argument)
    return joined


def _checkout(folder: Path) -> Path | None:
    """Return the checkout of ctai that holds a folder: the one whose root conftest.py names the plugin."""
    for candidate in (folder, *folder.parents):
        conftest = candidate / "conftest.py"
        if conftest.is_file() and "ctai.pytest_plugin" in conftest.read_text(encoding="utf-8", errors="replace"):
            return candidate
    return None
