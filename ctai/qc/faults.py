"""Detectors of formal faults of a response, calibrated on labelled responses.

Owns `find_faults` and its rules. A rule reads the text alone, independently of the cleaner, and never the instruction.
Does not own the correctness of answers (`ctai.generate.critic`, `ctai.tasks`), rates and thresholds
(`ctai.qc.summary`), or the calibration (`ctai.qc.calibration`).
"""

import re

from ctai.qc.detectors.exercises import opens_exercise
from ctai.qc.detectors.followups import asks_followup
from ctai.qc.detectors.layout import read_lines, without_code
from ctai.qc.detectors.repetition import repeats
from ctai.qc.detectors.truncation import is_truncated
from ctai.qc.detectors.turns import opens_turn
from ctai.records import FinishReason

FAULTS = ("runaway", "delimiter", "truncated", "token_limit", "template", "empty")

# Of a response longer than twice this, only the beginning and the end are judged, which bounds the time.
_MAX_CHARS = 10_000

_INVISIBLE = re.compile(r"[\s\u00ad\u200b-\u200f\u2028\u2029\u2060\ufeff\u2800\u3164]+|&nbsp;|<br ?/?>")
# A filler line: one sign, repeated. "-" and "*" alone are answers, and "... --- ..." is Morse code.
_FILLER_LINE = re.compile(
    r"_+|[.\u2026]{2,}|\u2026+|\.|-{3,}|([\u2013\u2014\u2022\u00b7*=~|])\1{2,}|[\u2013\u2014\u2022\u00b7]"
)

_DELIMITER = re.compile(
    r"(?<!\#)\#{2,}[ \t]*END\b|\bEND[ \t]*\#{2,}"  # the delimiter with or without one of its sides
    r"|(?<!\#)\#{2,}EN?\Z|(?<!\#)\#{3,}[ \t]*EN?\Z"  # cut off by the budget
    r"|(?:^|\n)[ \t]*(?:\#[ \t]*)+\Z"  # a last line of hashes only
    r"|(?<![`'\"\u201c\u2018\#])\#{2,}\Z"  # hashes that end the text, unless they are quoted
    r"|(?m:^[ \t]*\#{3,}[ \t]*$)"  # a line of hashes only
    r"|(?<=[.!?])[ \t]*\#{3,}(?=[ \t\n])"  # hashes between two sentences
)
_LONE_HASH = re.compile(r"\#")
_CLOSED_HEADING = re.compile(r"(?m)^(?P<signs>\#{1,6})[ \t]+(?!END\b)[^\s\#][^\n\#]*[ \t](?P=signs)$")

_TEMPLATE = re.compile(
    r"<[|\uff5c][A-Za-z_][\w \u2581-]{0,38}[|\uff5c]?>|<[A-Za-z_]\w{0,38}[|\uff5c]>"  # <|im_start|>, <|eot>, wide bars
    r"|<[|\uff5c][a-z_]{2,38}\Z"  # cut off by the budget
    r"|</?\|?(?:start_of_turn|end_of_turn|start_header_id|end_header_id|im_start|im_end|eot_id|end_of_utterance)\|?>"
    r"|\[/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS|BOS|EOS|gMASK)\]|<</?SYS>>"
    r"|<(?:bos|eos|pad|unk|sop|eop)>|\{\{-?[ ]*bos_token"
    r"|\{%-?[ ]*(?:for message in messages|if add_generation_prompt)"
)
_SENTENCE_MARK = re.compile(r"</?s>")
_STRUCK_OUT = re.compile(r"<s>(?=\S)[^<\n]*(?<=\S)</s>")


def find_faults(text: str, finish_reason: FinishReason | None = None) -> frozenset[str]:
    """Return the faults of a response, raw or cleaned.

    Args:
        text: the response.
        finish_reason: finish reason, if known; `length` is the fault `token_limit`, and makes a last
            sentence without an end count as truncated.

    Returns:
        A subset of `FAULTS`:
        runaway: The text continues with another prompt, turn or task, or repeats itself.
        delimiter: It contains the few-shot delimiter or a fragment of it.
        truncated: It ends within a sentence, bracket, quote, code block or announced list.
        token_limit: Generation ended at the token budget.
        template: It contains chat-template text.
        empty: It has no visible content.
    """
    faults = {"token_limit"} if finish_reason == "length" else set()
    text = text.replace("\r\n", "\n").strip()
    if _is_empty(text):
        return frozenset({*faults, "empty"})
    if len(text) > 2 * _MAX_CHARS:
        text = f"{text[:_MAX_CHARS]}\n{text[-_MAX_CHARS:]}"
    prose = without_code(text)
    runs_on = opens_turn(prose) or opens_exercise(read_lines(prose)) or asks_followup(prose) or repeats(prose)
    checks = {
        "runaway": runs_on,
        "delimiter": _has_delimiter(text),
        "truncated": is_truncated(text, out_of_budget=finish_reason == "length", runs_on=runs_on),
        "template": _has_template(text),
    }
    return frozenset(faults | {fault for fault, detected in checks.items() if detected})


def _is_empty(text: str) -> bool:
    lines = [_INVISIBLE.sub("", line) for line in text.split("\n")]
    return all(not line or _FILLER_LINE.fullmatch(line) for line in lines)


def _has_delimiter(text: str) -> bool:
    return bool(_DELIMITER.search(_CLOSED_HEADING.sub("", text))) and not _LONE_HASH.fullmatch(text)


def _has_template(text: str) -> bool:
    """Return whether the text has chat-template text; `<s>` counts unless it strikes out a part, as in HTML."""
    if _TEMPLATE.search(text):
        return True
    rest = text if _STRUCK_OUT.fullmatch(text) else _STRUCK_OUT.sub("", text)
    return bool(_SENTENCE_MARK.search(rest))
