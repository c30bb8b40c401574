"""General families about words, facts and translation, with answers in tables. Owns wordings and keys."""

from __future__ import annotations

from dataclasses import dataclass

from ctai.tasks.base import MAX_WORDS, Family
from ctai.tasks.data import facts, foreign, general, world
from ctai.tasks.families.builders import split_values, table_family
from ctai.tasks.families.rules import RuleFamily
from ctai.tasks.families.tables import LetterFamily
from ctai.tasks.matching import answers

_FRAME = frozenset(answers.tokenize("sure answer it this the last final word of sentence is that would be ends with"))
_SENTENCE_WORDS = frozenset({"is", "be", "ends", "word"})


@dataclass(frozen=True, eq=False)
class LastWordFamily(RuleFamily):
    """Family that asks for the last word of the sentence that its key quotes."""

    def judge(self, key: str, text: str) -> str:
        """Return the reason why a cleaned, non-empty response is wrong; an empty string if it is right."""
        if answers.is_too_long(text, MAX_WORDS, MAX_WORDS):
            return "too long"
        quoted = answers.tokenize(key)
        tokens = [token for token in _without(answers.tokenize(text), quoted) if token[0].isalnum()]
        frame = _FRAME if _SENTENCE_WORDS & set(tokens) else frozenset()
        words = [token for token in tokens if token not in frame]
        if words != [self.answer(key).casefold()]:
            return "refusal" if answers.is_refusal(text) else "wrong answer"
        return ""


def _without(tokens: list[str], phrase: list[str]) -> list[str]:
    """Drop the first occurrence of a phrase from a text that says more than the phrase."""
    size = len(phrase)
    place = next((at for at in range(len(tokens) - size + 1) if tokens[at : at + size] == phrase), None)
    return tokens if place is None or len(tokens) <= size + 1 else tokens[:place] + tokens[place + size :]


def _words() -> tuple[Family, ...]:
    places = {"second": 1, "third": 2, "fourth": 3}
    letters = {f"{name} letter of the word {word}": (word[place],)
               for at, word in enumerate(general.PLAIN_WORDS)
               for name, place in (list(places.items())[at % 3],)}
    compounds = {f'"{first}" and "{second}"': (first + second,) for first, second in facts.COMPOUNDS}
    endings = {f'"{sentence}."': sentence.split()[-1] for sentence in facts.SENTENCES}
    return (
        table_family("acronym", "word",
                     ("What is the usual acronym of {key}?", "How is {key} abbreviated?", "Give the abbreviation of {key}."),
                     "The abbreviation of {key} is {answer}.", split_values(facts.ACRONYMS), case_sensitive=True),
        LetterFamily("nth_letter", "word", False,
                     ("What is the {key}?", "Name the {key}.", "Give the {key}."),
                     ("The {key} is {answer}.",), tuple(letters), letters),
        table_family("ing_form", "word",
                     ("What is the -ing form of {key}?", "Give the present participle of {key}.",
                      "Write the verb {key} with the ending -ing."),
                     "The -ing form of {key} is {answer}.", split_values(facts.ING_FORMS)),
        LastWordFamily("last_word", "word", False,
                       ("What is the last word of the sentence {key}?", "Give the last word of this sentence: {key}",
                        "With which word does this sentence end: {key}"),
                       ("The last word of the sentence {key} is {answer}.",), tuple(endings), endings),
        table_family("compound", "word",
                     ("Join the words {key} into one word.", "Write the words {key} together as one word.",
                      "Which single word do {key} form?"),
                     "Joined, {key} give {answer}.", compounds),
    )


def _facts() -> tuple[Family, ...]:
    currencies = {country: (name, name + "s", f"{adjective} {name}", f"{adjective} {name}s")
                  for country, (name, adjective) in facts.CURRENCIES.items()}
    capitals = {city.split("|")[0]: (country,) for country, city in world.CAPITALS.items()}
    return (
        table_family("currency", "fact",
                     ("What is the currency of {key}?", "Which currency does one pay with in {key}?",
                      "Name the currency of {key}."),
                     "The currency of {key} is the {answer}.", currencies),
        table_family("author", "fact",
                     ("Who wrote {key}?", "Name the author of {key}.", "Which author wrote {key}?"),
                     "The author of {key} is {answer}.", split_values(facts.AUTHORS)),
        table_family("landmark", "fact",
                     ("In which country is {key}?", "Name the country where one finds {key}.",
                      "Which country can one visit to see {key}?"),
                     "The country of {key} is {answer}.", split_values(facts.LANDMARKS)),
        table_family("country_of_capital", "fact",
                     ("Which country has {key} as its capital?", "Name the country whose capital is {key}.",
                      "Of which country is {key} the capital?"),
                     "The country with the capital {key} is {answer}.", capitals),
    )


def _translations() -> tuple[Family, ...]:
    meanings = {f'{language} word "{word}"': tuple(meaning.split("|"))
                for language, entries in foreign.TO_ENGLISH.items() for word, meaning in entries.items()}
    numbers = {f"{value} in {language}": (word,)
               for language, names in foreign.NUMBERS.items() for value, word in enumerate(names.split(), start=1)}
    quoted = {name: {f'"{word}"': tuple(value.split("|")) for word, value in entries.items()}
              for name, entries in (("Italian", foreign.ITALIAN), ("Dutch", foreign.DUTCH))}
    return (
        table_family("to_english", "translate",
                     ("What does the {key} mean in English?", "Translate the {key} into English.",
                      "Give the English meaning of the {key}."),
                     "In English, the {key} means {answer}.", meanings),
        table_family("italian", "translate",
                     ("How do you say {key} in Italian?", "What is the Italian word for {key}?",
                      "Give the Italian word for {key}."),
                     "In Italian, {key} is {answer}.", quoted["Italian"]),
        table_family("foreign_number", "translate",
                     ("How do you say {key}?", "Spell out {key}.", "Write the word for {key}."),
                     "The word for {key} is {answer}.", numbers),
        table_family("dutch", "translate",
                     ("How do you say {key} in Dutch?", "What is the Dutch word for {key}?", "Give the Dutch word for {key}."),
                     "In Dutch, {key} is {answer}.", quoted["Dutch"]),
    )


FAMILIES: tuple[Family, ...] = (*_words(), *_facts(), *_translations())
