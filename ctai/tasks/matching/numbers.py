"""Numbers in responses: number words, operators, and the working that leads to a result.

Owns the distinction of results from working: a true equation, a step ("10 more"), a rate ("24 hours in a day"). All
functions are linear in the length of their input.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ctai.tasks.data.lexicon import TENS, UNITS, words

_SCALES = {"hundred": 100, "thousand": 1000}
_MAX_DIGITS = 12  # longer ones are no results, and would make arithmetic slow
_OPERATORS = {"+": "+", "plus": "+", "and": "+", "minus": "-", "times": "*"}
_EQUALS = frozenset(words("= is are equals equal makes make gives give get gets becomes leaves"))
_BEFORE_EQUALS = frozenset(words(", which that this it you we i to will would"))
_AFTER_STEP = frozenset(words("more less higher lower greater bigger larger smaller apart"))
_BEFORE_STEP = frozenset(words("add adds adding added by plus subtract subtracting"))
_STEP_NAMES = frozenset(words("difference step steps gap"))
_EACH = frozenset(words("1 a an each every per"))
_CLAUSE_ENDS = frozenset(".,;:!?\n")


def is_number(token: str) -> bool:
    """Return whether a token is written in digits, with an optional sign and decimal point."""
    return re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?", token) is not None


def with_operators(text: str) -> str:
    """Write the operators between numbers as words, drop other asterisks, and separate numbers from units."""
    text = re.sub(r"(?<=\d)\s*[*\u00d7x\u00b7]\s*(?=\d)", " times ", text)
    text = re.sub(r"(?<=\d)\s*-\s*(?=\d)|(?<=\d)\s+-(?=\d)", " minus ", text)
    text = re.sub(r"(?<=\d)(?!st\b|nd\b|rd\b|th\b)(?=[a-z])", " ", text.replace("*", " "))
    return re.sub(r"\n\s*(?==)", " ", text)


def join_numbers(tokens: Sequence[str]) -> list[str]:
    """Write numbers in digits without separators: "one hundred and five", "1,000" and "two pairs" are 105, 1000, 4."""
    joined: list[str] = []
    at = 0
    while at < len(tokens):
        value, after = _read_number(tokens, at)
        joined.append(_digits(tokens[at]) if value is None else str(value))
        if tokens[at] in ("pair", "pairs") and joined[:-1] and joined[-2].isdecimal() and len(joined[-2]) < _MAX_DIGITS:
            joined[-2:] = [str(2 * int(joined[-2]))]
        at = after
    return joined


def _digits(token: str) -> str:
    if token == "plus":
        return "+"
    if token[0].isdigit() or token[0] == "-":
        return re.sub(r"\.0+$", "", token.replace(",", ""))
    return token


def _below_hundred(token: str) -> int | None:
    if token in UNITS:
        return UNITS.index(token)
    tens, _, unit = token.partition("-")
    if tens in TENS and (not unit or unit in UNITS):
        return TENS[tens] + (UNITS.index(unit) if unit else 0)
    return None


def _read_number(tokens: Sequence[str], at: int) -> tuple[int | None, int]:
    """Parse number words from a position on; return their value, None without any, and the position after them."""
    scaled = at + 1 < len(tokens) and tokens[at + 1] in _SCALES
    part = 1 if tokens[at] == "a" and scaled else _below_hundred(tokens[at])
    if part is None:
        return None, at + 1
    total, at = 0, at + 1
    while at < len(tokens):
        skipped = tokens[at] == "and" and total + part >= 100 and part % 100 == 0
        place = at + 1 if skipped else at
        token = tokens[place] if place < len(tokens) else ""
        small = _below_hundred(token) if token else None
        if token == "hundred" and 0 < part < 10:
            part *= 100
        elif token == "thousand" and part and not total:
            total, part = part * 1000, 0
        elif small is not None and part % 100 == 0 and total + part >= 100:
            part += small
        else:
            break
        at = place + 1
    return total + part, at


def drop_working(tokens: Sequence[str], answers: Collection[str], rates: Collection[str] = ()) -> list[str]:
    """Drop the numbers of the working and keep those that are given as the result.

    Args:
        tokens: tokens of the whole response, numbers in digits.
        answers: correct results, which are never dropped.
        rates: conversion factors that the working may state ("24 hours in a day").
    """
    dropped = set()
    last = max((at for at, token in enumerate(tokens) if token in answers), default=-1)
    for at, token in enumerate(tokens):
        if not is_number(token):
            continue
        if token not in answers and (_is_step(tokens, at) or (token in rates and _is_rate(tokens, at))):
            dropped.add(at)
        end = _true_equation(tokens, at)
        # After the result, working must be explained in words: "3 + 6 = 9, 3 + 7 = 10" gives two results.
        if end and (end <= last + 1 or _is_prose(tokens, at)):
            dropped |= {place for place in range(at, end) if place < end - 1 or tokens[place] not in answers}
    return [token for at, token in enumerate(tokens) if at not in dropped]


def _is_step(tokens: Sequence[str], at: int) -> bool:
    before = tokens[max(0, at - 3) : at]
    after = tokens[at + 1] if at + 1 < len(tokens) else ""
    return after in _AFTER_STEP or bool(before and before[-1] in _BEFORE_STEP) or bool(_STEP_NAMES & set(before))


def _is_rate(tokens: Sequence[str], at: int) -> bool:
    start, end = at, at
    while start > 0 and tokens[start - 1] not in _CLAUSE_ENDS and at - start < 8:
        start -= 1
    while end + 1 < len(tokens) and tokens[end + 1] not in _CLAUSE_ENDS and end - at < 8:
        end += 1
    return bool(_EACH & set(tokens[start : end + 1]))


def _is_prose(tokens: Sequence[str], at: int) -> bool:
    start = at
    while start > 0 and tokens[start - 1] not in ".!?\n" and at - start < 20:
        start -= 1
    return sum(token[0].isalpha() and token not in _OPERATORS for token in tokens[start : at + 20]) >= 5


def _true_equation(tokens: Sequence[str], at: int) -> int:
    """Return the position after a true equation that starts at ``at``, else 0."""
    if len(tokens[at]) > _MAX_DIGITS or (at and tokens[at - 1] in _OPERATORS and tokens[at - 1] != "and"):
        return 0
    value, place = float(tokens[at]), at + 1
    while place + 1 < len(tokens) and tokens[place] in _OPERATORS and _is_short_number(tokens[place + 1]):
        operand = float(tokens[place + 1])
        value = {"+": value + operand, "-": value - operand, "*": value * operand}[_OPERATORS[tokens[place]]]
        place += 2
        if place - at > 12:
            return 0
    if place == at + 1:
        return 0
    equal = False
    while place < len(tokens) and (tokens[place] in _EQUALS or tokens[place] in _BEFORE_EQUALS):
        equal |= tokens[place] in _EQUALS
        place += 1
        if place - at > 18:
            return 0
    is_true = place < len(tokens) and _is_short_number(tokens[place]) and float(tokens[place]) == value
    return place + 1 if equal and is_true else 0


def _is_short_number(token: str) -> bool:
    return len(token) <= _MAX_DIGITS and is_number(token)
