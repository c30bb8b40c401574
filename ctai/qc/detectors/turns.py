"""Detector of answers that continue with a labelled prompt, turn or worked example (`Student:`).

A label counts where the answer before it is complete. It does not count in a record, in an announced list, or in a
text that itself consists of such labels, such as a play or a quiz.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from ctai.qc.detectors.layout import TextLine, announces, count_words, read_lines, same_form, without_quotes
from ctai.qc.detectors.lexicon import (
    ANSWER_LABELS,
    CHAT_LABELS,
    FIELD_LABELS,
    INSTRUCTION_LABELS,
    NEXT_WORDS,
    PROMPT_LABELS,
    QUESTION_LABELS,
    ROLE_LABELS,
)

_TURN_LABELS = INSTRUCTION_LABELS | QUESTION_LABELS | PROMPT_LABELS | ANSWER_LABELS | CHAT_LABELS | ROLE_LABELS
_LISTED = QUESTION_LABELS | PROMPT_LABELS
_STAGE = re.compile(r"[(\[*_].*[)\]*_]$")
_ENDED = re.compile(r"[.!?\u3002][)\]\"'\u2019\u201d*_]*$")

_INLINE_WORDS = (
    r"Instruction|Question|Q|User|Human|Assistant|Input|Response|Prompt|Student|Teacher|Frage|Anweisung|Pregunta"
    r"|Usuario|Instrucci\u00f3n|Domanda|Pergunta"
)
_INLINE_LABEL = re.compile(
    rf"(?<=[.!?)])[ \t]+(?:\#{{1,6}}[ \t]*)?(?:{_INLINE_WORDS})(?:[ \t]?\d{{1,3}})?[ \t]?:[ \t]*[\"'\w\u00bf]"
    r"|(?<=[.!?])[ \t]+(?:Next|Another|New|Second) (?:question|problem|task|exercise)\b"
    r"|(?<=\w)[ \t]+(?:\#{1,6}[ \t]*)?(?:Instruction|Question|Q|INSTRUCTION|QUESTION)(?:[ \t]?\d{1,3})?:[ \t]+[\"'\w]"
)
_USER_TURN = re.compile(
    r"<\|im_start\|>[ \t]?(?:user|system)|\[INST\]|<start_of_turn>[ \t]?user|<\|(?:user|prompter|human)\|>"
    r"|<\|start_header_id\|>[ \t]?user"
)
_CONTROL = re.compile(r"<\||<[a-z]+_of_|\[/?INST|<<SYS|<s>")


def opens_turn(text: str) -> bool:
    """Return whether the answer continues with a labelled prompt or turn.

    Args:
        text: the response without its fenced code.
    """
    if _INLINE_LABEL.search(without_quotes(text)) or _opens_control_turn(text):
        return True
    lines = read_lines(text)
    return any(rule(lines) for rule in (_opens_prompt, _takes_turns, _repeats_example))


def _opens_control_turn(text: str) -> bool:
    """Return whether chat-template text opens a user turn after an answer without such text before it."""
    turn, control = _USER_TURN.search(text), _CONTROL.search(text)
    return bool(turn and control and re.search(r"\w", text[: control.start()]))


def _turn_label(line: TextLine) -> str:
    """Return the label of a line if it opens prompts, turns or answers, without words such as `next`; else empty."""
    label = line.label
    first, _, rest = label.partition(" ")
    if rest and first in NEXT_WORDS:
        label = rest
    return label if label in _TURN_LABELS and (len(label) > 1 or line.capital or label == "q") else ""


def _opens_prompt(lines: Sequence[TextLine]) -> bool:
    """Return whether a line after the first has a label that opens a prompt or a turn."""
    labels = [_turn_label(line) for line in lines]
    return any(labels[at] and _opens(lines, labels, at) for at in range(1, len(lines)))


def _opens(lines: Sequence[TextLine], labels: Sequence[str], at: int) -> bool:
    """Return whether the label of line `at` opens a prompt, outside records, choices and announced lists."""
    label = labels[at]
    if label in INSTRUCTION_LABELS:
        return True
    start = labels.index(label)
    announced = start == 0 or (announces(lines[start - 1].text) and not labels[start - 1])
    if label in ANSWER_LABELS:
        return _answers_again(lines, labels, at) and not (announced and start == at)
    if label in ROLE_LABELS or (label in _LISTED and announced):
        return False  # the text announces it, or is itself a list of such lines
    if label in QUESTION_LABELS:
        return True
    if labels[0] in CHAT_LABELS | ROLE_LABELS and label in CHAT_LABELS:
        return lines[at].label == "assistant"
    return label not in ("you", "me", "model", "robot") and not _is_in_record(lines, labels, at)


def _is_in_record(lines: Sequence[TextLine], labels: Sequence[str], at: int) -> bool:
    """Return whether an adjacent line is `key: value` with a key that is no turn label."""
    before = lines[at - 1]
    if before.label and before.value and not labels[at - 1] and not lines[at].opens:
        return True
    after = lines[at + 1] if at + 1 < len(lines) else None
    return bool(after and after.label and after.value and not labels[at + 1] and count_words(lines[at].value) <= 3)


def _answers_again(lines: Sequence[TextLine], labels: Sequence[str], at: int) -> bool:
    """Return whether an `Answer:` is another one: beside `B:` an `A:` is a choice; one `Answer:` may end a working."""
    label, earlier = labels[at], labels[:at]
    if label == "a" and ("b" in labels[at + 1 : at + 2] or labels[at - 1] == "b"):
        return False
    if labels[0] in _LISTED and labels[at - 1] == labels[0] and label not in labels[: at - 2 : 2]:
        return False  # questions with their answers, from the first line on
    if label == "a":
        return earlier != ["q"]
    if label == "output" and "input" in earlier:
        return False
    record = lines[at - 1].label and not labels[at - 1]
    return label in earlier or (label == "response" and not record)


def _takes_turns(lines: Sequence[TextLine]) -> bool:
    """Return whether a dialogue follows an unlabelled answer: `Student:` and `Teacher:`, `A:` and `B:`."""
    labels = [_turn_label(line) for line in lines]
    talk = CHAT_LABELS | ROLE_LABELS | {"a"}
    turns = [at for at, label in enumerate(labels) if label in talk]
    if turns and lines[turns[0]].value.endswith("?") and _is_answer(lines, turns[0]) and labels[turns[0]] != "a":
        following = lines[turns[0] + 1 : turns[0] + 2]
        if following and following[0].label not in ("", lines[turns[0]].label):
            return True
    if len(turns) < 2 or not _is_answer(lines, turns[0]):
        return False
    speakers = [labels[at] for at in turns]
    has_question = any(lines[at].value.endswith("?") for at in turns[:-1])
    changes = any(a != b for a, b in pairwise(speakers))
    return changes and (has_question or len(set(speakers)) < len(speakers) or set(speakers) <= CHAT_LABELS)


def _is_answer(lines: Sequence[TextLine], at: int) -> bool:
    """Return whether the lines before line `at` are an answer, not a title, a stage direction or an announcement."""
    if at == 0 or lines[0].label or announces(lines[at - 1].text) or _STAGE.match(lines[0].text):
        return False
    return not (lines[0].text.endswith("?") and at == 1)


def _repeats_example(lines: Sequence[TextLine]) -> bool:
    """Return whether a block of labels recurs after an answer of the form of its last value, as in few-shot prompts."""
    label_lines = [at for at, line in enumerate(lines) if line.label]
    if (
        not label_lines
        or label_lines[0] == 0
        or not lines[label_lines[0]].opens
        or announces(lines[label_lines[0] - 1].text)
    ):
        return False
    first, labels = lines[0].text, [lines[at].label for at in label_lines]
    if any(same_form(first, line.text) and len(first) > 3 for line in lines[label_lines[0] + 1 :] if not line.label):
        return len(label_lines) >= 2
    last = lines[label_lines[1]] if len(label_lines) > 1 else None
    if last and {labels[0], last.label} <= FIELD_LABELS and labels[0] != last.label:
        return True
    blocks = [at for at in label_lines if lines[at].opens and lines[at].label == labels[0]]
    if len(blocks) > 1 and len(set(labels)) > 1 and (_ENDED.search(first) or first[0].islower() or first[0].isdigit()):
        return True
    if last is None or count_words(first) > 3 or count_words(last.value) > 3 or _ENDED.search(first):
        return False
    cycles = labels.count(labels[0]) > 1 and labels.count(last.label) > 1
    alike = first[0].isdigit() == last.value[:1].isdigit() and first[0].isupper() == last.value[:1].isupper()
    return alike and (cycles or first[0].islower() or first[0].isdigit())
