"""Server that forks gates runs, which saves the import of torch: a fork takes a second, an import ten.

Reads one JSON object per line, `{"arguments", "root", "trace", "target", "log"}`, starts pytest with these arguments in a
new process group, and writes the process id and, after its end, the exit status (negative: the signal).
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]


def _serve() -> None:
    import bitsandbytes  # noqa: F401
    import peft  # noqa: F401
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import statsmodels.api  # noqa: F401
    import torch  # noqa: F401
    import transformers.models.llama  # noqa: F401

    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(request: dict[str, Any]) -> None:
    """Run the gates in the child process and exit."""
    import pytest

    from tests.crash import crash

    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(CHECKOUT)
    target = crash.Point(*request["target"]) if request["target"] else None
    crash.install(Path(request["root"]), Path(request["trace"]), target)
    sys.argv = ["pytest", *request["arguments"]]
    status = int(pytest.main(request["arguments"]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve()
