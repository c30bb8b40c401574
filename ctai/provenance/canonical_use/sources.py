"""Source texts to check: the installed package, folders of a checkout, and files that a user plugs in."""

from collections.abc import Iterable, Iterator
from importlib.util import decode_source
from pathlib import Path

from ctai.provenance.canonical_use.syntax import Source

PACKAGE = Path(__file__).parents[2]
PLUGIN_PREFIX = "plug-in:"


def package_sources() -> Iterator[Source]:
    """Yield the modules of the installed package, by paths such as `ctai/model/loader.py`."""
    return tree_sources(PACKAGE)


def tree_sources(folder: Path) -> Iterator[Source]:
    """Yield the Python files under a folder in order, by their paths from the folder's parent."""
    folder = folder.resolve()
    for path in sorted(folder.rglob("*.py")):
        yield Source(path.relative_to(folder.parent).as_posix(), _read(path))


def plugin_sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Yield the Python files among a plugin's files; their names match no allowance of the package's modules."""
    for path in sorted({path.resolve() for path in paths if path.suffix == ".py"}):
        yield Source(f"{PLUGIN_PREFIX}{path.parent.name}/{path.name}", _read(path))


def _read(path: Path) -> str:
    """Read a module as Python does; where that fails, with the faulty bytes escaped."""
    data = path.read_bytes()
    try:
        return decode_source(data)
    except (SyntaxError, UnicodeDecodeError):
        return data.decode("utf-8", errors="backslashreplace")
