"""Where weights come from: a hub id, a folder, a GGUF file or the embedded model, resolved to files on this disk.

Owns finding files and their digests. It reads no weights and judges nothing.
"""

import re
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from ctai.errors import CtaiError
from ctai.rundir import digest_of, sha256_file

EMBEDDED = "embedded"
_WANTED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "tokenizer*"]
_NOT_WANTED = ["original/*", "*/*", "consolidated*"]


class Source(NamedTuple):
    """A model on this disk.

    `requested` is what the user wrote and `model_id` how the model is called, without its path here.
    """

    requested: str
    model_id: str
    folder: Path
    gguf: str | None
    revision: str | None

    @property
    def weight_files(self) -> tuple[str, ...]:
        """Names of the files that hold the weights, in order; empty when there are none that may be loaded."""
        if self.gguf is not None:
            return (self.gguf,)
        names = (path.name for path in self.folder.glob("*.safetensors"))
        return tuple(sorted(n for n in names if not n.startswith(("adapter_model", "consolidated"))))


def resolve(name_or_path: str, revision: str | None = None) -> Source:
    """Find a model; a local folder or file is preferred over a hub id of the same name.

    Raises:
        CtaiError: there is no such model, or the hub cannot be reached.
    """
    if name_or_path == EMBEDDED:
        folder = Path(str(resources.files("ctai.model").joinpath("embedded")))
        if not folder.is_dir():
            raise CtaiError("this installation of ctai lacks the embedded model; install it again")
        return Source(name_or_path, EMBEDDED, folder, None, None)
    path = Path(name_or_path).expanduser()
    if path.exists():
        return _local(name_or_path, path)
    if (
        not re.fullmatch(r"[\w.-]+(?:/[\w.-]+)?", name_or_path)
        or name_or_path.startswith(".")
        or path.suffix == ".gguf"
    ):
        raise CtaiError(f"model {name_or_path!r}: there is no such folder or .gguf file")
    return _from_hub(name_or_path, revision)


def weights_digest(source: Source) -> str:
    """SHA-256 over the names and SHA-256 of the weight files, in order of their names."""
    return digest_of([[name, _file_digest(source.folder / name)] for name in source.weight_files])


def _local(requested: str, path: Path) -> Source:
    # Not resolved otherwise: a link is called what its owner calls it.
    name = path.resolve().name if path.name in ("", "..") else path.name
    if path.is_file():
        if path.suffix != ".gguf":
            raise CtaiError(f"model {requested!r} is a file, but not a .gguf file; name its folder instead")
        return Source(requested, name, path.parent, path.name, None)
    ggufs = sorted(p.name for p in path.glob("*.gguf"))
    if ggufs and not any(path.glob("*.safetensors")):
        if len(ggufs) > 1:
            raise CtaiError(f"model {requested!r} holds {len(ggufs)} .gguf files; name one of them: {', '.join(ggufs)}")
        return Source(requested, name, path, ggufs[0], None)
    if not (path / "config.json").is_file() and not any(path.glob("adapter_config.json")):
        raise CtaiError(f"model {requested!r} is a folder without config.json: no model is in it")
    return Source(requested, name, path, None, None)


def _from_hub(name: str, revision: str | None) -> Source:
    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=_WANTED, ignore_patterns=_NOT_WANTED)
    except (HfHubHTTPError, OSError, ValueError) as error:
        at = f" at revision {revision!r}" if revision else ""
        problem = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise CtaiError(
            f"model {name!r}{at} is no local folder, and the hub does not give it ({type(error).__name__}: {problem})"
        ) from error
    return Source(name, name, Path(folder), None, Path(folder).name)


def _file_digest(path: Path) -> str:
    status = path.stat()
    return _cached_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _cached_digest(path: Path, _size: int, _modified: int) -> str:
    """The weights of a large model take minutes to read: once a process, as long as size and time do not change."""
    return sha256_file(path)
