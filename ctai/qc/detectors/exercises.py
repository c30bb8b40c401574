"""Detector of answers that continue with another exercise, chapter or part of a web page.

Owns the rules on headings, numbers and web-page boilerplate. Numbers that start at one belong to the answer; those
that start later continue a list of another text.
"""

import re
from collections.abc import Sequence

from ctai.qc.detectors.followups import is_question, is_task
from ctai.qc.detectors.layout import TextLine, announces, bare, count_words
from ctai.qc.detectors.lexicon import (
    ANSWER_LABELS,
    EXERCISE_WORDS,
    INSTRUCTION_LABELS,
    NEXT_WORDS,
    PROMPT_LABELS,
    QUESTION_LABELS,
    SERIES_WORDS,
)

_HEADING = re.compile(r"(?:\#{1,6}[ \t]+|\*\*(?=[^*]+\*\*:?$)|<h\d>)(?P<title>[^\s#].*)$")
_NUMBERED_WORD = re.compile(
    r"(?P<word>[^\W\d_]{1,12})\.?[ \t]*(?:[#(]|no\.?[ \t]*)?(?P<number>\d{1,3})\b(?P<rest>.*)$", re.I
)
_NUMBER = re.compile(
    r"[(\#*]{0,2}(?P<number>\d{1,3})(?:[.):]|[ \t](?=[^\W\d_]))[)*]{0,3}[ \t]*(?P<text>[^\W\d_\"'\u00bf(*].*)$"
)
_CHOICE = re.compile(r"[-*\[( ]{0,3}[a-eA-E][.)\]][ \t]*\S")
_BARE_PROMPT = re.compile(r"[*_#\[ ]*(?P<word>[^\W\d_]+)(?:[ \t]*\#?\d{1,3})?[\]*_: ]*$")
# Beginnings of boilerplate lines: offers, dates and names, comments, copyright, announced exercises.
_BOILERPLATE_STARTS = (
    r"share (?:this|on|via)\b|read (?:more|also|next)\b|see (?:also|more|full|all)\b|view all\b|click here|follow us\b",
    r"subscribe\b|home [|>\u00bb]|(?:share|tweet|pin it|email|print|menu|reply)$",
    r"(?:related|recommended|similar|popular|recent|more) (?:articles?|posts?|topics?|questions|searches|links|stories|videos)\b",
    r"sign up (?:for|to)\b|log ?in (?:to|or|/)|back to (?:top|home)",
    r"you (?:may|might) also (?:like|enjoy|be)\b|if you (?:liked|enjoyed|found) this\b|customers who\b|people also\b|pin recipe",
    r"(?:previous|next|older|newer) (?:post|article|page|question|lesson|chapter|topic|thread|problem|task)s?\b",
    r"posted (?:by|on|in|at)\b|(?:last )?(?:published|updated|written|edited|modified|reviewed|submitted|uploaded|answered|asked)"
    r" (?:on|by|at|\w{3} \d).{0,50}[^.]$|this (?:entry|post|article|question|thread|page) (?:was|has|is)\b|about the author",
    r"leave (?:a|your) (?:comment|reply)\b|comments?(?: \(\d+\)|:?$)",
    r"\d+ (?:comments?|answers?|replies|votes?|views|likes)(?:$| ?[|,:])",
    r"(?-i:[A-Z]\w+)(?: \w+)? (?:says|wrote|writes):$|on .{4,40} wrote:$|re: |@\w{2,20}[ ,:]|(?:edit|update)(?: \d)?:|quote:$",
    r"(?:joined|reputation|votes):|thread starter|upvote|like ?[\u00b7|] ?reply|.{0,40}\d{1,2}:\d{2} ?[ap]m$|sorted by\b",
    r"copyright (?:\u00a9|\(c\)|\d{4})|(?:\u00a9|\(c\)) ?\d{4}|all rights reserved|privacy policy|terms of (?:use|service)",
    r"filed under\b|tagged(?: with| as|:)|tags?:|categor(?:y|ies):|source: ?http|retrieved from|advertisements?$|newsletter$",
    r"report (?:abuse|this)|was this \w* ?helpful|powered by .{0,30}[^.]$|print this|email this|join the discussion|download pdf",
    r"(?:now )?(?:it'?s )?your turn\b|now (?:you )?try\b|try (?:it|this|these) (?:yourself|one|at home)",
    r"more (?:questions|exercises)\b|the next (?:question|problem|task)\b|practice (?:questions?|problems?|exercises?)\b",
)
_BOILERPLATE = re.compile(rf"(?i:{'|'.join(_BOILERPLATE_STARTS)})")


def opens_exercise(lines: Sequence[TextLine]) -> bool:
    """Return whether a heading, a number or boilerplate opens another text after the answer."""
    return any(rule(lines) for rule in (_opens_heading, _numbers_on, _asks_numbered, _has_boilerplate))


