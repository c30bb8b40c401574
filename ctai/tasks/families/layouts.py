"""Formats that a rule scores by content and layout: lists of lines, rows, dates, marks, one-word answers.

Owns the rules and the families that use them. A short lead-in that ends with a colon and a code fence around the answer
do no harm; every other text beside the answer does.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ctai.tasks.base import MAX_EXPLAINED_WORDS, Family
from ctai.tasks.data import general
from ctai.tasks.families.builders import rule_family, table_family
from ctai.tasks.families.rules import RuleFamily
from ctai.tasks.matching import answers

MAX_LEAD_IN_WORDS = 12
_FENCE = re.compile(r"```\w*\s*(.*?)\s*```", re.DOTALL)
NEGATION = re.compile(r"\b(?:not|never|neither|wrong|incorrect)\b|n't\b")

Layout = Callable[[str, str], bool]  # function from key and text to whether the text is right


def bodies(text: str) -> list[str]:
    """Return the text, and the text after a short lead-in, each without code fence."""
    lead_in, colon, rest = text.partition(":")
    texts = [text]
    if colon and rest.strip() and len(lead_in.split()) <= MAX_LEAD_IN_WORDS and not NEGATION.search(lead_in.casefold()):
        texts.append(rest)
    stripped = [candidate.strip() for candidate in texts]
    return [fenced[1] if (fenced := _FENCE.fullmatch(candidate)) else candidate for candidate in stripped]


def _judge_layout(layout: Layout) -> Callable[[str, str], str]:
    """Return a rule that requires the layout."""

    def judge(key: str, text: str) -> str:
        if len(text.split()) > MAX_EXPLAINED_WORDS:
            return "too long"
        if any(layout(key, body) for body in bodies(answers.plain(text))):
            return ""
        return "refusal" if answers.is_refusal(text) else "wrong answer"

    return judge


def _item(text: str) -> str:
    """Return an item of a list without case, quotes and final period."""
    return text.strip().strip("\"'`\u201c\u201d").removesuffix(".").casefold()


def _items(key: str) -> list[str]:
    return [item.casefold() for item in re.split(r", | and ", key)]


def _is_comma_list(key: str, text: str) -> bool:
    return list(map(_item, text.split(","))) == _items(key)


def _marked_lines(text: str, mark: str) -> list[str]:
    """Return the items of the lines if each begins with the mark; none if one does not."""
    found = [re.fullmatch(rf"\s*{mark}\s+(.+)", line) for line in text.splitlines() if line.strip()]
    return [match[1] for match in found if match] if all(found) else []


def _is_bullet_list(key: str, text: str) -> bool:
    return list(map(_item, _marked_lines(text, r"[-*+\u2022]"))) == _items(key)


def _is_numbered_list(key: str, text: str) -> bool:
    numbers = re.findall(r"(?m)^\s*(\d+)[.)]\s", text)
    return list(map(_item, _marked_lines(text, r"\d+[.)]"))) == _items(key) and numbers == [
        str(number) for number in range(1, len(numbers) + 1)
    ]


def _facts(key: str) -> list[tuple[str, str]]:
    """Split "name Ada, age 36" into pairs of field and value, without case."""
    return [(field.casefold(), value.casefold()) for field, _, value in (part.partition(" ") for part in key.split(", "))]


def _is_key_value(key: str, text: str) -> bool:
    pairs = [line.partition(":") for line in text.splitlines() if line.strip()]
    return [(_item(name), _item(value)) for name, _, value in pairs] == _facts(key)


def _is_csv_row(key: str, text: str) -> bool:
    if "\n" in text.strip():
        return False
    rows = list(csv.reader([text.strip().removesuffix(".")], skipinitialspace=True))
    return bool(rows) and [value.strip().casefold() for value in rows[0]] == [value for _, value in _facts(key)]


def _is_yes_or_no(answer: Mapping[str, str]) -> Layout:
    return lambda key, text: re.sub(r"[\s.!\"'*]", "", text).casefold() == answer[key]


@dataclass(frozen=True, eq=False)
class PatternFamily(RuleFamily):
    """Family whose answer has a recognizable form, such as a date; text around it does no harm, another such form does.

    Attributes:
        pattern: regular expression of everything that has the form of an answer, right or wrong.
    """

    pattern: str = ""

    def judge(self, key: str, text: str) -> str:
        """Return the reason why a cleaned, non-empty response is wrong; an empty string if it is right."""
        if len(text.split()) > MAX_EXPLAINED_WORDS:
            return "too long"
        plain, expected = answers.plain(text), self.answers[key].casefold()
        found = {match.casefold() for match in re.findall(self.pattern, plain)}
        asked = {match.casefold() for match in re.findall(self.pattern, key)}
        if expected not in found:
            return "refusal" if answers.is_refusal(text) else "wrong answer"
        if found - asked - {expected}:
            return "several answers"
        if NEGATION.search(plain.casefold()):
            return "negated"
        return "hedged" if answers.is_doubted(text, ()) else ""


def _pattern_family(
    name: str, kind: str, phrasings: tuple[str, ...], statement: str, table: Mapping[str, str], pattern: str
) -> Family:
    return PatternFamily(name, kind, False, phrasings, (statement,), tuple(table), table, pattern=pattern)


# ------------------------------------------------------------------------------------------------- families

_WORDS = general.PLAIN_WORDS
_MONTHS = ("January", "March", "April", "June", "July", "September", "October", "December")


def _groups(steps: Sequence[int]) -> list[list[str]]:
    """Return a group of words for each plain word: the words at these steps from it."""
    return [[_WORDS[(at + step) % len(_WORDS)] for step in steps] for at in range(len(_WORDS))]


def _phrase_families() -> tuple[Family, ...]:
    pairs = [" ".join(group) for group in _groups((0, 13))]
    lower = {f'"{pair.upper()}"': (pair,) for pair in pairs}
    titles = {f'"{pair}"': (pair.title(),) for pair in (" ".join(group) for group in _groups((0, 17)))}
    return (
        table_family("lowercase", "format",
                     ("Write {key} in lowercase letters.", "Turn {key} into small letters.", "Put {key} in all lowercase."),
                     "In lowercase letters, {key} is {answer}.", lower, case_sensitive=True),
        table_family("title_case", "format",
                     ("Write {key} in title case.", "Capitalize the first letter of each word in {key}.",
                      "Turn {key} into title case."),
                     "In title case, {key} is {answer}.", titles, case_sensitive=True),
    )


def _line_families() -> tuple[Family, ...]:
    triples = [f"{a}, {b} and {c}" for a, b, c in _groups((0, 9, 21))]
    lists = [_items(key) for key in triples]
    return (
        rule_family("comma_list", "format",
                    ("Write the words {key} in one line, separated only by commas.",
                     "Put the words {key} in a row with only commas between them.",
                     "Give the words {key} as a list with commas and without \"and\"."),
                    "With commas, {key} are {answer}",
                    {key: ", ".join(items) for key, items in zip(triples, lists, strict=True)},
                    _judge_layout(_is_comma_list)),
        rule_family("bullet_list", "format",
                    ("Write the words {key} as a bullet list.", "Make a bulleted list of {key}.",
                     "Put {key} into a list with bullet points."),
                    "Here are {key} as a bullet list: {answer}",
                    {key: "\n".join(f"- {item}" for item in items) for key, items in zip(triples, lists, strict=True)},
                    _judge_layout(_is_bullet_list)),
        rule_family("numbered_list", "format",
                    ("Write the words {key} as a numbered list.", "Make a numbered list of {key}.",
                     "Put {key} into a list with numbers."),
                    "Here are {key} as a numbered list: {answer}",
                    {key: "\n".join(f"{n}. {item}" for n, item in enumerate(items, start=1))
                     for key, items in zip(triples, lists, strict=True)},
                    _judge_layout(_is_numbered_list)),
    )


def _record_families() -> tuple[Family, ...]:
    names = ("Ada", "Ben", "Clara", "David", "Emil", "Frida", "Greta")
    cities = ("Paris", "Oslo", "Lima", "Cairo", "Rome", "Delhi")
    records = [f"name {names[at % 7]}, age {20 + at}, city {cities[at % 6]}" for at in range(42)]
    lines = {key: "\n".join(f"{name}: {value}" for name, _, value in (part.partition(" ") for part in key.split(", ")))
             for key in (record.rpartition(",")[0] for record in records)}
    rows = {key: ",".join(part.partition(" ")[2] for part in key.split(", ")) for key in records}
    return (
        rule_family("key_value", "format",
                    ('Write these facts as lines of the form "key: value": {key}.',
                     'Put each fact on a separate line as "key: value": {key}.',
                     'Turn into "key: value" lines: {key}.'),
                    "As lines, {key} are {answer}", lines, _judge_layout(_is_key_value)),
        rule_family("csv_row", "format",
                    ("Write one CSV row with the values of {key}.", "Give the values of {key} as one CSV row.",
                     "Turn {key} into one CSV row of values."),
                    "The CSV row of {key} is {answer}", rows, _judge_layout(_is_csv_row)),
    )


def _pattern_families() -> tuple[Family, ...]:
    months = dict(zip(_MONTHS, (1, 3, 4, 6, 7, 9, 10, 12), strict=True))
    dates = {f"{name} {3 + 5 * step}, {1990 + 7 * step + number}": f"{1990 + 7 * step + number}-{number:02}-{3 + 5 * step:02}"
             for step in range(5) for name, number in months.items()}
    hyphens = {", ".join(group): "-".join(group) for group in _groups((0, 5, 19))}
    return (
        _pattern_family("iso_date", "format",
                        ("Write the date {key} in the form YYYY-MM-DD.", "Give {key} as a date of the form YYYY-MM-DD.",
                         "Convert the date {key} to the form YYYY-MM-DD."),
                        "The date {key} is {answer}.", dates, r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"),
        _pattern_family("bold", "format",
                        ("Make the word {key} bold in Markdown.", "Write the word {key} in Markdown bold.",
                         "Format the word {key} as bold Markdown text."),
                        "In bold, {key} is {answer}.", {word: f"**{word}**" for word in _WORDS},
                        r"(?<![*_])(?:[*_]{1,3}|<b>)[^*_<>\n]+(?:[*_]{1,3}|</b>)"),
        _pattern_family("hyphenate", "format",
                        ("Join these words with hyphens: {key}.", "Put hyphens between these words: {key}.",
                         "Write these words with hyphens instead of commas: {key}."),
                        "With hyphens, {key} is {answer}.", hyphens, r"\w+(?: ?[-_/] ?\w+)+"),
    )


def _yes_no() -> Family:
    pairs = [(7 + 11 * at % 89, 5 + 23 * at % 97) for at in range(1, 31)]
    questions = {f"is {a} {word} than {b}": str({"larger": a > b, "smaller": a < b}[word])
                 for at, (a, b) in enumerate(pairs) if a != b for word in (("larger", "smaller")[at % 2],)}
    questions |= {f"is {number} an even number": str(number % 2 == 0) for number in (4, 7, 12, 15, 23, 38, 41, 56, 69, 90)}
    questions |= {f"is {number} divisible by 3": str(number % 3 == 0) for number in (9, 10, 21, 25, 33, 44)}
    table = {key: {"True": "yes", "False": "no"}[value] for key, value in questions.items()}
    return rule_family("yes_no", "format",
                       ("Answer only with yes or no: {key}?", "Say yes or no and nothing else: {key}?",
                        "With one word, yes or no: {key}?"),
                       "If one asks {key}, the answer is {answer}.", table, _judge_layout(_is_yes_or_no(table)))


FAMILIES: tuple[Family, ...] = (
    *_phrase_families(), *_line_families(), *_record_families(), *_pattern_families(), _yes_no(),
)
