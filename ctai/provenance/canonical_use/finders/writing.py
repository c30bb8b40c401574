"""Finders of file writing: opened files, paths, dumps, and the saving functions of libraries."""

import ast
import re
from collections.abc import Iterator

from ctai.provenance.canonical_use.syntax import ParsedModule, keyword, leaf

_PATH_METHODS = {"write_text", "write_bytes", "symlink_to", "hardlink_to"}
_SAVING_METHODS = {
    "save_pretrained", "tofile", "to_csv", "to_parquet", "to_json", "to_excel", "to_pickle", "to_feather", "save_to_disk",
    "push_to_hub", "write_csv", "write_parquet", "write_json", "write_ndjson",
}  # fmt: skip
# Functions that write a file, by the package they come from.
_WRITING_FUNCTIONS = {
    "torch": {"save"},
    "numpy": {"save", "savez", "savez_compressed", "savetxt"},
    "safetensors": {"save_file", "save_model"},
    "shutil": {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "move", "make_archive", "unpack_archive"},
    "os": {"rename", "replace", "renames", "link", "symlink", "truncate", "write", "pwrite"},
    "tempfile": {"mkstemp", "NamedTemporaryFile"},
    **{name: {"dump"} for name in ("json", "yaml", "tomli_w", "tomlkit", "toml")},
    **{name: {"dump"} for name in ("pickle", "cloudpickle", "dill", "joblib", "marshal")},
}
_TEXT_IF_ALONE = {"yaml"}  # dump(value) returns the text; dump(value, file) writes it
_OPENERS = {"builtins", "io", "codecs", "gzip", "bz2", "lzma", "tarfile", "os", "open", "fsspec"}
_OPENED_CLASSES = {"ZipFile", "GzipFile", "BZ2File", "LZMAFile", "TarFile", "FileIO", "fdopen"}
_WRITE_MODE = re.compile(r"^[rbt]*[wax+][rwaxbt+U]*(?:[:|]\w*)?$")


def opened_files(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield calls that open a file to write, append or create: by function, by path or as an archive."""
    for call in module.of(ast.Call):
        if any(_may_write(mode, module) for mode in _modes(call, module)):
            yield call


def path_methods(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield uses of methods that write a file; functions of ctai by the same names are none."""
    for node, names in module.references:
        if leaf(node) in _PATH_METHODS | _SAVING_METHODS and any(
            "." in name and not name.startswith("ctai.") for name in names
        ):
            yield node


def writing_functions(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield uses of functions that write a file, under whatever name they are imported."""
    alone = {id(call.func) for call in module.of(ast.Call) if len(call.args) + len(call.keywords) == 1}
    for node, names in module.references:
        parts = [(name.split(".")[0], name.rpartition(".")[2]) for name in names]
        if any(
            function in _WRITING_FUNCTIONS.get(package, ()) and not (package in _TEXT_IF_ALONE and id(node) in alone)
            for package, function in parts
        ):
            yield node


def _modes(call: ast.Call, module: ParsedModule) -> list[ast.expr]:
    """Return the expressions that may be the mode in which a call opens a file."""
    function = call.func
    if leaf(function) == "partial" and call.args and leaf(call.args[0]) == "open":
        position = 2
    elif module.is_called(call, {"open"}):
        is_function = isinstance(function, ast.Name) or any(n.split(".")[0] in _OPENERS for n in module.names(function))
        position = 1 if is_function else 0
    elif leaf(function) in _OPENED_CLASSES:
        position = 1
    else:
        return []
    positional = call.args[position : position + 1]
    named = keyword(call, "mode")
    flags = [argument for argument in call.args if "O_" in ast.dump(argument)]
    return [*positional, *([named] if named else []), *flags]


def _may_write(mode: ast.expr, module: ParsedModule) -> bool:
    """Tell whether one of the texts that a mode may be opens a file for writing, or one of its flags does."""
    for part in ast.walk(mode):
        text = module.strings.get(part.id) if isinstance(part, ast.Name) else getattr(part, "value", None)
        if isinstance(text, str) and _WRITE_MODE.match(text):
            return True
        if leaf(part) in {"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"}:
            return True
    return False


FINDERS = (opened_files, path_methods, writing_functions)
