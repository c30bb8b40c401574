"""Instruction families that a user brings: loading their code, checking that they hold together, and their labels.

Owns which of them are known at the moment; ``families`` and all that asks it know them from then on. A module of
families is code that is run, with all rights of the user: ctai imports the ones that its user names and never one that
a run directory names. It has ``FAMILIES``, a sequence of ``Family``, and ``LABELLED``, the path, beside the module, of
answers that a reader has judged (one ``LabelledAnswer`` a line).
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


class LoadedPlugin(NamedTuple):
    """Families of a run's own: the names they were asked for by, the digest of their files, families, labels."""

    names: tuple[str, ...] = ()
    digest: str = ""
    families: tuple[Family, ...] = ()
    answers: tuple[LabelledAnswer, ...] = ()


_active = LoadedPlugin()


def active() -> LoadedPlugin:
    """Return what is known at the moment."""
    return _active


def activate(names: Sequence[str], digest: str = "") -> str:
    """Know the families of these modules and no others; returns the digest of their files.

    Args:
        names: entry points of the group ``ctai.families``, modules, or ``.py`` files.
        digest: what the digest has to be; any, if it is empty.

    Raises:
        ConfigError: a module cannot be loaded or its families do not hold together; every mistake is named.
    """
    global _active
    if tuple(names) != _active.names:
        brought = _load(tuple(names)) if names else LoadedPlugin()
        registry.set_plugins(brought.families)
        _active = brought
    if digest and digest != _active.digest:
        raise ConfigError(
            f"the files of generation.families have digest {_active.digest[:12]}, and generation.families_sha256 says "
            f"{digest[:12]}: they were changed, or are others; leave families_sha256 out to take them as they are"
        )
    return _active.digest


def parameters() -> dict[str, str]:
    """Return what the key of a stage holds that asks families anything: nothing, if there are only the package's."""
    return {"families": _active.digest} if _active.digest else {}


def require(digest: str) -> None:
    """Make sure that the families that a finished run used are the ones known now.

    Raises:
        CtaiError: they are not.
    """
    if digest == _active.digest:
        return
    if not digest:
        raise CtaiError("the run brought no instruction families of its own; leave out --families")
    raise CtaiError(
        f"the run used instruction families of its own (digest {digest[:12]}): get their code from whoever made the run, "
        "read it, and name it with --families, which runs it"
    )


def _load(names: tuple[str, ...]) -> LoadedPlugin:
    modules = [_module(name) for name in names]
    found = tuple(family for name, module in zip(names, modules, strict=True) for family in _families_of(name, module))
    problems = list(_problems(found))
    answers: list[LabelledAnswer] = []
    for module in modules:
        labels = _labels_path(module)
        if labels is not None:
            answers += read_jsonl(labels, LabelledAnswer)
    problems += _label_problems(found, answers)
    if problems:
        raise ConfigError("the instruction families have mistakes:\n  " + "\n  ".join(problems))
    files = [[path.name, sha256_file(path)] for module in modules for path in _files(module)]
    return LoadedPlugin(names, digest_of(files), found, tuple(answers))


def _module(name: str) -> ModuleType:
    """Import an entry point, a file or a module; one in the working directory is found too."""
    points = list(entry_points(group=ENTRY_POINTS, name=name))
    target = points[0].value if points else name
    try:
        if target.endswith(".py"):
            return _from_file(Path(target).expanduser())
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        return importlib.import_module(target)
    except ImportError as error:
        installed = ", ".join(sorted(point.name for point in entry_points(group=ENTRY_POINTS))) or "none"
        raise ConfigError(
            f"generation.families: {name!r} is neither an entry point of {ENTRY_POINTS!r} (installed: {installed}) nor a "
            f"module or .py file that can be imported: {error}"
        ) from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ImportError("there is no such file")
    spec = importlib.util.spec_from_file_location(f"ctai_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _families_of(name: str, module: ModuleType) -> tuple[Family, ...]:
    found = tuple(getattr(module, "FAMILIES", ()))
    if not found or not all(isinstance(family, Family) for family in found):
        raise ConfigError(f"generation.families: {name!r} has no FAMILIES, a sequence of ctai.tasks.base.Family")
    return found


def _labels_path(module: ModuleType) -> Path | None:
    """Where the labelled answers lie, if there are any; a relative path starts beside the module."""
    stated = getattr(module, "LABELLED", None)
    return None if stated is None else Path(str(module.__file__)).parent / Path(stated)


def _files(module: ModuleType) -> list[Path]:
    """The files that a digest of the module covers: its own, or all Python files of a package; and the labels."""
    own = Path(str(module.__file__))
    code = sorted(own.parent.rglob("*.py")) if own.name == "__init__.py" else [own]
    labels = _labels_path(module)
    return [*code, labels] if labels is not None else code


# ------------------------------------------------------------------------------------------------------ mistakes


def _problems(found: Sequence[Family]) -> Iterator[str]:
    """What is wrong with families, by themselves and beside those of the package."""
    taken = {family.name for family in registry.FAMILIES}
    asked = {text: family.name for family in registry.FAMILIES for text in family.index}
    for family in found:
        if family.name in taken:
            yield f"{family.name}: there is another family of this name"
        taken.add(family.name)
        shape = list(_shape_problems(family))
        yield from shape
        if not shape:
            yield from _answer_problems(family)
            shared = next((text for text in family.index if text in asked), None)
            if shared is not None:
                yield f"{family.name}: {shared!r} is asked by family {asked[shared]} too"
            asked |= dict.fromkeys(family.index, family.name)


def _shape_problems(family: Family) -> Iterator[str]:
    if not family.name.isidentifier():
        yield f"{family.name!r}: the name has to be an identifier, such as river_country"
    if family.type not in TYPES:
        yield f"{family.name}: type {family.type!r} is none of {', '.join(TYPES)}"
    if family.embedded:
        yield f"{family.name}: embedded has to be False: the embedded model was told nothing of it"
    if not family.phrasings or not all("{key}" in phrasing for phrasing in family.phrasings):
        yield f"{family.name}: every phrasing has to hold {{key}}, and there has to be one"
    if len(set(family.keys)) < max(MIN_KEYS, len(family.keys)):
        yield f"{family.name}: at least {MIN_KEYS} keys are needed, all different"
    elif len(family.index) < len({normalize_case_and_spacing(key) for key in family.keys}) * len(set(family.phrasings)):
        yield f"{family.name}: two keys or phrasings make the same instruction"


def _answer_problems(family: Family) -> Iterator[str]:
    """Whether the checker accepts the family's own answers."""
    for key in family.keys:
        verdict = family.score(family.render(key, 0), f" {family.answer(key)}")
        if not verdict.content:
            yield f"{family.name}: its checker calls its own answer to {key!r} wrong: {verdict.reason}"
            return


def _label_problems(found: Sequence[Family], answers: Sequence[LabelledAnswer]) -> Iterator[str]:
    by_name = {family.name: family for family in found}
    for number, answer in enumerate(answers, start=1):
        family = by_name.get(answer.family)
        if family is None or family.parse(answer.instruction) is None:
            yield f"labelled answer {number}: family {answer.family!r} asks no {answer.instruction!r}"
