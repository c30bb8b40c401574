"""The detector of answers that go on into the next exercise, chapter or part of a web page.

Headings, numbers and the furniture of pages. Numbers that start at one belong to the answer, those that start later
go on with somebody else's list.
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
# How lines begin that stand around the text of a page: offers, dates and names, comments, rights, exercises to come.
_FURNITURE_STARTS = (
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
_FURNITURE = re.compile(rf"(?i:{'|'.join(_FURNITURE_STARTS)})")


def opens_exercise(lines: Sequence[TextLine]) -> bool:
    """Whether a heading, a number or the furniture of a page opens something new after the answer."""
    return any(rule(lines) for rule in (_opens_heading, _numbers_on, _asks_numbered, _leaves_page))


def _opens_heading(lines: Sequence[TextLine]) -> bool:
    """Whether a heading in the middle starts a new task or asks; a document that starts with a heading may."""
    if not lines or _HEADING.match(lines[0].text):
        return False
    for at, line in enumerate(lines[1:], start=1):
        found = _HEADING.match(line.text)
        title = found["title"].strip(" *_#:") if found else ""
        head = bare(title).partition(":")[0].casefold().strip()
        words = [word.strip("#.-()") for word in head.split()]
        names_task = bool(words) and (set(words) - NEXT_WORDS <= _HEAD_WORDS | {""} or words[0] in EXERCISE_WORDS)
        if found and (
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
    """Whether the words of a heading are a task's name with at most a number and words such as `next`."""
    return all(word in _HEAD_WORDS | NEXT_WORDS or word.isdigit() or len(word) <= 1 for word in words)


def _is_bare_prompt(lines: Sequence[TextLine], at: int) -> bool:
    """Whether a line is nothing but `INSTRUCTION` or `Question 2`."""
    found = _BARE_PROMPT.match(lines[at].text)
    if not found:
        return False
    word, shouts = found["word"].casefold(), found["word"].isupper() and len(found["word"]) > 1
    if word in INSTRUCTION_LABELS | {"response", "assistant"}:
        return found["word"][0].isupper()
    return shouts and word in (QUESTION_LABELS | PROMPT_LABELS | {"user", "human"}) and at > 0


def _numbers_on(lines: Sequence[TextLine]) -> bool:
    """Whether a numbered exercise follows (`Q2.`, `Problem 8.`), or a series whose start the answer does not hold."""
    first = _numbered_word(lines[0].text) if lines else None
    announced = ""
    for at, line in enumerate(lines[1:], start=1):
        found = _numbered_word(line.text)
        if not found or (first and first[0] == found[0]) or announced == found[0]:
            continue
        if found[1] == 1 and (announces(lines[at - 1].text) or announces(lines[0].text)):
            announced = found[0]
            continue
        word, number, rest = found
        asks = not rest or is_question(rest) or is_task(rest, numbered=True) or rest.endswith("?")
        if word in EXERCISE_WORDS and (asks or number > 1 or line.opens) and not line.text.endswith(","):
            return True
        if word in SERIES_WORDS and number > 1 and _misses_before(lines, word, number):
            return True
    return False


def _misses_before(lines: Sequence[TextLine], word: str, number: int) -> bool:
    """Whether no line numbers this word lower."""
    found = [one for line in lines if (one := _numbered_word(line.text))]
    return not any(other == word and n < number for other, n, _ in found)


def _numbered_word(text: str) -> tuple[str, int, str] | None:
    """`Problem 8. Solve it` as ("problem", 8, "Solve it"); None for a line that does not start so."""
    found = _NUMBERED_WORD.match(bare(text))
    if not found:
        return None
    word, rest = found["word"].casefold(), found["rest"]
    separated = (
        not rest.strip() or rest[0] in ".):]-*\u2013\u2014(" or rest.startswith((" -", " \u2013", " (", " of ", " :"))
    )
    known = word in EXERCISE_WORDS | SERIES_WORDS
    return (word, int(found["number"]), rest.lstrip(" .):]-*\u2013\u2014")) if known and separated else None


def _asks_numbered(lines: Sequence[TextLine]) -> bool:
    """Whether an answer is followed by numbered questions or tasks that it did not announce."""
    found = [(at, match) for at, line in enumerate(lines) if (match := _NUMBER.match(line.text.lstrip("#* ")))]
    asks = [(at, m) for at, m in found if m["text"].rstrip(" *").endswith("?") or is_question(m["text"])]
    start = found[0][0] if found else 0
    late = start > 0 and int(found[0][1]["number"]) > 1
    told = [(at, m) for at, m in found if is_task(m["text"], numbered=late)]
    if not (asks or told):
        return False
    if start > 0:
        if lines[start - 1].text.endswith(":"):
            return False
        choices = any(_CHOICE.match(line.text) for line in lines[asks[0][0] + 1 :]) if asks else False
        return (bool(asks) and (late or choices or asks[0][0] == start)) or (late and bool(told))
    first_asks = asks and asks[0][0] == 0
    turns = [at for at, _ in asks + told if at + 1 < len(lines) and not _NUMBER.match(lines[at + 1].text)]
    return not first_asks and not (told and told[0][0] == 0) and bool(turns) and len(found) <= len(lines) - len(turns)


# ------------------------------------------------------------------------------------------------- web pages


def _leaves_page(lines: Sequence[TextLine]) -> bool:
    """Whether the rest of a web page or a forum thread follows: a paragraph that starts with its furniture, or two of it."""
    if not lines or lines[0].label:
        return False
    found = [line for line in lines[1:] if _FURNITURE.match(line.text.lstrip("#>[* "))]
    return len(found) >= 2 or any(line.opens for line in found)