def _opens_heading(lines: Sequence[TextLine]) -> bool:
    """Return whether a later heading opens a task or a question; never if the text starts with a heading."""
    if not lines or _HEADING.match(lines[0].text):
        return False
    for at, line in enumerate(lines[1:], start=1):
        heading = _HEADING.match(line.text)
        title = heading["title"].strip(" *_#:") if heading else ""
        head = bare(title).partition(":")[0].casefold().strip()
        words = [word.strip("#.-()") for word in head.split()]
        names_task = bool(words) and (set(words) - NEXT_WORDS <= _HEAD_WORDS | {""} or words[0] in EXERCISE_WORDS)
        if heading and (
            (is_question(title) and count_words(title) >= 4) or (names_task and _is_head(words)) or is_task(title)
        ):
            return True
        if line.opens and _is_bare_prompt(lines, at):
            return True
    return False


_HEAD_WORDS = (
    (INSTRUCTION_LABELS | QUESTION_LABELS | PROMPT_LABELS | ANSWER_LABELS | EXERCISE_WORDS)
    | {"questions", "exercises", "problems", "tasks", "answers", "prompts", "solution", "solutions"}
    | {"user", "assistant", "human", "system"}
) - {"a", "test"}  # fmt: skip


def _is_head(words: Sequence[str]) -> bool:
    """Return whether a heading is the name of a task with at most a number and words such as `next`."""
    return all(word in _HEAD_WORDS | NEXT_WORDS or word.isdigit() or len(word) <= 1 for word in words)


def _is_bare_prompt(lines: Sequence[TextLine], at: int) -> bool:
    """Return whether a line consists of a prompt label such as `INSTRUCTION` or `Question 2`."""
    match = _BARE_PROMPT.match(lines[at].text)
    if not match:
        return False
    word, shouts = match["word"].casefold(), match["word"].isupper() and len(match["word"]) > 1
    if word in INSTRUCTION_LABELS | {"response", "assistant"}:
        return match["word"][0].isupper()
    return shouts and word in (QUESTION_LABELS | PROMPT_LABELS | {"user", "human"}) and at > 0


def _numbers_on(lines: Sequence[TextLine]) -> bool:
    """Return whether a numbered exercise follows (`Q2.`, `Problem 8.`), or a series without its start."""
    first = _numbered_word(lines[0].text) if lines else None
    announced_word = ""
    for at, line in enumerate(lines[1:], start=1):
        numbered = _numbered_word(line.text)
        if not numbered or (first and first[0] == numbered[0]) or announced_word == numbered[0]:
            continue
        if numbered[1] == 1 and (announces(lines[at - 1].text) or announces(lines[0].text)):
            announced_word = numbered[0]
            continue
        word, number, rest = numbered
        asks = not rest or is_question(rest) or is_task(rest, numbered=True) or rest.endswith("?")
        if word in EXERCISE_WORDS and (asks or number > 1 or line.opens) and not line.text.endswith(","):
            return True
        if word in SERIES_WORDS and number > 1 and _misses_before(lines, word, number):
            return True
    return False


def _misses_before(lines: Sequence[TextLine], word: str, number: int) -> bool:
    """Return whether no line has this word with a lower number."""
    numbered = [parsed for line in lines if (parsed := _numbered_word(line.text))]
    return not any(series == word and n < number for series, n, _ in numbered)


def _numbered_word(text: str) -> tuple[str, int, str] | None:
    """Parse `Problem 8. Solve it` into ("problem", 8, "Solve it"); None for any other line."""
    match = _NUMBERED_WORD.match(bare(text))
    if not match:
        return None
    word, rest = match["word"].casefold(), match["rest"]
    separated = (
        not rest.strip() or rest[0] in ".):]-*\u2013\u2014(" or rest.startswith((" -", " \u2013", " (", " of ", " :"))
    )
    is_series = word in EXERCISE_WORDS | SERIES_WORDS
    return (word, int(match["number"]), rest.lstrip(" .):]-*\u2013\u2014")) if is_series and separated else None


def _asks_numbered(lines: Sequence[TextLine]) -> bool:
    """Return whether numbered questions or tasks follow that the answer does not announce."""
    items = [(at, match) for at, line in enumerate(lines) if (match := _NUMBER.match(line.text.lstrip("#* ")))]
    questions = [(at, m) for at, m in items if m["text"].rstrip(" *").endswith("?") or is_question(m["text"])]
    start = items[0][0] if items else 0
    late = start > 0 and int(items[0][1]["number"]) > 1
    tasks = [(at, m) for at, m in items if is_task(m["text"], numbered=late)]
    if not (questions or tasks):
        return False
    if start > 0:
        if lines[start - 1].text.endswith(":"):
            return False
        choices = any(_CHOICE.match(line.text) for line in lines[questions[0][0] + 1 :]) if questions else False
        return (bool(questions) and (late or choices or questions[0][0] == start)) or (late and bool(tasks))
    first_asks = questions and questions[0][0] == 0
    turns = [at for at, _ in questions + tasks if at + 1 < len(lines) and not _NUMBER.match(lines[at + 1].text)]
    return not first_asks and not (tasks and tasks[0][0] == 0) and bool(turns) and len(items) <= len(lines) - len(turns)


# ------------------------------------------------------------------------------------------------- web pages


def _has_boilerplate(lines: Sequence[TextLine]) -> bool:
    """Return whether web-page or forum boilerplate follows: one paragraph that starts with it, or two lines."""
    if not lines or lines[0].label:
        return False
    boilerplate = [line for line in lines[1:] if _BOILERPLATE.match(line.text.lstrip("#>[* "))]
    return len(boilerplate) >= 2 or any(line.opens for line in boilerplate)
