"""Detector of answers that continue with a new, unlabelled question or task.

"Paris. What is the capital of Italy? Rome." A question belongs to the answer if it refers to it ("But why does it
rain?"), opens the text, or addresses the reader; a task if the text itself consists of tasks or steps.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from ctai.qc.detectors.layout import announces, bare, count_words, read_lines, same_form, without_quotes
from ctai.qc.detectors.lexicon import (
    EXERCISE_THINGS,
    INTERJECTIONS,
    QUESTION_WORDS,
    STEP_VERBS,
    TASK_OBJECTS,
    TASK_VERBS,
    TASK_VERBS_WITH_OBJECT,
    TYING_WORDS,
)

_SENTENCE = re.compile(r"(?<=[.!?\u3002\uff1f])[\"')\]\u201d*_]*\s+")
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_TRUE_OR_FALSE = re.compile(r"(?i)(?:true or false|yes or no|right or wrong)\W\s*\w")
_BULLET = re.compile(r"[-*\u2022] ")
_GAP = re.compile(r"[^\W_]\W{1,3}_{3}|(?<!_)_{3,}+\W{1,3}[^\W_]")
_RECORD_VERBS = {"name", "list", "state", "contrast", "reverse", "outline", "factor", "mention", "underline", "define"}
_SHORT_ANSWER, _ANSWER, _PARAGRAPH = 3, 15, 40  # in words
_CHOICE = re.compile(r"[-*\[( ]{0,3}[a-eA-E][.)\]][ \t]*\S")


class _Unit(NamedTuple):
    """Sentence of a response.

    Attributes:
        text: the sentence.
        labelled: a label stands before it.
        starts: `paragraph`, `line`, or empty within a line.
        alone: it is the only sentence of its line.
        question: it is a whole question.
        tied: it refers to the text before it or to the reader.
        task: it tells the reader to do an exercise.
    """

    text: str
    labelled: bool
    starts: str
    alone: bool
    question: bool
    tied: bool
    task: bool

    @property
    def asks(self) -> bool:
        return (self.task or self.question) and not self.tied


def is_task(text: str, *, numbered: bool = False) -> bool:
    """Return whether a sentence is an exercise for the reader, such as "Name the capital of Peru".

    Args:
        text: the sentence.
        numbered: it has a number that the text does not announce, so that verbs of steps count too.
    """
    if _GAP.search(text):
        return True
    words = [word.casefold() for word in _WORD.findall(text[:200])[:5]]
    while words and words[0] in ("now", "next", "then", "please", "also", "can", "could", "you", "bitte"):
        words = words[1:]
    if len(words) < 2 or text.rstrip().endswith((",", ";")):
        return False
    first = _WORD.search(text)
    capital = bool(first and first[0][0].isupper())
    after = text.casefold().partition(words[0])[2].lstrip()
    objects = words[1] in TASK_OBJECTS or after[:1] in "\"'\u201c\u00ab(" or words[1].isdigit()
    with_object = TASK_VERBS_WITH_OBJECT | STEP_VERBS if numbered else TASK_VERBS_WITH_OBJECT
    if capital and words[0] in STEP_VERBS and not EXERCISE_THINGS.isdisjoint(_WORD.findall(text[:200].casefold())):
        return objects
    return capital and (words[0] in TASK_VERBS or (words[0] in with_object and objects))


def is_question(text: str) -> bool:
    """Return whether a sentence is a whole question: it has a question word at a start or end, and a question mark."""
    if _TRUE_OR_FALSE.match(text):
        return True
    if not text.rstrip(" *_\"')").endswith(("?", "\uff1f")):
        return False
    words = [word.casefold() for word in _WORD.findall(text[:400])]
    if text.lstrip().startswith("\u00bf"):
        return len(words) >= 2
    return len(words) >= 3 and (not QUESTION_WORDS.isdisjoint(words[:3]) or not QUESTION_WORDS.isdisjoint(words[-4:-1]))


def _is_task_label(label: str) -> bool:
    """Return whether a label is itself a task: "Translate into French: good night"."""
    words = label.split()
    if len(words) == 1:
        return label in TASK_VERBS - _RECORD_VERBS
    return words[1] in TASK_OBJECTS | {"to", "into", "en", "for", "from"}


def asks_followup(text: str) -> bool:
    """Return whether the answer continues with a new question or task.

    Args:
        text: the response without its fenced code.
    """
    units = _units(without_quotes(text))
    if len(units) < 2 or announces(units[0].text):
        return False
    rules = (_new_paragraph, _takes_turns_by_line, _takes_turns_by_sentence, _asks_once, _continues_with_now)
    return any(rule(units) for rule in rules)


def _units(text: str) -> list[_Unit]:
    """Split a text into sentences; a number alone ("2.") belongs to the sentence after it."""
    units: list[_Unit] = []
    for line in read_lines(text):
        parts = [
            part for part in _SENTENCE.split(bare(line.text)) if part and not re.fullmatch(r"\(?\d{1,3}[.)]", part)
        ]
        for at, part in enumerate(parts):
            starts = "" if at else "paragraph" if line.opens else "line"
            words = {word.casefold() for word in _WORD.findall(part)}
            first = next(iter(_WORD.findall(part[:40])), "").casefold()
            tied = not TYING_WORDS.isdisjoint(words) or first in ("but", "so", "and", "then") or count_words(part) < 4
            labelled = bool(line.label) and at == 0
            question = is_question(part) and not labelled
            task = is_task(part, numbered=labelled) and (not labelled or _is_task_label(line.label))
            task = task and not _BULLET.match(line.text)  # advice, changes, features
            units.append(_Unit(part, labelled, starts, len(parts) == 1, question, tied, task))
    return units


def _new_paragraph(units: Sequence[_Unit]) -> bool:
    """Return whether a paragraph after a short answer opens with a task, or is a question unrelated to the answer."""
    if units[0].task or units[0].question:
        return False
    before = 0
    for at, unit in enumerate(units):
        if at and unit.starts == "paragraph" and not units[at - 1].asks and not units[at - 1].text.endswith(":"):
            if unit.task and not _is_step(units, at):
                return True
            if unit.asks and unit.alone and before <= _PARAGRAPH and _is_answered_briefly(units, at):
                return True
            if (
                unit.asks
                and before <= _ANSWER
                and [u.starts for u in units[at + 1 : at + 3]] in ([""], ["", "paragraph"])
            ):
                return count_words(units[at + 1].text) <= _ANSWER
        before += count_words(unit.text)
    return False


def _is_step(units: Sequence[_Unit], at: int) -> bool:
    """Return whether a task is one of several paragraphs of steps, as in advice."""
    tasks = [unit for unit in units if unit.starts and unit.task]
    return len(tasks) >= 3 and all(unit.task for unit in units[at:] if unit.starts == "paragraph")


def _is_answered_briefly(units: Sequence[_Unit], at: int) -> bool:
    """Return whether a question ends the text or precedes choices or a short paragraph."""
    words = 0
    for unit in units[at + 1 :]:
        if unit.starts == "paragraph" and words:
            break
        words += count_words(unit.text)
    return words <= _PARAGRAPH


def _takes_turns_by_line(units: Sequence[_Unit]) -> bool:
    """Return whether answers and new questions or tasks alternate by line."""
    lines = [unit for unit in units if unit.starts]
    if len(lines) < 2 or lines[0].question or lines[0].text.endswith((":", ",", "?")):
        return False  # a dialogue, a quiz or an announced list
    opens_with_task = lines[0].task
    asks = [
        unit.task if opens_with_task else (unit.question and count_words(unit.text) >= 4) or unit.task for unit in lines
    ]
    turns = [at for at in range(1, len(lines)) if asks[at] and not asks[at - 1]]
    answered_turns = [
        at for at in turns if at + 1 < len(lines) and not asks[at + 1] and count_words(lines[at + 1].text) <= 12
    ]
    choices = [at for at in turns if at + 2 < len(lines) and all(_CHOICE.match(u.text) for u in lines[at + 1 : at + 3])]
    brief = [count_words(unit.text) <= _SHORT_ANSWER for unit in lines]
    chain = [at for at in range(1, len(lines) - 1) if lines[at].text.endswith("?") and not lines[at].labelled]
    if len([at for at in chain if brief[at - 1] and brief[at + 1] and not brief[at]]) >= 2 and brief[0]:
        return True
    short = (
        lines[0].text[0] not in "<["
        and count_words(lines[0].text) <= _SHORT_ANSWER
        and not (opens_with_task or lines[0].labelled)
    )
    return (
        len(answered_turns) >= 2
        or bool(choices)
        or (short and len(answered_turns) == 1)
        or (short and bool(turns) and lines[1].asks)
    )


def _takes_turns_by_sentence(units: Sequence[_Unit]) -> bool:
    """Return whether unrelated questions and short answers alternate within the running text."""
    if units[0].question or _is_interjection(units[0].text):
        return False
    turns = [at for at in range(1, len(units)) if units[at].asks and not (units[at - 1].asks or units[at - 1].question)]
    answered_turns = [at for at in turns if at + 1 < len(units) and count_words(units[at + 1].text) <= _ANSWER]
    tasks = [at for at in turns if units[at].task]
    if len(answered_turns) >= 2 and (len(tasks) < len(turns) or not units[0].task):
        return True
    brief = [count_words(unit.text) <= _SHORT_ANSWER and unit.text.endswith((".", "!")) for unit in units]
    bare_answers = [at for at in range(1, len(units) - 1) if units[at].question and brief[at - 1] and brief[at + 1]]
    return len(bare_answers) >= 2 and brief[0]


def _asks_once(units: Sequence[_Unit]) -> bool:
    """Return whether a question follows a bare answer ("No. Is a tomato a fruit?") or repeats its form on a new topic."""
    first = units[0]
    if first.question or first.task or _is_interjection(first.text):
        return False
    questions = [at for at in range(1, len(units)) if units[at].asks]
    if not questions or questions[0] != 1:
        return False
    question = units[1]
    if count_words(first.text) <= _SHORT_ANSWER and first.text.endswith((".", "!")):
        return count_words(question.text) >= 4
    answers = [unit.text for unit in units[2:3]]
    return _has_news(first.text, question.text) and any(
        same_form(first.text, text) for text in [question.text, *answers]
    )


def _continues_with_now(units: Sequence[_Unit]) -> bool:
    """Return whether a sentence after the first is a task that starts with "Now"."""
    return any(unit.task and unit.text.casefold().startswith("now ") for unit in units[1:]) and not units[0].task


def _is_interjection(text: str) -> bool:
    return any(word.casefold() in INTERJECTIONS for word in _WORD.findall(text)) and count_words(text) <= _SHORT_ANSWER


def _content(text: str) -> set[str]:
    """Return the approximate content words: those of at least five letters, and capitalized ones."""
    return {word.casefold() for word in _WORD.findall(text)[1:] if len(word) >= 5 or word[0].isupper()}


def _has_news(statement: str, question: str) -> bool:
    """Return whether a question has content words that the statement lacks."""
    return bool(_content(question) - {word.casefold() for word in _WORD.findall(statement)} - QUESTION_WORDS)
