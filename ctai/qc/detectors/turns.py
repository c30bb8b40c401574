"""The detector of answers that go on into another prompt, turn or worked example which a label opens (`Student:`).

A label counts where the answer before it is over; what speaks against it is a record, a list that was announced, or a
text that is itself made of such labels, such as a play or a quiz.
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

_KNOWN = INSTRUCTION_LABELS | QUESTION_LABELS | PROMPT_LABELS | ANSWER_LABELS | CHAT_LABELS | ROLE_LABELS
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
    """Whether the answer goes on into a prompt or a turn that a label opens.

    Args:
        text: the response without its fenced code.
    """
    if _INLINE_LABEL.search(without_quotes(text)) or _opens_control_turn(text):
        return True
    lines = read_lines(text)
    return any(rule(lines) for rule in (_opens_prompt, _takes_turns, _repeats_example))


def _opens_control_turn(text: str) -> bool:
    """Whether control text opens a user's turn after an answer that no control text opens."""
    turn, control = _USER_TURN.search(text), _CONTROL.search(text)
    return bool(turn and control and re.search(r"\w", text[: control.start()]))


def _known(line: TextLine) -> str:
    """The label of a line if it is one that opens prompts, turns or answers; without `next` and the like."""
    label = line.label
    first, _, rest = label.partition(" ")
    if rest and first in NEXT_WORDS:
        label = rest
    return label if label in _KNOWN and (len(label) > 1 or line.capital or label == "q") else ""


def _opens_prompt(lines: Sequence[TextLine]) -> bool:
    """Whether a line after the first opens a prompt or a turn by a label that is known for it."""
    known = [_known(line) for line in lines]
    return any(known[at] and _opens(lines, known, at) for at in range(1, len(lines)))


def _opens(lines: Sequence[TextLine], known: Sequence[str], at: int) -> bool:
    """Whether the known label of line `at` opens a prompt: it is no part of a record, a choice or an announced list."""
    label = known[at]
    if label in INSTRUCTION_LABELS:
        return True
    start = known.index(label)
    announced = start == 0 or (announces(lines[start - 1].text) and not known[start - 1])
    if label in ANSWER_LABELS:
        return _answers_again(lines, known, at) and not (announced and start == at)
    if label in ROLE_LABELS or (label in _LISTED and announced):
        return False  # the text promised one, or is itself a list of such things
    if label in QUESTION_LABELS:
        return True
    if known[0] in CHAT_LABELS | ROLE_LABELS and label in CHAT_LABELS:
        return lines[at].label == "assistant"
    return label not in ("you", "me", "model", "robot") and not _is_in_record(lines, known, at)


def _is_in_record(lines: Sequence[TextLine], known: Sequence[str], at: int) -> bool:
    """Whether the line beside it is `key: value` with a key that opens nothing."""
    before = lines[at - 1]
    if before.label and before.value and not known[at - 1] and not lines[at].opens:
        return True
    after = lines[at + 1] if at + 1 < len(lines) else None
    return bool(after and after.label and after.value and not known[at + 1] and count_words(lines[at].value) <= 3)


def _answers_again(lines: Sequence[TextLine], known: Sequence[str], at: int) -> bool:
    """Whether an `Answer:` is a further one: beside `B:` an `A:` is a choice; one `Answer:` may end the work."""
    label, earlier = known[at], known[:at]
    if label == "a" and ("b" in known[at + 1 : at + 2] or known[at - 1] == "b"):
        return False
    if known[0] in _LISTED and known[at - 1] == known[0] and label not in known[: at - 2 : 2]:
        return False  # questions with their answers, from the first line on
    if label == "a":
        return earlier != ["q"]
    if label == "output" and "input" in earlier:
        return False
    record = lines[at - 1].label and not known[at - 1]
    return label in earlier or (label == "response" and not record)


def _takes_turns(lines: Sequence[TextLine]) -> bool:
    """Whether speakers take turns after an answer that was none of them: `Student:` and `Teacher:`, `A:` and `B:`."""
    known = [_known(line) for line in lines]
    talk = CHAT_LABELS | ROLE_LABELS | {"a"}
    speaks = [at for at, label in enumerate(known) if label in talk]
    if speaks and lines[speaks[0]].value.endswith("?") and _is_answer(lines, speaks[0]) and known[speaks[0]] != "a":
        following = lines[speaks[0] + 1 : speaks[0] + 2]
        if following and following[0].label not in ("", lines[speaks[0]].label):
            return True
    if len(speaks) < 2 or not _is_answer(lines, speaks[0]):
        return False
    labels = [known[at] for at in speaks]
    asked = any(lines[at].value.endswith("?") for at in speaks[:-1])
    changes = any(a != b for a, b in pairwise(labels))
    return changes and (asked or len(set(labels)) < len(labels) or set(labels) <= CHAT_LABELS)


def _is_answer(lines: Sequence[TextLine], at: int) -> bool:
    """Whether the lines before line `at` are an answer of their own, not a title, a stage direction or an announcement."""
    if at == 0 or lines[0].label or announces(lines[at - 1].text) or _STAGE.match(lines[0].text):
        return False
    return not (lines[0].text.endswith("?") and at == 1)


def _repeats_example(lines: Sequence[TextLine]) -> bool:
    """Whether a block of labels recurs after an answer that has the form of its last value, as in few-shot examples."""
    labelled = [at for at, line in enumerate(lines) if line.label]
    if not labelled or labelled[0] == 0 or not lines[labelled[0]].opens or announces(lines[labelled[0] - 1].text):
        return False
    first, labels = lines[0].text, [lines[at].label for at in labelled]
    if any(same_form(first, line.text) and len(first) > 3 for line in lines[labelled[0] + 1 :] if not line.label):
        return len(labelled) >= 2
    last = lines[labelled[1]] if len(labelled) > 1 else None
    if last and {labels[0], last.label} <= FIELD_LABELS and labels[0] != last.label:
        return True
    blocks = [at for at in labelled if lines[at].opens and lines[at].label == labels[0]]
    if len(blocks) > 1 and len(set(labels)) > 1 and (_ENDED.search(first) or first[0].islower() or first[0].isdigit()):
        return True
    if last is None or count_words(first) > 3 or count_words(last.value) > 3 or _ENDED.search(first):
        return False
    cycles = labels.count(labels[0]) > 1 and labels.count(last.label) > 1
    alike = first[0].isdigit() == last.value[:1].isdigit() and first[0].isupper() == last.value[:1].isupper()
    return alike and (cycles or first[0].islower() or first[0].isdigit())
