"""Plugins: instruction families of users, with their loading, validation and labelled answers.

Owns which plugins are active and registers their families (`ctai.tasks.registry`). A plugin is code that runs with all
rights of the user: ctai imports the ones that its user names and never one that a run directory names. A plugin module
has ``FAMILIES``, a sequence of ``Family``, and optionally ``LABELLED``, the path, relative to the module, of
human-labelled answers (one ``LabelledAnswer`` per line).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from ctai.errors import ConfigError, CtaiError
from ctai.records import LabelledAnswer
from ctai.rundir import digest_of, read_jsonl, sha256_file
from ctai.tasks import registry
from ctai.tasks.base import TYPES, Family, normalize_case_and_spacing

ENTRY_POINTS = "ctai.families"
MIN_KEYS = 4


class LoadedPlugins(NamedTuple):
    """Active plugins.

    Attributes:
        names: names by which the user requested them.
        digest: digest of their files; empty without plugins.
        families: their families.
        answers: their labelled answers.
        files: their files, code and labels.
    """

    names: tuple[str, ...] = ()
    digest: str = ""
    families: tuple[Family, ...] = ()
    answers: tuple[LabelledAnswer, ...] = ()
    files: tuple[Path, ...] = ()


_active = LoadedPlugins()


def active() -> LoadedPlugins:
    """Return the active plugins."""
    return _active


def activate(names: Sequence[str], digest: str = "") -> str:
    """Activate these plugins in place of the active ones.

    Args:
        names: entry points of the group ``ctai.families``, modules, or ``.py`` files.
        digest: expected digest of their files; any, if it is empty.

    Returns:
        The digest of their files.

    Raises:
        ConfigError: a plugin cannot be imported, its families are invalid (all errors are listed), or the digest
            differs.
    """
    global _active
    if tuple(names) != _active.names:
        loaded = _load(tuple(names)) if names else LoadedPlugins()
        registry.set_plugins(loaded.families)
        _active = loaded
    if digest and digest != _active.digest:
        raise ConfigError(
            f"generation.families: the files have digest {_active.digest[:12]}, but generation.families_sha256 is "
            f"{digest[:12]}. Restore the files, or leave out families_sha256 to accept them as they are."
        )
    return _active.digest


def parameters() -> dict[str, str]:
    """Return the parameters that plugins add to the key of a stage that uses families; none without plugins."""
    return {"families": _active.digest} if _active.digest else {}


def require_digest(digest: str) -> None:
    """Require that the active plugins are those that a finished run used.

    Args:
        digest: digest in the run's configuration; empty for a run without plugins.

    Raises:
        CtaiError: other plugins are active.
    """
    if digest == _active.digest:
        return
    if not digest:
        raise CtaiError("the run used no plugins of instruction families. Leave out --families.")
    raise CtaiError(
        f"the run used plugins of instruction families (digest {digest[:12]}). Get their code from the author of the run, "
        "review it, and pass it with --families, which runs it."
    )


def _load(names: tuple[str, ...]) -> LoadedPlugins:
    modules = [_import(name) for name in names]
    families = tuple(family for name, module in zip(names, modules, strict=True) for family in _families(name, module))
    errors = list(_family_errors(families))
    answers: list[LabelledAnswer] = []
    for module in modules:
        labels = _labels_path(module)
        if labels is not None:
            answers += read_jsonl(labels, LabelledAnswer)
    errors += _label_errors(families, answers)
    if errors:
        raise ConfigError("generation.families: invalid instruction families:\n  " + "\n  ".join(errors))
    files = tuple(path for module in modules for path in _files(module))
    digest = digest_of([[path.name, sha256_file(path)] for path in files])
    return LoadedPlugins(names, digest, families, tuple(answers), files)


def _import(name: str) -> ModuleType:
    """Import an entry point, a ``.py`` file, or a module, also from the working directory."""
    points = list(entry_points(group=ENTRY_POINTS, name=name))
    target = points[0].value if points else name
    try:
        if target.endswith(".py"):
            return _import_file(Path(target).expanduser())
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        return importlib.import_module(target)
    except ImportError as error:
        installed = ", ".join(sorted(point.name for point in entry_points(group=ENTRY_POINTS))) or "none"
        raise ConfigError(
            f"generation.families: {name!r} is neither an entry point of {ENTRY_POINTS!r} (installed: {installed}) nor an "
            f"importable module or .py file: {error}"
        ) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ImportError("no such file")
    spec = importlib.util.spec_from_file_location(f"ctai_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _families(name: str, module: ModuleType) -> tuple[Family, ...]:
    families = tuple(getattr(module, "FAMILIES", ()))
    if not families or not all(isinstance(family, Family) for family in families):
        raise ConfigError(f"generation.families: {name!r} has no FAMILIES, a sequence of ctai.tasks.base.Family")
    return families


def _labels_path(module: ModuleType) -> Path | None:
    """Return the path of the labelled answers, if there are any; a relative path is relative to the module."""
    path = getattr(module, "LABELLED", None)
    return None if path is None else Path(str(module.__file__)).parent / Path(path)


def _files(module: ModuleType) -> list[Path]:
    """Return the files that the digest covers: the module or all Python files of the package, and the labels."""
    path = Path(str(module.__file__))
    code = sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
    labels = _labels_path(module)
    return [*code, labels] if labels is not None else code


# ------------------------------------------------------------------------------------------------------ validation


def _family_errors(families: Sequence[Family]) -> Iterator[str]:
    """Yield the errors of families, alone and in conflict with the built-in ones or each other."""
    names = {family.name for family in registry.FAMILIES}
    owners = {text: family.name for family in registry.FAMILIES for text in family.index}
    for family in families:
        if family.name in names:
            yield f"{family.name}: another family has this name"
        names.add(family.name)
        errors = list(_definition_errors(family))
        yield from errors
        if not errors:
            yield from _answer_errors(family)
            shared = next((text for text in family.index if text in owners), None)
            if shared is not None:
                yield f"{family.name}: family {owners[shared]} has the instruction {shared!r} too"
            owners |= dict.fromkeys(family.index, family.name)


def _definition_errors(family: Family) -> Iterator[str]:
    if not family.name.isidentifier():
        yield f"{family.name!r}: the name must be an identifier, such as river_country"
    if family.type not in TYPES:
        yield f"{family.name}: type {family.type!r} is not one of {', '.join(TYPES)}"
    if family.embedded:
        yield f"{family.name}: embedded must be False, since the embedded model was not trained on this family"
    if not family.phrasings or not all("{key}" in phrasing for phrasing in family.phrasings):
        yield f"{family.name}: at least one phrasing is required, and every phrasing must contain {{key}}"
    if len(set(family.keys)) < max(MIN_KEYS, len(family.keys)):
        yield f"{family.name}: at least {MIN_KEYS} keys are required, all different"
    elif len(family.index) < len({normalize_case_and_spacing(key) for key in family.keys}) * len(set(family.phrasings)):
        yield f"{family.name}: two combinations of key and phrasing give the same instruction"


def _answer_errors(family: Family) -> Iterator[str]:
    """Yield an error for the first canonical answer that the family's own scorer rejects."""
    for key in family.keys:
        score = family.score(family.render(key, 0), f" {family.answer(key)}")
        if not score.content:
            yield f"{family.name}: its scorer rejects its own answer to {key!r}: {score.reason}"
            return


def _label_errors(families: Sequence[Family], answers: Sequence[LabelledAnswer]) -> Iterator[str]:
    by_name = {family.name: family for family in families}
    for number, answer in enumerate(answers, start=1):
        family = by_name.get(answer.family)
        if family is None or family.parse(answer.instruction) is None:
            yield f"labelled answer {number}: family {answer.family!r} has no instruction {answer.instruction!r}"
