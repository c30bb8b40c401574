"""Detector of truncated responses.

Short answers without a full stop, such as "Paris", "7" or "No", are complete; a text is truncated if its last words or
open brackets require a continuation.
"""

import re

from ctai.qc.detectors.lexicon import ENGLISH_OPEN_WORDS, FOREIGN_OPEN_WORDS, LAST_AFTER, LAST_IN_CLAUSE_AFTER

_OPEN_END = re.compile(
    r"(?:,|;|:|\u2014|\u2013|[(\[{\u201c]|(?<=\s)(?:[-=+*/<>&|\\]|[<>=!+*/-]=|&&|\|\||\*\*|//|:=)|(?<=\w)(?:\s[-=]+>)|(?<=\w)=)$"
)
_SIGN_OFF = re.compile(
    r"(?i)^(?:(?:best|kind|warm|many|with)?\s*(?:regards|wishes|thanks)"
    r"|yours(?: \w+)?|sincerely|love|cheers|thank you),$"
)
_EMOTICON = re.compile(r"(?:^|\s)[:;=8]['-]?[(\[{/|\\]+$")
_HYPHENATED = re.compile(r"(?:^|\s)(?P<stem>[^\W\d_]+)-$")
_PREFIX_TALK = re.compile(r"(?i)\bprefix(?:es)?\b")
_LIST_MARK = re.compile(r"^(?:\d{1,3}[.)]|[-*\u2022])\s+")
_LIST_MARK_ONLY = re.compile(r"^(?:\d{1,3}[.)]|[-*\u2022])$")
_TERMINAL = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][)\]\"'\u2019\u201d*_`]*$")
_CODE_SIGN = re.compile(r"[{}<>|=\\]|\w\(|://")
_NO_PROSE = re.compile(rf"^(?:[-*\u2022>|#]|\d{{1,3}}[.)]\s|[A-H][:.)]\s|https?://)|{_CODE_SIGN.pattern}")
_TABLE_ROW = re.compile(r"^\|.*\|$")

_CLAUSE = re.compile(
    r"(?i)\b(?:what|who|whom|which|where|that|how)\b"
    r"|\b(?:the|an?|every|no|any|some)\w{0,5} \w+ (?:I|you|we|they|he|she|it)\b"
)
_STATEMENT = re.compile(r"[(){}=*<>\[\]]|^(?:return|import|using|let|var|int|break|SELECT|DROP)\b")
_KEYWORD = re.compile(r"(?:return|import|using|let|var|int)\b")
_CONNECTED = re.compile(r"[\w.']+")
_LAST_CHARS = 2000  # of the last line
_LONG_SENTENCE = 10  # words: a complete sentence of this length ends with a full stop
_CONDITION = re.compile(r"(?:If|Although|While|Whereas|Unless|Even though) ")
_CUT_TURN = re.compile(r"<\|im_start\|>[ \t]*\w{0,9}\Z|<\|start_header_id\|>\w{0,9}\Z|<\|?[a-z]{2,8}_[a-z_]{0,12}\Z")
_CONTROL_AT_END = re.compile(
    r"(?:(?<!\#)\#{2,}+(?:[ \t]{0,3}EN?D?\#*+)?|<\|\w{1,30}\|>|</s>|<\w{2,4}_of_\w{4,9}>)\s{0,9}\Z"
)
_LABEL = re.compile(r"^[*_#>]*[^\W\d_][\w -]{0,24}[*_]*[ ]?:[*_]*[ \t]+(?=\S)")
_STRONG_OPEN = re.compile(r"(?<![\w*])\*\*(?=[^\s*])")
_STRONG_CLOSE = re.compile(r"(?<=[^\s*])\*\*(?![\w*])")
_TAG = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9]{0,15})(?:\s[^<>]{0,300})?(?<!/)>")
_MAY_STAY_OPEN = frozenset(
    "area base br col embed hr img input link meta source track wbr p li td th tr dt dd option".split()
)
_ENGLISH = frozenset("the of and is to in it that for with was are you they this by on".split())
_SMALL_WORDS = ENGLISH_OPEN_WORDS.union(_ENGLISH, *(marks for marks, _ in FOREIGN_OPEN_WORDS.values()))
_DOUBLE_QUOTE = re.compile(r"(?<!\d)\"")
_QUOTED = re.compile(r"\"[^\"\n]*\"|'(?:[^'\n\w]{1,3})'|`[^`\n]*`")


