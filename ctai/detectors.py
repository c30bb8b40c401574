"""Detectors of what is wrong with the form of a response: instruments, measured on labelled responses.

Owns `find_faults` and its rules. A rule looks at the text alone, whatever the cleaner does or will do to it,
and never at the instruction: whether an answer is right is the concern of critic and checkers. Rates and
thresholds are `ctai.qc`'s.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from ctai.detect_truncation import is_truncated
from ctai.records import FinishReason

FAULTS = ("runaway", "delimiter", "truncated", "token_limit", "template", "empty")

_INVISIBLE = re.compile(r"[\s\u00ad\u200b-\u200f\u2028\u2029\u2060\ufeff]+")
_BLANK_FILLER = re.compile(r"_+|[.\u2026]{2,}|\u2026|-{4,}")

_DELIMITER = re.compile(
    r"(?<!\#)\#{2,}[ \t]*END\b|\bEND[ \t]*\#{2,}"  # the delimiter with or without one of its sides
    r"|(?<!\#)\#{2,}EN?\Z"  # cut off by the budget
    r"|(?:^|\n)[ \t]*(?:\#[ \t]*)+\Z"  # a last line of hashes only
    r"|(?<![`'\"\u201c\u2018\#])\#{2,}\Z"  # hashes that end the text, unless somebody quotes them
    r"|(?m:^[ \t]*\#{3,}[ \t]*$)"  # a line of hashes only
)
_LONE_HASH = re.compile(r"\#")

_TEMPLATE = re.compile(
    r"<[|\uff5c][A-Za-z_][\w \u2581-]{0,38}[|\uff5c]>"  # <|im_start|>, <|endoftext|>, <|User|> with wide bars
    r"|<\|?(?:start_of_turn|end_of_turn|start_header_id|end_header_id|im_start|im_end|eot_id)\|?>"
    r"|\[/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS)\]|<</?SYS>>"
    r"|<(?:bos|eos|pad|unk)>|\{\{-?[ ]*bos_token"
    r"|\{%-?[ ]*(?:for message in messages|if add_generation_prompt)"
)
_SENTENCE_MARK = re.compile(r"</?s>")
_STRUCK_OUT = re.compile(r"<s>(?=\S)[^<\n]*(?<=\S)</s>")

# Labels that open a prompt or a turn. The first group never stands inside an answer; the second also occurs
# in records ("User: admin"), so that its neighbours decide.
_OPENERS = r"Instructions?|Question|Q|Human|Assistant"
_RECORD_OPENERS = r"Input|Output|Response|User|AI|Bot|System|Prompt|Task|Exercise|Problem|Answer|A"
_DECORATION = r"[ \t]*(?:[>*_-]{1,3}[ \t]*|\#{1,6}[ \t]+|\d{1,3}[.)][ \t]+)?(?:[*_]{1,2})?"
_MARKER = re.compile(
    rf"(?m)^{_DECORATION}(?P<label>{_OPENERS}|{_RECORD_OPENERS})(?:[ \t]*\#?\d{{1,3}})?[*_]{{0,2}}[ \t]*:"
)
_INLINE_MARKER = re.compile(
    r"(?:(?<=[.!?)])[ \t]+(?:Instruction|Question|Q|User|Human|Assistant|Input|Response)"
    r"|(?<=\w)[ \t]+(?:\#{1,6}[ \t]*)?(?:Instruction|Q)):[ \t]+[\"'\w]"
)
_RECORD_LINE = re.compile(r"^[ \t]*(?:[-*][ \t]+)?(?P<label>[A-Za-z][\w /-]{0,24}):[ \t]*\S")
_LISTED_LABELS = {"question", "q", "task", "exercise", "problem", "input", "prompt"}
_ANSWER_LABELS = {"a", "answer", "output", "response"}

_HEADING = re.compile(r"(?m)^[ \t]*\#{1,6}[ \t]+(?P<title>\S.*)$")
_TASK_HEADING = re.compile(
    r"(?i)^(?:(?:new|next|another|your)\s+)?(?:instructions?|questions?|tasks?|exercises?|problems?|prompts?|response|answers?"
    r"|input|output|user|assistant|human|system|solution|challenge|assignment|quiz|worksheet)\b[\s\d:#.*]*"
)
_NUMBERED = re.compile(r"^[ \t]*(?P<number>\d{1,3})[.)][ \t]+(?P<text>\S.*)$")
_TASK_VERB = re.compile(
    r"^(?:Name|List|Give|Tell|Explain|Describe|Write|Define|Translate|Summarize|Summarise|Convert|Calculate|Compute|Identify"
    r"|Provide|Generate|Spell|Rewrite|Classify|Compare|Suggest|Say|State|Find|Create|What|Who|Where|When|Why|How|Which)\b"
)
_QUESTION_WORD = re.compile(
    r"(?i)(?:what|who|where|when|why|how|which|whose|is|are|was|were|do|does|did|can|could|will|would|should|has)\b"
)
_FENCED = re.compile(r"(?s)```.*?(?:```|\Z)")


def find_faults(text: str, finish_reason: FinishReason | None = None) -> frozenset[str]:
    """The faults of a response, raw or cleaned, as it is given.

    Args:
        text: the response.
        finish_reason: why generation ended, if known; `length` is the fault `token_limit`, and makes a long
            last line without an end count as cut off.

    Returns:
        A subset of `FAULTS`:
        runaway: the text goes on into another prompt, turn or task, or repeats itself.
        delimiter: it holds the few-shot delimiter or a fragment of it.
        truncated: it ends before its sentence, bracket, quote, code block or announced list does.
        token_limit: the model ran into its budget.
        template: it holds chat-control text.
        empty: there is nothing to read.
    """
    faults = {"token_limit"} if finish_reason == "length" else set()
    visible = _INVISIBLE.sub("", text)
    if not visible or _BLANK_FILLER.fullmatch(visible):
        return frozenset({*faults, "empty"})
    text = text.replace("\r\n", "\n").strip()
    checks = {
        "runaway": _continues(text) or _repeats(text),
        "delimiter": _has_delimiter(text),
        "truncated": is_truncated(text, out_of_budget=finish_reason == "length"),
        "template": _has_template(text),
    }
    return frozenset(faults | {name for name, found in checks.items() if found})


def _has_delimiter(text: str) -> bool:
    return bool(_DELIMITER.search(text)) and not _LONE_HASH.fullmatch(text)


def _has_template(text: str) -> bool:
    """Chat-control text. `<s>` counts unless it strikes out a part of the text, as it does in HTML."""
    if _TEMPLATE.search(text):
        return True
    rest = text if _STRUCK_OUT.fullmatch(text) else _STRUCK_OUT.sub("", text)
    return bool(_SENTENCE_MARK.search(rest))


# ------------------------------------------------------------------------------ going on into another prompt


def _continues(text: str) -> bool:
    prose = _FENCED.sub("", text)
    lines = [line.strip() for line in prose.split("\n") if line.strip()]
    return (
        bool(_INLINE_MARKER.search(prose))
        or _opens_prompt(lines)
        or _opens_heading(prose)
        or _asks_numbered(lines)
        or _asks_lines(lines)
    )


def _opens_prompt(lines: Sequence[str]) -> bool:
    """Whether a line after the first opens a prompt or a turn."""
    labels = [match["label"].casefold() if (match := _MARKER.match(line)) else None for line in lines]
    return any(label is not None and _opens(lines, labels, at) for at, label in enumerate(labels) if at)


def _opens(lines: Sequence[str], labels: Sequence[str | None], at: int) -> bool:
    """Whether the label of line `at` opens a prompt: it is no part of a record, a choice or an announced list."""
    label, before = labels[at], lines[at - 1]
    if label in ("instruction", "instructions", "human", "assistant"):
        return True
    announced = before.endswith(":") and labels[at - 1] is None
    if label in _ANSWER_LABELS:
        return _answers_again(lines, labels, at) and not announced
    if announced or (label in _LISTED_LABELS and labels[0] == label):
        return False  # the text promised one, or is itself a list of such things
    if label in ("q", "question"):
        return True
    record = _RECORD_LINE.match(before)
    return not (record and labels[at - 1] is None)


def _answers_again(lines: Sequence[str], labels: Sequence[str | None], at: int) -> bool:
    """Whether an `Answer:` is a further one: beside `B:` an `A:` is a choice; one `Answer:` may end the work."""
    label, earlier = labels[at], labels[:at]
    following = lines[at + 1] if at + 1 < len(lines) else ""
    if label == "a" and (following.startswith("B:") or lines[at - 1].startswith("B:")):
        return False
    if label == "a":
        return earlier != ["q"]
    if label == "output" and "input" in earlier:
        return False
    record = _RECORD_LINE.match(lines[at - 1])
    return label in earlier or (label == "response" and not (record and labels[at - 1] is None))


def _opens_heading(text: str) -> bool:
    """Whether a Markdown heading in the middle starts a new task or asks; a document of headings may."""
    if text.lstrip().startswith("#"):
        return False
    titles = [match["title"].strip(" *_") for match in _HEADING.finditer(text)]
    heads = [title.partition(":")[0] for title in titles]
    return any(title.endswith("?") for title in titles) or any(map(_TASK_HEADING.fullmatch, heads))


def _asks_numbered(lines: Sequence[str]) -> bool:
    """Whether an answer is followed by a numbered list of new questions or tasks that it did not announce."""
    found = [(at, match) for at, line in enumerate(lines) if (match := _NUMBERED.match(line))]
    if not found or found[0][0] == 0 or lines[found[0][0] - 1].endswith(":"):
        return False
    first = int(found[0][1]["number"])
    asked = [match["text"] for _, match in found if match["text"].rstrip(" *").endswith("?")]
    told = [match["text"] for _, match in found if _TASK_VERB.match(match["text"])]
    return bool(asked) or (first > 1 and bool(told))


def _asks_lines(lines: Sequence[str]) -> bool:
    """Whether answers and new questions or tasks take turns, a line each."""
    told = [bool(_TASK_VERB.match(line) and line.endswith(".")) for line in lines]
    asks = told if told[:1] == [True] else [_is_question(line) or t for line, t in zip(lines, told, strict=True)]
    if len(lines) < 3 or lines[0].endswith(("?", ":", ",")):
        return False  # a dialogue, a quiz or an announced list
    turns = [at for at in range(1, len(lines)) if asks[at] and not asks[at - 1]]
    answered = [at for at in turns if at + 1 < len(lines) and not asks[at + 1] and _words(lines[at + 1]) <= 12]
    return len(answered) >= 2 or (len(answered) == 1 and not asks[0] and _words(lines[0]) <= 3)


def _is_question(line: str) -> bool:
    return line.endswith("?") and _words(line) >= 4 and _QUESTION_WORD.match(line) is not None


def _words(text: str) -> int:
    return len(text.split())


# ----------------------------------------------------------------------------------------- repeating itself

_WORDS = re.compile(r"\w+(?:['\u2019]\w+)*")
_LIST_MARK = re.compile(r"^[ \t]*(?:\d{1,3}[.)]|[-*\u2022])[ \t]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\u201d]*\s+|\n+")
_LETTER_RUN = re.compile(r"([^\W\d_])\1{14,}")
# (words in the phrase, copies in a row that are too many): people do say "very, very" and "no, no, no"
_COPIES = ((1, 6), (2, 4), (3, 4), (4, 3), (5, 3), (6, 3), (7, 3), (8, 3))


def _repeats(text: str) -> bool:
    prose = _FENCED.sub("", text)
    checks = (_LETTER_RUN.search, _repeats_lines, _repeats_sentences, _repeats_phrase)
    return any(check(prose) for check in checks)


def _repeats_lines(text: str) -> bool:
    """Three equal lines with a word in them, or two in a row of four words; table rows do not count."""
    lines = [_LIST_MARK.sub("", line).strip().casefold() for line in text.split("\n")]
    lines = [line for line in lines if re.search(r"[^\W\d_]{2}", line) and not line.startswith("|")]
    return _most(lines) >= 3 or any(a == b and _words(a) >= 4 for a, b in pairwise(lines))


def _most(items: Sequence[str]) -> int:
    """How often the most frequent item occurs."""
    return max(Counter(items).values(), default=0)


def _repeats_sentences(text: str) -> bool:
    """A sentence of four words twice in a row, or three times anywhere; each with its numbers."""
    sentences = [" ".join(_WORDS.findall(part.casefold())) for part in _SENTENCE_END.split(text)]
    sentences = [sentence for sentence in sentences if _words(sentence) >= 4]
    return _most(sentences) >= 3 or any(a == b for a, b in pairwise(sentences))


def _repeats_phrase(text: str) -> bool:
    """A phrase of one to eight words too often in a row; numbers repeat in honest tables and sequences."""
    words = [word for word in _WORDS.findall(text.casefold()) if not word.isdigit()]
    return any(_copies(words, size) >= limit for size, limit in _COPIES)


def _copies(words: Sequence[str], size: int) -> int:
    """The most copies in a row of any phrase of `size` words."""
    longest = run = 0
    for at in range(size, len(words)):
        run = run + 1 if words[at] == words[at - size] else 0
        longest = max(longest, run)
    return longest // size + 1 if longest else 1
