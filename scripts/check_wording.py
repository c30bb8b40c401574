"""Check of the wording of code and documentation: words and phrases that have a plainer term.

    python -m scripts.check_wording [FILE...]

prints `file:line: phrase -> suggestion` for each match and exits with 1 if there is one. Covers string literals, docstrings
and comments of `ctai/`, docstrings of `scripts/` and `benchmarks/`, and the Markdown pages. Does not check grammar, and skips
code in backticks and data that models read or write.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

# Phrases by the suggestion for them; a space matches any white space, so a phrase may continue on the next line.
_SUGGESTIONS = {
    "continue, resume": r"go(?:es|ne)? on(?: with)?",
    "name the result": r"bec(?:ame|omes) of|what came of",
    "default threshold": r"by the book",
    "the number": r"so many",
    "another person, or the passive voice": r"(?:some|no)body(?:'s)?",
    "without": r"for want of",
    "kind": r"kin",
    "prompt format": r"worksheets?(?![/_])",
    "retry history": r"ladder",
    "fault injection": r"plant(?:ed|s)? (?:a )?faults?|faults? (?:is|are) planted",
    "crash test": r"torture",
    "comparison on the test set": r"looks? at the (?:test|held-out) set",
    "untrusted source, another person": r"strangers?(?:'s)?",
    "separate": r"of (?:its|their) own",
    "available": r"at hand",
    "name of the gate": r"gates? (?:2a|2b|4a|4b)",
    "relaxed threshold": r"departures?(?! (?:from|of))",
}
_PATTERN = re.compile(
    "|".join(
        rf"(?P<p{number}>(?<![\w-]){phrase.replace(' ', chr(92) + 's+')}(?![\w-]))"
        for number, phrase in enumerate(_SUGGESTIONS.values())
    ),
    re.IGNORECASE,
)

# Data and prompts: their words are part of the behaviour or of on-disk records.
_EXEMPT = (
    "ctai/tasks/data/",
    "ctai/tasks/negatives.py",
    "ctai/tasks/seeds.py",
    "ctai/qc/detectors/lexicon.py",
    "ctai/prompts.py",
)
_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/*.md", "docs/data/*.md")
_MARKDOWN_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_EMPHASIS = re.compile(r"\*[^*\n]+\*")  # in the changelog: an old term that an entry names


class Match(NamedTuple):
    """Phrase in a file with the suggestion for it."""

    line: int
    phrase: str
    suggestion: str


def find_phrases(text: str, first_line: int = 1) -> Iterator[Match]:
    """Yield every banned phrase of a text; `first_line` is the line number of its first line."""
    suggestions = list(_SUGGESTIONS)
    for match in _PATTERN.finditer(text):
        line = first_line + text.count("\n", 0, match.start())
        number = int((match.lastgroup or "p0")[1:])
        yield Match(line, " ".join(match[0].split()), suggestions[number])


def check_python(source: str, docstrings_only: bool = False) -> Iterator[Match]:
    """Yield the matches in string literals and comments, or only in docstrings."""
    tree = ast.parse(source)
    if docstrings_only:
        for node in _docstrings(tree):
            yield from find_phrases(str(node.value), node.lineno)
        return
    for item in ast.walk(tree):
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            yield from find_phrases(item.value, item.lineno)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from find_phrases(token.string, token.start[0])


def check_markdown(text: str, skip_emphasis: bool = False) -> Iterator[Match]:
    """Yield the matches in a page, outside code; `skip_emphasis` also skips emphasized terms."""
    text = _MARKDOWN_CODE.sub(_blank, text)
    yield from find_phrases(_EMPHASIS.sub(_blank, text) if skip_emphasis else text)


def check_file(path: Path) -> list[Match]:
    """Return the matches in a file of the repository, in order of their lines."""
    name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    if name.startswith(_EXEMPT):
        return []
    if path.suffix == ".md":
        return sorted(check_markdown(text, skip_emphasis=name == "CHANGELOG.md"))
    return sorted(check_python(text, docstrings_only=not name.startswith("ctai/")))


def checked_files() -> list[Path]:
    """Return every file that the check covers."""
    code = (path for folder in ("ctai", "scripts", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
    return sorted([*code, *(path for pattern in _PAGES for path in ROOT.glob(pattern))])


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the named files, by default all; return 1 if a phrase was found."""
    names = sys.argv[1:] if arguments is None else arguments
    files = [Path(name).absolute() for name in names] or checked_files()
    matches = [(path, match) for path in files for match in check_file(path)]
    for path, match in matches:
        print(f"{path.relative_to(ROOT)}:{match.line}: {match.phrase} -> {match.suggestion}")
    return 1 if matches else 0


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first.value


def _blank(match: re.Match[str]) -> str:
    """Replace a match by spaces, so that line numbers stay the same."""
    return re.sub(r"[^\n]", " ", match[0])


if __name__ == "__main__":
    sys.exit(main())