def is_truncated(text: str, *, out_of_budget: bool = False, runs_on: bool = False) -> bool:
    """Return whether a non-empty, stripped response ends within a sentence, bracket or announced list.

    Args:
        text: the response.
        out_of_budget: generation ended at the token budget: a last sentence without an end is truncated.
        runs_on: the text continues with another prompt, so that its last line belongs to a turn of it.
    """
    if _CUT_TURN.search(text):
        return True
    text = _CONTROL_AT_END.sub("", text).rstrip()
    last = text.rsplit("\n", 1)[-1].strip()[-_LAST_CHARS:]
    if not re.search(r"\w", text):
        return False  # signs alone are an answer: "+", ":-)"
    return (
        text.count("```") % 2 == 1
        or _leaves_open(text)
        or (_ends_open(last, text) and not _SIGN_OFF.search(last))
        or ("\n" in text and bool(_LIST_MARK_ONLY.match(last)))
        or _breaks_row(text, last)
        or _leaves_tag(text)
        or _ends_on_function_word(last)
        or _ends_on_foreign_function_word(text, last)
        or _stops_mid_prose(text, last)
        or _stops_mid_verse(text, last)
        or (not runs_on and (_is_long_and_unended(last) or _lacks_main_clause(last)))
        or (out_of_budget and _is_unended_prose(last, 8))
        or (out_of_budget and runs_on and _is_unended_prose(_LABEL.sub("", _LIST_MARK.sub("", last)), 4))
    )


def _ends_open(last: str, text: str) -> bool:
    """Return whether the last sign requires a continuation."""
    if _TABLE_ROW.match(last) or (last.endswith(";") and _STATEMENT.search(last)):
        return False
    hyphenated = _HYPHENATED.search(last)
    if hyphenated:
        stem = hyphenated["stem"]  # "un-" and the blood group "AB-" are answers
        part_of_text = last != hyphenated[0].strip() and not _PREFIX_TALK.search(text)
        return len(stem) > 4 or (stem.islower() and part_of_text)
    return bool(_OPEN_END.search(last)) and not _EMOTICON.search(last)


def _leaves_open(text: str) -> bool:
    """Return whether a bracket or a double quote is open at the end; `1)` closes none, quoted signs do not count."""
    if text.count('"""') % 2:
        return True
    bare = _EMOTICON.sub("", _QUOTED.sub("", text.replace('"""', "")))
    opening, closing = ("\u201e", "\u201c\u201d") if "\u201e" in bare else ("\u201c", "\u201d")
    if _DOUBLE_QUOTE.search(bare) or bare.count(opening) > sum(map(bare.count, closing)):
        return True
    if len(_STRONG_OPEN.findall(bare)) > len(_STRONG_CLOSE.findall(bare)):
        return True
    depth = 0
    for sign in bare:
        depth = depth + 1 if sign in "([{" else max(depth - 1, 0) if sign in ")]}" else depth
    return depth > 0


def _ends_on_function_word(last: str) -> bool:
    """Return whether the last of several words needs another one after it."""
    last = _LIST_MARK.sub("", last)
    if _NO_PROSE.match(last) or _KEYWORD.match(last) or _CODE_SIGN.search(" ".join(last.split()[-3:])):
        return False
    last = _LABEL.sub("", last)
    words = [word.rstrip(".").casefold() for word in _CONNECTED.findall(last.rstrip(".\u2026"))]
    if len(words) < 2 or not re.search(r"\w(?:\.{3}|\u2026)?$", last):
        return False
    end, before = words[-1], words[-2]
    if end in ("may", "will") and last[-len(end)].isupper():
        return False  # a month, a name
    if end not in ENGLISH_OPEN_WORDS or before in LAST_AFTER.get(end, frozenset()):
        return False
    if before in LAST_IN_CLAUSE_AFTER.get(end, frozenset()) and _CLAUSE.search(last):
        return False
    return not _is_enumeration(last, words)


def _is_enumeration(last: str, words: list[str]) -> bool:
    """Return whether the last word is one of several listed words, such as "a, an and the" or "of, to, the"."""
    before = words[-3] if words[-2] in ("and", "or") and len(words) > 2 else words[-2]
    listed = re.search(r"(?:,| and| or) +[\w.']+\W*$", last)
    return bool(listed) and before in ENGLISH_OPEN_WORDS and (words[-2] in ("and", "or") or "," in last)


