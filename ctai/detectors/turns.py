"""The detector of answers that go on into another prompt, turn or exercise which says so by its layout.

Labels (`Question:`, `Student:`), headings, numbers and the furniture of web pages. A label counts where the answer
before it is over; what speaks against it is a record, a list that was announced, or a text that is itself made of such
labels, such as a play or a quiz. New tasks without a label are `ctai.detectors.tasks`'.
"""

import re
from collections.abc import Sequence

from ctai.detectors.layout import Line, announces, bare, count_words, read_lines, without_quotes
from ctai.detectors.tasks import is_question, is_task
from ctai.detectors.words import (
    ANSWER_LABELS,
    CHAT_LABELS,
    EXERCISE_WORDS,
    FIELD_LABELS,
    INSTRUCTION_LABELS,
    NEXT_WORDS,
    PROMPT_LABELS,
    QUESTION_LABELS,
    ROLE_LABELS,
    SERIES_WORDS,
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
_HEADING = re.compile(r"(?:\#{1,6}[ \t]+|\*\*(?=[^*]+\*\*:?$)|<h\d>)(?P<title>[^\s#].*)$")
_NUMBERED_WORD = re.compile(r"(?P<word>[^\W\d_]{1,12})\.?[ \t]*(?:[#(]|no\.?[ \t]*)?(?P<number>\d{1,3})\b(?P<rest>.*)$", re.I)
_NUMBER = re.compile(r"[(\#*]{0,2}(?P<number>\d{1,3})(?:[.):]|[ \t](?=[^\W\d_]))[)*]{0,3}[ \t]*(?P<text>[^\W\d_\"'\u00bf(*].*)$")
_CHOICE = re.compile(r"[-*\[( ]{0,3}[a-eA-E][.)\]][ \t]*\S")
_BARE_PROMPT = re.compile(r"[*_#\[ ]*(?P<word>[^\W\d_]+)(?:[ \t]*\#?\d{1,3})?[\]*_: ]*$")
_FURNITURE = re.compile(
    r"(?i)(?:share (?:this|on|via)\b|(?:related|recommended|similar|popular|recent|more) (?:articles?|posts?|topics?|questions"
    r"|searches|links|stories|videos|pages|reading)\b|posted (?:by|on|in|at)\b|leave (?:a|your) (?:comment|reply)\b"
    r"|\d+ (?:comments?|answers?|replies|responses|votes?|views|likes|shares|upvotes)\b"
    r"|comments?(?: \(\d+\)|:?$)|(?:read|see) (?:more|also|next|full)\b|(?:click|tap) (?:here|on|the link)\b"
    r"|subscribe\b|sign (?:up|in)\b|log ?in (?:to|or|/)|follow us\b|copyright\b|(?:\u00a9|\(c\)) ?\d{4}|all rights reserved"
    r"|filed under\b|tagged(?: with| as|:)|tags?:|categor(?:y|ies):|(?:previous|next|older|newer) (?:post|article|page|question|lesson"
    r"|chapter|topic|thread)s?\b"
    r"|last (?:updated|edited|modified)\b|(?:published|updated|written|answered|asked|edited|reviewed|submitted|uploaded)"
    r" (?:on|by|at|in|\w{3} \d)|about the author|advertisements?$|back to (?:top|home)|you (?:may|might) also\b"
    r"|privacy policy|terms of (?:use|service)|reply$|like ?[\u00b7|] ?reply|report (?:abuse|this)|was this \w* ?helpful"
    r"|newsletter|powered by|print this|email this|re: |on .{4,40} wrote:$|.{2,30} (?:says|said|wrote|writes):$|quote:$"
    r"|(?:joined|location|posts|reputation|points|votes):|home [|>\u00bb]|menu$|search$|upvote|source: ?http|retrieved from"
    r"|.{0,40}\d{1,2}:\d{2} ?[ap]m$|this (?:entry|post|article|question|thread|page) (?:was|has|is)\b|thread starter"
    r"|(?:now )?(?:it'?s )?your turn\b|(?:now )?(?:you )?try (?:it|this|these)?\b|(?:the )?next (?:question|problem|task)\b"
    r"|more (?:questions|examples|exercises|problems)\b|practice (?:questions?|problems?|exercises?)\b"
    r"|@\w{2,20}[ ,:]|edit(?: \d)?:|update(?: \d)?:|if you (?:liked|enjoyed|found) this\b|customers who\b|people also\b|pin recipe"
    r"|join (?:us|now|the discussion)|(?:see|view) all\b|download (?:the|this|now|pdf|our)|(?:share|tweet|pin it|email|print)$)"
)


def opens_another(text: str) -> bool:
    """Whether the answer goes on into something that a label, a heading, a number or a web page's furniture opens.

    Args:
        text: the response without its fenced code.
    """
    lines = read_lines(text)
    rules = (_opens_prompt, _takes_turns, _repeats_exercise, _opens_heading, _numbers_on, _asks_numbered, _leaves_page)
    return (
        bool(_INLINE_LABEL.search(without_quotes(text)))
        or _opens_turn(text)
        or any(rule(lines) for rule in rules)
    )


def _opens_turn(text: str) -> bool:
    """Whether control text opens a user's turn after an answer that no control text opens."""
    turn, control = _USER_TURN.search(text), _CONTROL.search(text)
    return bool(turn and control and re.search(r"\w", text[: control.start()]))


# -------------------------------------------------------------------------------------------------- labels


def _known(line: Line) -> str:
    """The label of a line if it is one that opens prompts, turns or answers; without `next` and the like."""
    label = line.label
    first, _, rest = label.partition(" ")
    if rest and first in NEXT_WORDS:
        label = rest
    return label if label in _KNOWN and (len(label) > 1 or line.capital or label == "q") else ""


def _opens_prompt(lines: Sequence[Line]) -> bool:
    """Whether a line after the first opens a prompt or a turn by a label that is known for it."""
    known = [_known(line) for line in lines]
    return any(known[at] and _opens(lines, known, at) for at in range(1, len(lines)))


def _opens(lines: Sequence[Line], known: Sequence[str], at: int) -> bool:
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


def _is_in_record(lines: Sequence[Line], known: Sequence[str], at: int) -> bool:
    """Whether the line beside it is `key: value` with a key that opens nothing."""
    before = lines[at - 1]
    if before.label and before.value and not known[at - 1] and not lines[at].opens:
        return True
    after = lines[at + 1] if at + 1 < len(lines) else None
    return bool(after and after.label and after.value and not known[at + 1] and count_words(lines[at].value) <= 3)


def _answers_again(lines: Sequence[Line], known: Sequence[str], at: int) -> bool:
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


def _takes_turns(lines: Sequence[Line]) -> bool:
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
    changes = any(a != b for a, b in zip(labels, labels[1:], strict=False))
    return changes and (asked or len(set(labels)) < len(labels) or set(labels) <= CHAT_LABELS)


def _is_answer(lines: Sequence[Line], at: int) -> bool:
    """Whether the lines before line `at` are an answer of their own, not a title, a stage direction or an announcement."""
    if at == 0 or lines[0].label or announces(lines[at - 1].text) or _STAGE.match(lines[0].text):
        return False
    return not (lines[0].text.endswith("?") and at == 1)


def _repeats_exercise(lines: Sequence[Line]) -> bool:
    """Whether a block of labels recurs after an answer that has the form of its last value, as in few-shot examples."""
    labelled = [at for at, line in enumerate(lines) if line.label]
    if not labelled or labelled[0] == 0 or not lines[labelled[0]].opens or announces(lines[labelled[0] - 1].text):
        return False
    first, labels = lines[0].text, [lines[at].label for at in labelled]
    if any(parallel(first, line.text) and len(first) > 3 for line in lines[labelled[0] + 1 :] if not line.label):
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
    same_form = first[0].isdigit() == last.value[:1].isdigit() and first[0].isupper() == last.value[:1].isupper()
    return same_form and (cycles or first[0].islower() or first[0].isdigit())


def parallel(a: str, b: str) -> bool:
    """Whether two sentences of about the same length share at least half of their words, in place."""
    first, second = a.casefold().split(), b.casefold().split()
    if min(len(first), len(second)) < 3 or abs(len(first) - len(second)) > 2:
        return False
    common = len(set(first) & set(second))
    return common >= max(len(set(first)), len(set(second))) / 2


# ------------------------------------------------------------------------------------ headings and numbers


def _opens_heading(lines: Sequence[Line]) -> bool:
    """Whether a heading in the middle starts a new task or asks; a document that starts with a heading may."""
    if not lines or _HEADING.match(lines[0].text):
        return False
    for at, line in enumerate(lines[1:], start=1):
        found = _HEADING.match(line.text)
        title = found["title"].strip(" *_#:") if found else ""
        head = bare(title).partition(":")[0].casefold().strip()
        words = [word.strip("#.-()") for word in head.split()]
        names_task = bool(words) and (set(words) - NEXT_WORDS <= _HEAD_WORDS | {""} or words[0] in EXERCISE_WORDS)
        if found and (title.endswith("?") or (names_task and _is_head(words)) or is_task(title)):
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


def _is_bare_prompt(lines: Sequence[Line], at: int) -> bool:
    """Whether a line is nothing but `INSTRUCTION` or `Question 2`."""
    found = _BARE_PROMPT.match(lines[at].text)
    if not found:
        return False
    word, shouts = found["word"].casefold(), found["word"].isupper() and len(found["word"]) > 1
    if word in INSTRUCTION_LABELS | {"response", "assistant"}:
        return found["word"][0].isupper()
    return shouts and word in (QUESTION_LABELS | PROMPT_LABELS | {"user", "human"}) and at > 0


def _numbers_on(lines: Sequence[Line]) -> bool:
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


def _misses_before(lines: Sequence[Line], word: str, number: int) -> bool:
    """Whether no line numbers this word lower."""
    found = [one for line in lines if (one := _numbered_word(line.text))]
    return not any(other == word and n < number for other, n, _ in found)


def _numbered_word(text: str) -> tuple[str, int, str] | None:
    """`Problem 8. Solve it` as ("problem", 8, "Solve it"); None for a line that does not start so."""
    found = _NUMBERED_WORD.match(bare(text))
    if not found:
        return None
    word, rest = found["word"].casefold(), found["rest"]
    separated = not rest.strip() or rest[0] in ".):]-*\u2013\u2014(" or rest.startswith((" -", " \u2013", " (", " of ", " :"))
    known = word in EXERCISE_WORDS | SERIES_WORDS
    return (word, int(found["number"]), rest.lstrip(" .):]-*\u2013\u2014")) if known and separated else None


def _asks_numbered(lines: Sequence[Line]) -> bool:
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
        return bool(asks) and (late or choices or asks[0][0] == start) or (late and bool(told))
    first_asks = asks and asks[0][0] == 0
    turns = [at for at, _ in asks + told if at + 1 < len(lines) and not _NUMBER.match(lines[at + 1].text)]
    return not first_asks and not (told and told[0][0] == 0) and bool(turns) and len(found) <= len(lines) - len(turns)


# ------------------------------------------------------------------------------------------------- web pages


def _leaves_page(lines: Sequence[Line]) -> bool:
    """Whether the rest of a web page or a forum thread follows: a paragraph that starts with its furniture, or two of it."""
    if not lines or lines[0].label:
        return False
    found = [line for line in lines[1:] if _FURNITURE.match(line.text.lstrip("#*>-[ "))]
    return len(found) >= 2 or any(line.opens for line in found)
