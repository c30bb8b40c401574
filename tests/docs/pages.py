"""Parser of the documentation pages: fenced blocks, commands, links."""

import itertools
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
# Generated pages name their command in an indented block.
_INDENTED = re.compile(r"(?:^ {4}(?:python|pytest|ctai|pip) .*\n)+", re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shell_blocks(page: Path) -> list[str]:
    """Return the shell blocks of a page, in order, also indented ones that hold commands."""
    text = page.read_text(encoding="utf-8")
    found = [(match.start(), match[1]) for match in re.finditer(r"^```sh\n(.*?)^```$", text, re.M | re.S)]
    found += [(match.start(), re.sub(r"^ {4}", "", match[0], flags=re.M)) for match in _INDENTED.finditer(text)]
    return [block for _, block in sorted(found)]


def commands(page: Path) -> list[list[str]]:
    """Return every command of a page as words, without comments and redirections."""
    found = []
    for block in shell_blocks(page):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if ">" in words:
                words = words[: words.index(">")]
            at = [-1, *(i for i, word in enumerate(words) if word == "&&"), len(words)]
            found += [words[a + 1 : b] for a, b in itertools.pairwise(at) if words[a + 1 : b]]
    return found


def links(page: Path) -> list[str]:
    """Return the relative links of a page, without anchors."""
    found = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    return [link for link in found if "://" not in link]