def _ends_on_foreign_function_word(text: str, last: str) -> bool:
    """Return whether the last word needs another one in the language that the words of the text identify."""
    words = [word.casefold() for word in re.findall(r"[^\W\d_]+", last)]
    if len(words) < 3 or not last[-1].isalpha() or _NO_PROSE.search(last):
        return False
    vocabulary = set(re.findall(r"[^\W\d_]+", text[-4 * _LAST_CHARS :].casefold()))
    overlaps = {name: len(vocabulary & marks) for name, (marks, _) in FOREIGN_OPEN_WORDS.items()}
    most = max(overlaps.values())
    if most < 2 or most <= len(vocabulary & _ENGLISH):
        return False
    return any(words[-1] in FOREIGN_OPEN_WORDS[name][1] for name, count in overlaps.items() if count == most)


def _breaks_row(text: str, last: str) -> bool:
    """Return whether the last row of a table has fewer cells than the rows before it."""
    lines = text.split("\n")
    rows = [line.strip() for line in lines if line.strip().startswith("|")]
    if len(rows) > 1 and last.startswith("|"):
        return last.count("|") < min(row.count("|") for row in rows[:-1])
    commas = {len(re.findall(r",(?! )", line)) for line in lines[:-1]}
    return len(lines) > 2 and len(commas) == 1 and len(re.findall(r",(?! )", last)) < commas.pop() >= 2


def _leaves_tag(text: str) -> bool:
    """Return whether a text of markup leaves a tag open; those that HTML need not close do not count."""
    if not text.startswith("<") or "</" not in text:
        return False
    open_tags: list[str] = []
    for tag in _TAG.finditer(text):
        name = tag["name"].casefold()
        if name in _MAY_STAY_OPEN:
            continue
        if not tag["close"]:
            open_tags.append(name)
        elif open_tags and open_tags[-1] == name:
            open_tags.pop()
    return bool(open_tags)


def _stops_mid_verse(text: str, last: str) -> bool:
    """Return whether the last of several lines is a single function word."""
    lines = text.rstrip().split("\n")
    return len(lines) > 2 and len(lines[-2].split()) >= 3 and last.casefold() in ENGLISH_OPEN_WORDS


def _stops_mid_prose(text: str, last: str) -> bool:
    """Return whether only the last sentence of a paragraph, of some length, has no end."""
    sentences = re.split(r"(?<=[a-z\)][.!?])[\"')\u201d]*\s+(?=[\"'(\u201c]?[A-Z])", last)
    if len(sentences) > 1:
        return _is_unended_prose(_LABEL.sub("", sentences[-1]), 3)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    ended_lines = [line for line in lines[:-1] if len(line.split()) >= 6 and _TERMINAL.search(line)]
    if len(ended_lines) >= 2 and len(ended_lines) == len(lines) - 1 and _LIST_MARK.match(last):
        return _is_unended_prose(_LIST_MARK.sub("", last), 3)
    return len(ended_lines) >= 1 and len(ended_lines) == len(lines) - 1 and _is_unended_prose(last, 5)


def _is_unended_prose(sentence: str, words: int) -> bool:
    """Return whether a sentence of at least `words` words has no end; code, links, tables and list items need none."""
    if _NO_PROSE.search(sentence) or len(sentence.split()) < words:
        return False
    return (sentence[0].isalpha() and sentence[-1].isalnum()) or sentence[-1] == "%"


def _is_long_and_unended(last: str) -> bool:
    """Return whether the last sentence is long, has no end, and is no list or title: it has function words."""
    words = last.rpartition(":")[2].split()
    names = sum(word[0].isupper() for word in words)
    is_list, is_title = last.count(",") * 3 >= len(words), names > len(words) / 2
    function_words = sum(word.casefold() in _SMALL_WORDS for word in words)
    is_prose = function_words >= 2 and not (is_list or is_title)
    return is_prose and len(words) >= _LONG_SENTENCE and _is_unended_prose(last, _LONG_SENTENCE)


def _lacks_main_clause(last: str) -> bool:
    """Return whether a sentence that opens with a condition has at most one word after it."""
    if not _CONDITION.match(last) or not last[-1].isalnum():
        return False
    clause, _, main = last.rpartition(",")
    return len(main.split()) <= 1 if clause else len(main.split()) >= 5
