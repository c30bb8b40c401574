"""Gates runs in other processes: started, awaited, and killed with their process group."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.crash.crash import Point
from tests.crash.server import CHECKOUT

_POLL_SECONDS = 0.05
_LONGEST_RUN_SECONDS = 3600


def environment() -> dict[str, str]:
    """Return an environment with one thread: forks need it, and results must not depend on the number of threads."""
    return os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


def gates(root: Path, *more: str) -> list[str]:
    """Return the arguments of pytest for a gates run in a directory."""
    return ["-m", "gates", f"--run-dir={root}", "-p", "no:cacheprovider", "-q", *more]


class Server:
    """Context manager that starts runs by forking."""

    def __enter__(self) -> "Server":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT, env=environment(),
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._next() == "ready"
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def run(
        self,
        arguments: list[str],
        root: Path,
        folder: Path,
        target: Point | None,
        until: Callable[[], bool] | None = None,
    ) -> int:
        """Run the gates to their end and return the exit status, negative if a signal ended the process.

        Args:
            arguments: arguments of pytest.
            root: run directory.
            folder: folder of `trace` (of this run) and `log` (of all runs).
            target: point at which the process kills itself.
            until: polled during the run; the process group is killed when it returns True.
        """
        trace = folder / "trace"
        trace.unlink(missing_ok=True)
        request = {
            "arguments": arguments, "root": str(root), "trace": str(trace), "target": target,
            "log": str(folder / "log"),
        }  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        group = int(self._next())
        while until is not None and self._lines.empty():
            if until():
                os.killpg(group, signal.SIGKILL)
                break
            time.sleep(_POLL_SECONDS)
        return int(self._next())

    def _next(self) -> str:
        return self._lines.get(timeout=_LONGEST_RUN_SECONDS)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.strip())
