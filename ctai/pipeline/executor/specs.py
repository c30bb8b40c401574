"""Executors of `--workers`: this process, local Ray workers, or a Ray cluster."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

from ctai.errors import ConfigError, CtaiError

LOCAL = "local"


class ExecutorSpec(NamedTuple):
    """Executor of shards.

    Attributes:
        address: `local` for a new cluster on this machine, the address of a running one, or None for this process.
        number: number of workers of a local cluster; 0 for one per GPU, or one per two cores.
    """

    address: str | None = None
    number: int = 0


def parse_executor(text: str | None) -> ExecutorSpec | None:
    """Parse `--workers`: `here`, `ray`, a number of local workers, `ray://HOST:PORT` or `HOST:PORT`.

    Returns:
        The executor; None if the option is not given.

    Raises:
        CtaiError: the value is invalid, or Ray is not installed.
    """
    if text is None:
        return None
    if text == "here":
        return ExecutorSpec()
    if find_spec("ray") is None:
        raise CtaiError(f"--workers {text} needs Ray. Run pip install 'ctai[ray]', or leave out --workers")
    if text == "ray" or (text.isdecimal() and int(text) > 0):
        return ExecutorSpec(LOCAL, int(text) if text.isdecimal() else 0)
    host, _, port = text.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(
            f"--workers {text}: invalid executor. Write here, ray, a number of workers, ray://HOST:PORT (Ray client) or HOST:PORT"
        )
    return ExecutorSpec(text)


def default_executor(device: str, gpus: Callable[[], int]) -> ExecutorSpec:
    """Return a local cluster if there are several GPUs and Ray is installed; otherwise this process."""
    use_ray = device == "cuda" and find_spec("ray") is not None and gpus() > 1
    return ExecutorSpec(LOCAL) if use_ray else ExecutorSpec()
