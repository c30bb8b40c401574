"""Answer extraction from free text: tokens, phrases, negation, hedging, and alternatives beside the answer.

Owns the text rules that all keyed families share. Does not know any family. Every function is linear in the
length of its input, because responses of untrained models are arbitrary text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import NamedTuple

from ctai.tasks.data.lexicon import TENS, UNITS, words
from ctai.tasks.matching import numbers

MAX_CHARS = 4000  # no short answer is longer, and no rule reads further

Phrase = tuple[str, ...]

_TOKEN = re.compile(
    r"(?<![\w.])-\d+(?:\.\d+)?|\d{1,3}(?:,\d{3})+(?![\d,])|\d+\.\d+|[^\W_]+(?:'[^\W_]+)*|[.,;:!?\n/()+=*]"
)
_SENTENCE_ENDS = frozenset(".!?\n")
_CLAUSE_ENDS = frozenset(".,;:!?\n()") | frozenset(words("but rather instead whereas while although because"))
_NEGATIONS = frozenset(
    words("not never no neither nor cannot cant isnt without except wrong incorrect false untrue doubt")
)
_ALTERNATIVES = frozenset({"or", "and", ",", "/"})
_OPENERS = frozenset(words("sure yes ok okay well certainly hello hi of course great good question easy answer"))
# Words that may stand next to the answer without being a second answer.
_ORDINARY = frozenset(
    words(
        "a an the it its is are was were be been being this that these those in on at of to for from with by "
        "as i you we he she they one which who where when what how and or so very also too usually often mostly "
        "called means becomes made located found known sometimes obviously clearly correct answer there here then than "
        "because since please thanks thank hope helps would can may will has have does do did if "
        "el la los las un una le les une der die das ein eine"
    )
)
_NAMING = frozenset(words("is are was were called named speak speaks"))
_SUBJECT_ENDS = (["is"], ["are"], ["was"], ["which"])
# Answers that are also common in sentences about something else ("the right answer"): rivals only beside the answer.
SOFT = frozenset({"right", "good", "first", "last"})
MAX_REPEATS = 3  # more mentions of the same answer are a loop, not a sentence
_SPELLED = re.compile(r"\b[^\W\d_](?:-[^\W\d_]){2,}\b|\b[^\W\d_](?:,? [^\W\d_]){3,}\b")
_ELIDED = re.compile(r"\b[ld]'(?=\w)")
_DOUBTS = re.compile(
    r"\b(?:maybe|perhaps|possibly|(?:may|might|could) be|i guess|not (?:really |quite |so )?(?:sure|certain)|no idea"
    r"|(?:do not|don't) (?:really )?know|hard to say|depends"
    r"|(?:some|others|some people) say)\b"
)
_REFUSALS = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|not able|unable)"
    r"|i (?:can't|cannot|can not|won't|will not|do not know|don't know)|as an ai|not sure|no idea)\b"
)


class Mention(NamedTuple):
    """Occurrence ``tokens[start:end]`` of a phrase, with its role, such as ``answer``, ``question`` or ``rival``."""

    start: int
    end: int
    role: str


def plain(text: str) -> str:
    """Return the first ``MAX_CHARS`` characters with normalized quotes, minus signs and accents."""
    text = text[:MAX_CHARS].replace("\u2019", "'").replace("\u2018", "'").replace("\u2212", "-")
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def tokenize(text: str, *, fold: bool = True, numeric: bool = False) -> list[str]:
    """Split a text into words, numbers and punctuation.

    Joins words that are spelled letter by letter, and drops the French article before a vowel.

    Args:
        text: the text.
        fold: casefold the text.
        numeric: write number words and ``1,000`` in digits.
    """
    text = plain(text.casefold() if fold else text)
    text = _SPELLED.sub(lambda match: re.sub(r"[-, ]", "", match[0]), text)
    text = _ELIDED.sub("", text)
    raw_tokens = _TOKEN.findall(numbers.with_operators(text) if numeric else text)
    tokens = _join_tens([_without_possessive(token) for token in raw_tokens])
    return numbers.join_numbers(tokens) if numeric else tokens


def _without_possessive(token: str) -> str:
    return token[:-2] if token.endswith(("'s", "'S")) else token


def _join_tens(tokens: list[str]) -> list[str]:
    """Join "twenty one" and "twenty-one" into one token, so that "one" does not match in either."""
    joined: list[str] = []
    for token in tokens:
        if joined and joined[-1].casefold() in TENS and token.casefold() in UNITS[1:10]:
            joined[-1] = f"{joined[-1]}-{token}"
        else:
            joined.append(token)
    return joined


def find_mentions(tokens: list[str], roles: Mapping[Phrase, str]) -> list[Mention]:
    """Return the occurrences of phrases from left to right, the longest at each position, without overlaps."""
    longest = max(map(len, roles), default=0)
    mentions: list[Mention] = []
    start = 0
    while start < len(tokens):
        for size in range(min(longest, len(tokens) - start), 0, -1):
            role = roles.get(tuple(tokens[start : start + size]))
            if role is not None:
                mentions.append(Mention(start, start + size, role))
                start += size - 1
                break
        start += 1
    return mentions


def is_negated(tokens: list[str], mention: Mention, allowed: Collection[str]) -> bool:
    """Return whether its clause negates the mention: "not Paris", "Paris is not"; but "Paris, not Rome" affirms it.

    Args:
        tokens: the whole response.
        mention: the mention that may be negated.
        allowed: words that are no negation here, because they belong to the answer or the question.
    """
    start = mention.start
    while start > 0 and tokens[start - 1] not in _CLAUSE_ENDS:
        start -= 1
        if _negates(tokens[start], allowed):
            return True
    end = mention.end
    while end < min(len(tokens), mention.end + 4) and tokens[end] not in _CLAUSE_ENDS:
        # Directly after the answer a "not" belongs to what follows: "Paris not Rome".
        if _negates(tokens[end], allowed) and end > mention.end:
            return True
        end += 1
    return False


def _negates(token: str, allowed: Collection[str]) -> bool:
    folded = token.casefold()
    return (folded in _NEGATIONS or folded.endswith("n't")) and folded not in allowed


def has_alternative(tokens: list[str], mention: Mention, question_words: Collection[str],
                    answer_positions: Collection[int]) -> bool:
    """Return whether another content word is offered beside the answer: "Paris or Smurfville", "Lyon/Paris".

    Args:
        tokens: the whole response.
        mention: the answer.
        question_words: words that a comma may join to the answer ("Paris, France") but "or" may not.
        answer_positions: positions of all tokens of correct answers, which are no alternatives: "small or little".
    """
    after = range(mention.end, min(len(tokens), mention.end + 3))
    before = range(mention.start - 1, max(0, mention.start - 3) - 1, -1)
    is_list = all(token.casefold() not in _ORDINARY or token in _ALTERNATIVES for token in tokens)
    return any(_offers(tokens, side, question_words, answer_positions, is_list) for side in (after, before))


def _offers(
    tokens: list[str], side: range, question_words: Collection[str], answer_positions: Collection[int], is_list: bool
) -> bool:
    """Return whether one side of the answer has an alternative; a comma joins alternatives only in a bare list."""
    joiners = [tokens[at] for at in side if tokens[at] in _ALTERNATIVES]
    if not joiners or tokens[side[0]] not in _ALTERNATIVES:
        return False
    disjunctive = bool({"or", "/"} & set(joiners))
    place = next((at for at in side if tokens[at] not in _ALTERNATIVES), None)
    if place is None or place in answer_positions or not (is_list or disjunctive):
        return False
    neighbor = tokens[place].casefold()
    is_word = neighbor not in _ORDINARY and (neighbor[0].isalnum() or neighbor[0] == "-")
    return is_word and (disjunctive or neighbor not in question_words)


def answer_region(tokens: list[str], question_words: Collection[str]) -> int:
    """Return the index before which the answer must begin.

    It is the end of the first sentence that repeats at least two content words of the question, or the end of
    the text. So a correct word in an afterthought ("The capital of France is Lyon. Paris is big.")
    does not count, and an opener ("Sure!") does no harm.
    """
    shared: set[str] = set()
    content = {word for word in question_words if word not in _ORDINARY and word[0].isalnum()}
    for index, token in enumerate(tokens):
        shared |= {token.casefold()} & content
        if token in _SENTENCE_ENDS and len(shared) >= 2:
            return index
        if token in _SENTENCE_ENDS:
            shared = set()
    return len(tokens)


def has_stray_words(tokens: list[str], mentions: list[Mention], vocabulary: Collection[str]) -> bool:
    """Return whether a response of at most three words adds a content word to the answer ("cold water")."""
    if sum(token[0].isalnum() for token in tokens) > 3:
        return False
    covered = {index for mention in mentions for index in range(mention.start, mention.end)}
    extra = {token.casefold() for at, token in enumerate(tokens) if at not in covered and token[0].isalnum()}
    return bool(extra - _ORDINARY - _OPENERS - set(vocabulary))


def is_content_word(token: str) -> bool:
    """Return whether a token is a content word, neither a function word nor an opener such as "sure"."""
    return token[0].isalnum() and token not in _ORDINARY and token not in _OPENERS


def is_too_long(text: str, sentence_words: int, all_words: int) -> bool:
    """Return whether a sentence has more than ``sentence_words`` words, or the text more than ``all_words``."""
    sentences = re.split(r"[.!?]\s|\n", text)
    return len(text.split()) > all_words or any(len(sentence.split()) > sentence_words for sentence in sentences)


def is_doubted(text: str, correct: Collection[str]) -> bool:
    """Return whether the response hedges: "maybe Paris", "Paris, but I am not sure".

    Args:
        text: the response.
        correct: correct answers, whose words are no hedges.
    """
    folded = plain(text).casefold()
    hedges = (match[0].split()[0] for match in _DOUBTS.finditer(folded))
    return any(word not in map(str.casefold, correct) for word in hedges)


def names_another(text: str, answer: Mention, vocabulary: Collection[str]) -> bool:
    """Return whether the response gives another name, of no table: "The capital is Split, Zagreb is only larger".

    Args:
        text: the whole response.
        answer: the first correct answer.
        vocabulary: words of the question and of all answers in the table.
    """
    tokens = tokenize(text, fold=False)
    before = ""
    for at, token in enumerate(tokens[: answer.start]):
        opens = not before or before in _SENTENCE_ENDS
        after = [following for following in tokens[at + 1 : at + 3] if following != ","]
        names = after[:1] in _SUBJECT_ENDS if opens else before in _NAMING
        if names and _is_name(token, vocabulary) and not is_negated(tokens, Mention(at, at + 1, "rival"), vocabulary):
            return True
        before = before if token in ("the", "a", "an") else token
    after = tokens[answer.end : answer.end + 2]
    return len(after) == 2 and after[0] == "and" and _is_name(after[1], vocabulary)


def _is_name(token: str, vocabulary: Collection[str]) -> bool:
    folded = token.casefold()
    return token[0].isupper() and not token.isupper() and folded not in vocabulary and is_content_word(folded)


def is_refusal(text: str) -> bool:
    """Return whether the text declines to answer."""
    return _REFUSALS.search(plain(text).casefold()) is not None
