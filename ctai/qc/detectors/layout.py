"""Layout of a response: lines with their labels and numbers, shared by the detectors of run-on text.

Owns the syntax of lines, labels and fences. Detects no faults.
"""

import re
from typing import NamedTuple

_FENCED = re.compile(r"(?s)```.*?(?:```|\Z)")
_QUOTED = re.compile(r"\"[^\"\n]{1,300}\"|\u201c[^\u201d\n]{1,300}\u201d|`[^`\n]{1,300}`")
_RULE = re.compile(r"[-*_=~]{3,}$|(?:[-*_] ){2,}[-*_]$")
_DECORATION = re.compile(
    r"(?:<\w{1,10}>[ \t]*)?(?:(?:[>*_#/%\u2022-]{1,6}|\(?\d{1,3}[.)]|\(?[a-z]\))[ \t]+)?[>*_#\[\u2022]{0,4}[ \t]*"
)
_LABEL = re.compile(
    r"(?P<label>[^\W\d_][^\W\d_]*(?:['/ -][^\W\d_]+){0,3})"
    r"(?:[ \t]*[#(]?(?P<number>\d{1,3}(?:\.\d{1,2})?)\)?)?(?:[ \t]+(?:of|/|von|de)[ \t]+\d{1,3})?[\]*_]{0,4}[ \t\u00a0]?"
    r"[:\uff1a][*_]{0,3}[ \t]*(?P<value>.*)"
)

_ANNOUNCING = re.compile(
    r"(?i):$|\b(?:here (?:is|are|'s)|following|below|dialogue|conversation|interview|script|scene|quiz|faq|q&a)\b"
)


# "Q. Who?" and "User> Who?"
_LETTER_LABEL = re.compile(r"(?P<label>Q(?=[.)])|[^\W\d_]{2,12}(?=>+ ))(?P<number>\d?)[.)>]+[ \t]+(?P<value>\S.*)")
# "[Answer] Lima", "<question>Who?</question>" and "\\begin{exercise}" are labels too.
_ENCLOSED_LABEL = re.compile(
    r"(?:\[(?P<a>[^\W\d_]{1,15})\]|<(?P<b>[^\W\d_]{1,15})>|\\begin\{(?P<c>[^\W\d_]{1,15})\})[ \t]*(?P<value>.*)"
)
_CODE_START = re.compile(r"(?:def|class|function|public|private|fn|func|int|void|import|from|const|let|var|#include)\b")


class TextLine(NamedTuple):
    """Line that is not blank.

    Attributes:
        text: the line, stripped.
        opens: it is the first line, or a blank line or a rule precedes it.
        label: lower-case label of `Label: value`; empty without one.
        number: number of a label such as `Question 3:`; 0 without one.
        value: text after the label.
        capital: the label starts with a capital letter.
    """

    text: str
    opens: bool
    label: str
    number: int
    value: str
    capital: bool


def without_code(text: str) -> str:
    """Remove the fenced code of a text."""
    return _FENCED.sub("", text)


def without_quotes(text: str) -> str:
    """Replace each quotation by a word, so that its content does not count."""
    return _QUOTED.sub("quotation", text)


def read_lines(text: str) -> list[TextLine]:
    """Parse the lines that are not blank, each with its label if it has one."""
    lines: list[TextLine] = []
    opens, is_code = True, bool(_CODE_START.match(text))
    for raw in text.split("\n"):
        stripped = raw.strip()
        if not stripped or _RULE.match(stripped):
            opens = True
            continue
        in_body = is_code and raw[0].isspace()  # the body of code has no labels
        lines.append(TextLine(stripped, opens, "", 0, "", False) if in_body else _line(stripped, opens))
        opens = False
    return lines


def _line(stripped: str, opens: bool) -> TextLine:
    enclosed = _ENCLOSED_LABEL.match(stripped)
    if enclosed:
        label = str(enclosed["a"] or enclosed["b"] or enclosed["c"])
        return TextLine(stripped, opens, label.casefold(), 0, enclosed["value"], True)
    decoration = _DECORATION.match(stripped)
    bare = stripped[decoration.end() :] if decoration else stripped
    match = _LABEL.match(bare) or _LETTER_LABEL.match(bare)
    if not match:
        return TextLine(stripped, opens, "", 0, "", False)
    label = " ".join(match["label"].split())
    number = int(float(match["number"])) if match["number"] else 0
    return TextLine(stripped, opens, label.casefold(), number, match["value"].strip(" *_"), label[:1].isupper())


def bare(text: str) -> str:
    """Remove list mark, quote mark, heading signs and emphasis before a line."""
    match = _DECORATION.match(text)
    return text[match.end() :] if match else text


def count_words(text: str) -> int:
    """Count the words, as separated by white space."""
    return len(text.split())


def announces(text: str) -> bool:
    """Return whether a line announces the text after it, such as a dialogue or a list."""
    return bool(_ANNOUNCING.search(text))


def same_form(a: str, b: str) -> bool:
    """Return whether two sentences of about the same length share half of their words."""
    first, second = (set(re.findall(r"\w+", text.casefold())) for text in (a, b))
    if min(len(first), len(second)) < 3 or abs(len(first) - len(second)) > 2:
        return False
    return len(first & second) >= max(len(first), len(second)) / 2
