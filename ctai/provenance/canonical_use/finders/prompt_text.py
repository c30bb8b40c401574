"""Finders of prompt text: frames of labelled lines, open ends, rubrics and chat markup in strings."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from ctai.provenance.canonical_use.strings import HOLE
from ctai.provenance.canonical_use.syntax import ParsedModule, leaf

_ASK = r"instruct|instructions?|questions?|q|user|human|prompt"
_REPLY = r"responses?|answers?|a|assistant|completion|label|ai|bot|judge?ment"
# Labels that are common in other texts too: they frame a prompt only as its open end, after a question.
_WEAK_ASK = r"input|task|problem|exercise|query|statement|text"
_WEAK_REPLY = r"output|result|solution|verdict|grade|rating|score|reply|category|summary"
_LINE = re.compile(
    r"[ \t]*(?P<mark>\#{1,6}[ \t]*|[*_\[(>-]+[ \t]*)?(?P<label>[^\W\d_]+)[ \t]*\d{0,3}[*_\])]*[ \t]*"
    r"(?P<colon>:?)[*_]*[ \t]*(?P<rest>.*)$"
)
_FRAMING = re.compile(r"Instruction|INSTRUCTION|Response|RESPONSE|Label|LABEL")
_TAG = re.compile(r"(?i)<(?P<label>instruction|question|user|human|response|answer|assistant)>")
_MARKUP = re.compile(
    r"<\|im_start\|>|\[/?INST\]|<<SYS>>|<start_of_turn>|<\|(?:user|assistant|system|start_header_id)\|>|<\uff5c(?:User|Assistant)\uff5c>"
)
_CHOICE = re.compile(r"(?i:answer|label|choose|reply|respond|grade|judge|verdict)[^\n]*\bA(?: or |[/|]| / )B\b")
# Calls that read labels out of a text.
_READERS = {
    "startswith", "endswith", "split", "rsplit", "partition", "rpartition", "removeprefix", "removesuffix", "find", "rfind",
    "index", "rindex", "count", "compile", "match", "search", "fullmatch", "sub", "subn", "findall", "finditer", "strip",
    "lstrip", "rstrip",
}  # fmt: skip


def prompt_text(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield strings that frame a prompt, however they are put together; strings that a text is searched for are none."""
    searched = set(_searched(module))
    for expression, text in module.string_expressions:
        if id(expression) not in searched and frames_a_prompt(text):
            yield expression


def frames_a_prompt(text: str) -> bool:
    """Tell whether a text is part of a prompt: by labels of its lines, tags, a choice of A or B, or chat markup."""
    lines = [match for line in text.split("\n") if (match := _LINE.match(line))]
    return (
        any(map(_is_framing_line, lines))
        or _has_heading(text)
        or _is_dialogue(lines, text)
        or _has_open_end(lines, text)
        or _is_rubric(lines)
        or _CHOICE.search(text) is not None
        or _has_markup(text)
    )


def _is_framing_line(line: re.Match[str]) -> bool:
    """Tell whether a line opens with a label of ctai's prompts, with Q before a value, or with a heading of Alpaca's."""
    if line["colon"] and (_FRAMING.fullmatch(line["label"]) or (line["label"] == "Q" and HOLE in line["rest"])):
        return True
    is_label = _is(_ASK, line) or _is(_REPLY, line) or _is("input|output", line)
    return is_label and (line["mark"] or "").startswith("###") and not line["rest"]


def _has_heading(text: str) -> bool:
    """Tell whether a line is nothing but a label in capitals, and more follows or goes before."""
    return any(
        re.fullmatch(r"INSTRUCTION|RESPONSE|QUESTION|ANSWER|LABEL", line.strip()) for line in text.split("\n")[:-1]
    )


def _is_dialogue(lines: list[re.Match[str]], text: str) -> bool:
    """Tell whether a question is followed by a reply, both labelled."""
    asks = [number for number, line in enumerate(lines) if _is(_ASK, line) and _labels_line(line)]
    replies = [number for number, line in enumerate(lines) if _is(_REPLY, line) and _labels_line(line)]
    tags = {match["label"].lower() for match in _TAG.finditer(text)}
    tagged = tags & {"instruction", "question", "user", "human"} and tags & {"response", "answer", "assistant"}
    return bool(tagged) or bool(asks and replies and asks[0] < replies[-1])


def _has_open_end(lines: list[re.Match[str]], text: str) -> bool:
    """Tell whether a text of several lines ends with the label of a reply, for the model to continue."""
    if "\n" not in text or not lines or not text.rstrip(" ").endswith(lines[-1][0].rstrip(" ")):
        return False
    last = lines[-1]
    if last["rest"] or not last["colon"]:
        return False
    asked = any((_is(_ASK, line) or _is(_WEAK_ASK, line)) and line["colon"] for line in lines[:-1])
    return _is(_REPLY, last) or (asked and _is(_WEAK_REPLY, last))


def _is_rubric(lines: list[re.Match[str]]) -> bool:
    """Tell whether two lines define the labels A and B."""
    labels = [line["label"] for line in lines if line["colon"]]
    return any(pair == ("A", "B") for pair in pairwise(labels))


def _has_markup(text: str) -> bool:
    """Tell whether chat markup stands with something else; a token alone is one that is searched for."""
    match = _MARKUP.search(text)
    return match is not None and len(match[0]) < len(text.strip(" "))


def _is(labels: str, line: re.Match[str]) -> bool:
    """Tell whether a line has one of these labels; single letters only as capitals."""
    label = line["label"]
    return re.fullmatch(labels, label.lower()) is not None and (len(label) > 1 or label.isupper())


def _labels_line(line: re.Match[str]) -> bool:
    return bool(line["colon"]) or (not line["rest"] and line["label"][0].isupper())


def _searched(module: ParsedModule) -> Iterator[int]:
    """Yield the ids of expressions that a text is compared with or searched for."""
    operands = [operand for node in module.of(ast.Compare) for operand in (node.left, *node.comparators)]
    operands += [value for call in module.of(ast.Call) if leaf(call.func) in _READERS for value in call.args]
    yield from (id(part) for operand in operands for part in ast.walk(operand))


FINDERS = (prompt_text,)
