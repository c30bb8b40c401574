"""Where weights come from: a hub id, a folder, a GGUF file or the embedded model, resolved to files on this disk.

Owns finding files and their digests, an adapter's too. It reads no weights and judges nothing; what is asked of the hub
is `hub`.
"""

import json
import re
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from ctai.errors import CtaiError
from ctai.model import hub
from ctai.rundir import digest_of, sha256_file

EMBEDDED = "embedded"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_LICENSE_FILES = ["LICENSE*", "LICENCE*", "NOTICE*", "README.md"]


class ModelSource(NamedTuple):
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


class ModelLocation(NamedTuple):
    """Where a model is to be had.

    Attributes:
        source: its files, if all of them are on this disk.
        whole: its bytes.
        missing: how many of them are still to be downloaded.
    """

    source: ModelSource | None
    whole: int
    missing: int


def resolve(name_or_path: str, revision: str | None = None) -> ModelSource:
    """Find a model; a local folder or file is preferred over a hub id of the same name.

    Raises:
        CtaiError: there is no such model, or the hub cannot be reached.
    """
    if name_or_path == EMBEDDED:
        return _embedded()
    path = Path(name_or_path).expanduser()
    if path.exists():
        return _local(name_or_path, path)
    if not _may_be_on_hub(name_or_path):
        raise CtaiError(f"model {name_or_path!r}: there is no such folder or .gguf file")
    folder = hub.download(name_or_path, revision)
    return ModelSource(name_or_path, name_or_path, folder, None, folder.name)


def _embedded() -> ModelSource:
    """The model in the package, which must be the one that its build wrote: nothing was merged into it since.

    Raises:
        CtaiError: it is not there, or has other weights or another tokenizer.
    """
    folder = Path(str(resources.files("ctai.model").joinpath("embedded")))
    if not (folder / "build.json").is_file():
        raise CtaiError("this installation of ctai lacks the embedded model; install it again")
    build = json.loads((folder / "build.json").read_text(encoding="utf-8"))
    for name, key in (("model.safetensors", "weights_sha256"), ("tokenizer.json", "tokenizer_sha256")):
        found = _file_digest(folder / name) if (folder / name).is_file() else "nothing"
        if found != build[key]:
            raise CtaiError(
                f"{name} of the embedded model is not what its build wrote ({found[:12]} instead of "
                f"{build[key][:12]}): install ctai again, and keep other weights in a folder of their own"
            )
    return ModelSource(EMBEDDED, EMBEDDED, folder, None, None)


def on_disk(name_or_path: str, revision: str | None = None) -> ModelSource | None:
    """A model that is on this disk; None for one that only the hub has. Downloads nothing.

    Raises:
        CtaiError: there is no such folder or file.
    """
    if name_or_path == EMBEDDED or not _may_be_on_hub(name_or_path):
        return resolve(name_or_path, revision)
    folder = hub.cached(name_or_path, revision)
    return None if folder is None else ModelSource(name_or_path, name_or_path, folder, None, folder.name)


def locate(name_or_path: str, revision: str | None = None) -> ModelLocation:
    """Where a model is to be had, on this disk or on the hub, and how large it is. Downloads nothing.

    Raises:
        CtaiError: nowhere.
    """
    source = on_disk(name_or_path, revision)
    if source is None:
        return ModelLocation(None, *hub.look_up(name_or_path, revision))
    return ModelLocation(source, sum((source.folder / name).stat().st_size for name in source.weight_files), 0)


def _may_be_on_hub(name: str) -> bool:
    path = Path(name).expanduser()
    looks_like_an_id = re.fullmatch(r"[\w.-]+(?:/[\w.-]+)?", name) is not None
    return looks_like_an_id and not path.exists() and not name.startswith(".") and path.suffix != ".gguf"


def files_to_share(source: ModelSource) -> list[Path]:
    """The files that somebody else needs to load the model: weights, configuration, tokenizer, and what its owner says.

    Nothing else in the folder is the model's: no code, no pickle, no other weights.
    """
    wanted = [p for p in (*hub.WANTED, *_LICENSE_FILES) if p != "*.safetensors"]
    beside = {path for pattern in wanted for path in source.folder.glob(pattern) if path.is_file()}
    own = {path for path in beside if not path.name.startswith((".", "adapter_"))}
    return sorted(own | {source.folder / name for name in source.weight_files})


def weights_digest(source: ModelSource) -> str:
    """SHA-256 over the names and SHA-256 of the weight files, in order of their names."""
    return digest_of([[name, _file_digest(source.folder / name)] for name in source.weight_files])


def files_digest(source: ModelSource) -> str:
    """SHA-256 over the names and SHA-256 of every file beside the weights, the weights included.

    Of a GGUF file's folder only the names of other weight and adapter files count: nothing else in it is read.
    """
    files = sorted(path for path in source.folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if source.gguf is not None:
        names = [path.name for path in files if path.name.startswith("adapter")]
        return digest_of([names, _file_digest(source.folder / source.gguf)])
    return digest_of([[path.name, _file_digest(path)] for path in files])


def _local(requested: str, path: Path) -> ModelSource:
    # Not resolved otherwise: a link is called what its owner calls it.
    name = path.resolve().name if path.name in ("", "..") else path.name
    if path.is_file():
        if path.suffix != ".gguf":
            raise CtaiError(f"model {requested!r} is a file, but not a .gguf file; name its folder instead")
        return ModelSource(requested, name, path.parent, path.name, None)
    ggufs = sorted(p.name for p in path.glob("*.gguf"))
    if ggufs and not any(path.glob("*.safetensors")):
        if len(ggufs) > 1:
            raise CtaiError(f"model {requested!r} holds {len(ggufs)} .gguf files; name one of them: {', '.join(ggufs)}")
        return ModelSource(requested, name, path, ggufs[0], None)
    if not (path / "config.json").is_file() and not any(path.glob("adapter_config.json")):
        raise CtaiError(f"model {requested!r} is a folder without config.json: no model is in it")
    return ModelSource(requested, name, path, None, None)


def _file_digest(path: Path) -> str:
    status = path.stat()
    return _cached_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _cached_digest(path: Path, _size: int, _modified: int) -> str:
    """The weights of a large model take minutes to read: once a process, as long as size and time do not change."""
    return sha256_file(path)


def adapter_digest(folder: Path) -> str:
    """SHA-256 over an adapter's two files, its weights and the configuration that says how they are applied.

    The training manifest records it.

    Raises:
        CtaiError: the folder is not one adapter with safetensors weights.
    """
    missing = [name for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise CtaiError(f"the adapter folder {folder} lacks {' and '.join(missing)} (pickled adapters are not loaded)")
    return digest_of([[name, sha256_file(folder / name)] for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS)])
