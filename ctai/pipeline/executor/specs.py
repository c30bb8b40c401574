"""Executors that `--workers` can name: this process, local Ray workers, or a Ray cluster."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

from ctai.errors import ConfigError, CtaiError

LOCAL = "local"


class ExecutorSpec(NamedTuple):
    """Where shards are made.

    Attributes:
        address: `local` for a cluster of this machine, an address for one that runs; None: in this process.
        number: of workers of a local cluster; 0: one a GPU, or one for two cores.
    """

    address: str | None = None
    number: int = 0


def parse_executor(text: str | None) -> ExecutorSpec | None:
    """What `--workers` says: `here`, `ray`, a number of local workers, `ray://HOST:PORT` or `HOST:PORT`.

    Returns:
        None when nothing is said.

    Raises:
        CtaiError: it is none of these, or Ray is not installed.
    """
    if text is None:
        return None
    if text == "here":
        return ExecutorSpec()
    if find_spec("ray") is None:
        raise CtaiError(f"--workers {text} needs Ray: pip install 'ctai[ray]', or leave it out to make the shards here")
    if text == "ray" or (text.isdecimal() and int(text) > 0):
        return ExecutorSpec(LOCAL, int(text) if text.isdecimal() else 0)
    host, _, port = text.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(
            f"--workers {text}: write here, ray, a number of workers, ray://HOST:PORT (Ray client) or HOST:PORT"
        )
    return ExecutorSpec(text)


def default_executor(device: str, gpus: Callable[[], int]) -> ExecutorSpec:
    """A local cluster where there are several GPUs and Ray is installed; otherwise this process."""
    several = device == "cuda" and find_spec("ray") is not None and gpus() > 1
    return ExecutorSpec(LOCAL) if several else ExecutorSpec()
