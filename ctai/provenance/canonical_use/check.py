"""Check of modules for second owners of a concern."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ctai.provenance.canonical_use.concerns import CONCERNS, Concern, covers
from ctai.provenance.canonical_use.sources import package_sources, plugin_sources
from ctai.provenance.canonical_use.syntax import ParsedModule, Source
from ctai.records import ContaminationFinding

FINDING_NAME = "canonical_use"
MAX_SNIPPET = 100


class Violation(NamedTuple):
    """Line of a module whose code belongs in another module."""

    concern: str
    path: str
    line: int
    snippet: str
    remedy: str

    def message(self) -> str:
        """Return place, concern and remedy as one sentence."""
        return f"{self.path}:{self.line}: {self.concern} outside its owner ({self.snippet}); {self.remedy}"


def canonical_use_findings(plugin_files: Iterable[Path] = ()) -> tuple[ContaminationFinding, ...]:
    """Return the findings that stop gate contamination: second owners in the package and in plugins.

    Args:
        plugin_files: files of the active plugins; those that are no Python are left out.
    """
    violations = find_violations(chain(package_sources(), plugin_sources(plugin_files)))
    return tuple(ContaminationFinding(name=FINDING_NAME, message=violation.message()) for violation in violations)


def find_violations(sources: Iterable[Source]) -> list[Violation]:
    """Return the second owners among modules, in their order, one a concern and line.

    A module that cannot be parsed is a violation too: nothing vouches for what it does.
    """
    return list(chain.from_iterable(map(_violations, sources)))


def stale_allowances(sources: Iterable[Source]) -> list[str]:
    """Return the allowances that none of the modules needs, as `concern: path`."""
    stale = {f"{concern.name}: {entry}" for concern in CONCERNS for entry in concern.allowed}
    for source in sources:
        for concern in CONCERNS:
            entries = {f"{concern.name}: {entry}" for entry in concern.allowed if covers(entry, source.path)}
            if entries & stale and _lines(concern, ParsedModule(source)):
                stale -= entries
    return sorted(stale)


def _violations(source: Source) -> Iterator[Violation]:
    try:
        module = ParsedModule(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        snippet = _printable(str(error))
        yield Violation("code that cannot be parsed", source.path, line, snippet, "repair or remove the file")
        return
    for concern in CONCERNS:
        if not concern.allows(source.path):
            for line in _lines(concern, module):
                snippet = _printable(module.lines[line - 1])
                yield Violation(concern.name, source.path, line, snippet, concern.remedy)


def _lines(concern: Concern, module: ParsedModule) -> list[int]:
    """Return the lines of a module that belong to a concern."""
    return sorted({getattr(node, "lineno", 1) for finder in concern.finders for node in finder(module)})


def _printable(text: str) -> str:
    """Return code as one short line that reports can show, whoever wrote it."""
    line = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
    return line if len(line) <= MAX_SNIPPET else f"{line[:MAX_SNIPPET]}..."
