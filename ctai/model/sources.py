"""Model files: a hub id, a folder, a GGUF file or the embedded model, resolved to files on this disk.

Owns finding the files of models and adapters and their digests. Does not read weights (`ctai.model.loader`) or talk
to the hub (`ctai.model.hub`).
"""

import json
import re
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import safetensors

from ctai.errors import CtaiError, short_error
from ctai.model import hub
from ctai.rundir import digest_of, sha256_bytes, sha256_file

EMBEDDED = "embedded"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_LICENSE_FILES = ["LICENSE*", "LICENCE*", "NOTICE*", "README.md"]


class ModelSource(NamedTuple):
    """Files of a model on this disk.

    Attributes:
        requested: name or path given by the user.
        model_id: name of the model without its local path.
        folder: folder of the files.
        gguf: name of the GGUF file; None for safetensors.
        revision: commit of a hub model; None for local files.
    """

    requested: str
    model_id: str
    folder: Path
    gguf: str | None
    revision: str | None

    @property
    def weight_files(self) -> tuple[str, ...]:
        """Names of the weight files, sorted; empty when no file may be loaded."""
        if self.gguf is not None:
            return (self.gguf,)
        names = (path.name for path in self.folder.glob("*.safetensors"))
        return tuple(sorted(n for n in names if not n.startswith(("adapter_model", "consolidated"))))


class ModelLocation(NamedTuple):
    """Location and size of a model.

    Attributes:
        source: files of the model, if all of them are on this disk.
        total_bytes: size of the model.
        missing_bytes: size of the files that are not downloaded yet.
    """

    source: ModelSource | None
    total_bytes: int
    missing_bytes: int


def resolve_model(name_or_path: str, revision: str | None = None) -> ModelSource:
    """Resolve a name to files on this disk, downloading them if needed; a local path wins over a hub id.

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
    """Return the embedded model after a check that its files are those of its build.

    Raises:
        CtaiError: it is missing, or has other weights or another tokenizer.
    """
    folder = Path(str(resources.files("ctai.model").joinpath("embedded")))
    if not (folder / "build.json").is_file():
        raise CtaiError("this installation of ctai lacks the embedded model. Reinstall ctai")
    build = json.loads((folder / "build.json").read_text(encoding="utf-8"))
    for name, key in (("model.safetensors", "weights_sha256"), ("tokenizer.json", "tokenizer_sha256")):
        digest = _file_digest(folder / name) if (folder / name).is_file() else "nothing"
        if digest != build[key]:
            raise CtaiError(
                f"{name} of the embedded model has changed (SHA-256 {digest[:12]}, expected "
                f"{build[key][:12]}). Reinstall ctai, and keep other weights in another folder"
            )
    return ModelSource(EMBEDDED, EMBEDDED, folder, None, None)


def find_local(name_or_path: str, revision: str | None = None) -> ModelSource | None:
    """Return a model that is on this disk, without downloading; None for a hub id that is not cached completely.

    Raises:
        CtaiError: there is no such folder or file.
    """
    if name_or_path == EMBEDDED or not _may_be_on_hub(name_or_path):
        return resolve_model(name_or_path, revision)
    folder = hub.cached_snapshot(name_or_path, revision)
    return None if folder is None else ModelSource(name_or_path, name_or_path, folder, None, folder.name)


def locate(name_or_path: str, revision: str | None = None) -> ModelLocation:
    """Return location and size of a model on this disk or on the hub, without downloading it.

    Raises:
        CtaiError: there is no such model, or the hub cannot be reached.
    """
    source = find_local(name_or_path, revision)
    if source is None:
        return ModelLocation(None, *hub.remote_size(name_or_path, revision))
    return ModelLocation(source, sum((source.folder / name).stat().st_size for name in source.weight_files), 0)


def _may_be_on_hub(name: str) -> bool:
    path = Path(name).expanduser()
    is_hub_id = re.fullmatch(r"[\w.-]+(?:/[\w.-]+)?", name) is not None
    return is_hub_id and not path.exists() and not name.startswith(".") and path.suffix != ".gguf"


def files_to_share(source: ModelSource) -> list[Path]:
    """Return the files to distribute with the model: weights, configuration, tokenizer, license and model card.

    Code, pickles and other weights in the folder are left out.
    """
    patterns = [p for p in (*hub.ALLOW_PATTERNS, *_LICENSE_FILES) if p != "*.safetensors"]
    candidates = {path for pattern in patterns for path in source.folder.glob(pattern) if path.is_file()}
    texts = {path for path in candidates if not path.name.startswith((".", "adapter_"))}
    return sorted(texts | {source.folder / name for name in source.weight_files})


def weights_digest(source: ModelSource) -> str:
    """Return a SHA-256 over the sorted SHA-256 of the weight files; their names do not count, so renamed weights are equal."""
    return digest_of(sorted(_file_digest(source.folder / name) for name in source.weight_files))


def files_digest(source: ModelSource) -> str:
    """Return a SHA-256 over the names and SHA-256 of every file in the model folder, the weights included.

    For a GGUF file only that file and the names of adapter files beside it count: nothing else is read.
    """
    files = sorted(path for path in source.folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if source.gguf is not None:
        names = [path.name for path in files if path.name.startswith("adapter")]
        return digest_of([names, _file_digest(source.folder / source.gguf)])
    return digest_of([[path.name, _file_digest(path)] for path in files])


def _local(requested: str, path: Path) -> ModelSource:
    # Other paths are not resolved: a link keeps the name that its owner gave it.
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
        raise CtaiError(f"model {requested!r} is a folder without config.json. Name a folder that holds a model")
    return ModelSource(requested, name, path, None, None)


def _file_digest(path: Path) -> str:
    status = path.stat()
    return _cached_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _cached_digest(path: Path, _size: int, _modified: int) -> str:
    """Hash a file once per process while its size and time stay the same: large weights take minutes to read."""
    return sha256_file(path)


def adapter_digest(folder: Path) -> str:
    """Return a SHA-256 over the weights and the configuration of an adapter, as recorded in the training manifest.

    Raises:
        CtaiError: the folder is not one adapter with safetensors weights.
    """
    missing = [name for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise CtaiError(f"the adapter folder {folder} lacks {' and '.join(missing)} (pickled adapters are not loaded)")
    return digest_of([[name, sha256_file(folder / name)] for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS)])


def adapter_tensors_digest(folder: Path) -> str:
    """Return a SHA-256 over names, types, shapes and bytes of the tensors of an adapter, whatever its configuration says.

    Raises:
        CtaiError: the weights cannot be read.
    """
    path = folder / ADAPTER_WEIGHTS
    try:
        tensors = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (OSError, safetensors.SafetensorError) as error:
        raise CtaiError(f"{path} is not a readable safetensors file ({short_error(error)})") from error
    rows = [[name, t["dtype"], list(t["shape"]), sha256_bytes(bytes(t["data"]))] for name, t in tensors]
    return digest_of(sorted(rows))
