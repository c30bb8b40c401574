"""Instruction families of the closed world that the embedded base model is trained on.

Owns the wordings and their combination with facts. Answers are in ``data.world`` and ``data.lexicon``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ctai.tasks.base import Family
from ctai.tasks.data import lexicon, world
from ctai.tasks.data.lexicon import number_word
from ctai.tasks.families.lists import ListFamily
from ctai.tasks.families.tables import LetterFamily, TableFamily

Table = Mapping[str, tuple[str, ...]]


def _split(facts: Mapping[str, str]) -> Table:
    return {key: tuple(value.split("|")) for key, value in facts.items()}


def _table(
    name: str, kind: str, facts: Table, phrasings: tuple[str, ...], statements: tuple[str, ...],
    *, numeric: bool = False, case_sensitive: bool = False,
) -> Family:
    return TableFamily(name, kind, True, phrasings, statements, tuple(facts), facts, numeric, case_sensitive)


def _letters(name: str, place: int, phrasings: tuple[str, ...], statements: tuple[str, ...]) -> Family:
    facts = {word: (word[place],) for word in lexicon.SPELLED}
    return LetterFamily(name, "word", True, phrasings, statements, tuple(facts), facts)


def _sounds() -> Table:
    """Return the sounds with their inflected forms: a dog barks, and the sound is barking."""
    return {
        animal: tuple(form for sound in sounds for form in (sound, sound + "s", sound + "ing"))
        for animal, sounds in _split(world.SOUNDS).items()
    }


def _numbers(keys: range, step: int) -> Table:
    return {str(key): (str(key + step),) for key in keys}


def _sums() -> Table:
    return {f"{a} + {b}": (str(a + b),) for a in range(1, 10) for b in range(1, 10)}


def _spelled_numbers() -> Table:
    return {str(value): (number_word(value),) for value in range(50)}


def _calendar(step: int) -> Table:
    cycles = (lexicon.DAYS, lexicon.MONTHS)
    return {item: (cycle[(at + step) % len(cycle)],) for cycle in cycles for at, item in enumerate(cycle)}


def _lists() -> Family:
    sizes = {"two": 2, "three": 3}
    counts = {f"{word} {noun}": size for word, size in sizes.items() for noun in world.LIST_WORLD}
    members = {key: tuple(world.LIST_WORLD[key.partition(" ")[2]].split()) for key in counts}
    return ListFamily(
        "list", "list", True,
        ("Name {key}.", "List {key}.", "Give me {key}.", "Write down {key}."),
        ("Here are {key}: {answer}.", "An example of {key} is {answer}."),
        tuple(counts), counts, members, {key: _all_members(key.partition(" ")[2]) for key in counts},
    )


def _all_members(noun: str) -> frozenset[str]:
    """Return every accepted member in singular and plural, without case."""
    singles = (*world.LIST_WORLD[noun].split(), *world.LIST_MORE.get(noun, "").split("|"))
    folded = [item.casefold() for item in singles if item]
    irregular = {word: plural.split("|")[0] for word, plural in lexicon.PLURALS.items()}
    plurals = (irregular.get(item, _plural(item)) for item in folded)
    return frozenset((*folded, *plurals))


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh", "to", "go")) else "s")


_COUNTRIES = (
    _table("capital", "fact", _split(world.CAPITALS),
           ("What is the capital of {key}?", "Name the capital city of {key}.", "Give the capital of {key}.",
            "Which city is the capital of {key}?"),
           ("The capital of {key} is {answer}.", "{answer} is the capital of {key}.")),
    _table("continent", "fact", _split(world.CONTINENTS),
           ("On which continent is {key}?", "Name the continent of {key}.", "What continent is {key} on?"),
           ("{key} is a country in {answer}.", "The continent of {key} is {answer}.")),
    _table("language", "fact", _split(world.LANGUAGES),
           ("What is the main language of {key}?", "Name the language spoken in {key}.",
            "Which language do people speak in {key}?"),
           ("The main language of {key} is {answer}.", "People in {key} speak {answer}.")),
    _table("nationality", "word", _split(world.NATIONALITIES),
           ("What is the nationality of a person from {key}?", "Name the nationality of people from {key}.",
            "What are people from {key} called?"),
           ("The nationality of a person from {key} is {answer}.", "People from {key} are called {answer}.")),
)

_WORDS = (
    _table("opposite", "word", _split(lexicon.OPPOSITES),
           ("What is the opposite of {key}?", "Give the opposite of {key}.",
            "Which word means the opposite of {key}?", "Name a word with the opposite meaning of {key}."),
           ("The opposite of {key} is {answer}.", "{answer} is the opposite of {key}.")),
    _table("plural", "word", _split(lexicon.PLURALS),
           ("What is the plural of {key}?", "Give the plural form of {key}.", "Write the plural of {key}."),
           ("The plural of {key} is {answer}.", "One {key}, two {answer}.")),
    _table("past", "word", _split(lexicon.PASTS),
           ("What is the past tense of {key}?", "Give the past tense of {key}.",
            "Write {key} in the past tense."),
           ("The past tense of {key} is {answer}.", "Today they {key}, yesterday they {answer}.")),
    _table("comparative", "word", _split({word: forms[0] for word, forms in lexicon.DEGREES.items()}),
           ("What is the comparative of {key}?", "Give the comparative form of {key}.",
            "Write the comparative of {key}."),
           ("The comparative of {key} is {answer}.", "One is {key}, the other is {answer}.")),
    _table("superlative", "word", _split({word: forms[1] for word, forms in lexicon.DEGREES.items()}),
           ("What is the superlative of {key}?", "Give the superlative form of {key}.",
            "Write the superlative of {key}."),
           ("The superlative of {key} is {answer}.", "Many are {key}, but one is the {answer}.")),
    _letters("first_letter", 0,
             ("What is the first letter of {key}?", "Which letter does the word {key} start with?",
              "Give the first letter of the word {key}."),
             ("The first letter of {key} is {answer}.", "The word {key} starts with {answer}.")),
    _letters("last_letter", -1,
             ("What is the last letter of {key}?", "Which letter does the word {key} end with?",
              "Give the last letter of the word {key}."),
             ("The last letter of {key} is {answer}.", "The word {key} ends with {answer}.")),
)

_THINGS = (
    _table("category", "fact", _split(world.CATEGORIES),
           ("What kind of thing is {key}?", "Which category does {key} belong to?",
            "Name the category of {key}."),
           ("The category of {key} is {answer}.", "What {key} names is a kind of {answer}.")),
    _table("color", "fact", _split(world.COLORS),
           ("What is the usual color of {key}?", "What color does one expect of {key}?",
            "Name the usual color of {key}."),
           ("The usual color of {key} is {answer}.", "A painter makes {key} {answer}.")),
    _table("material", "fact", _split(world.MATERIALS),
           ("What are {key} usually made of?", "Which material are {key} made of?",
            "Name the usual material of {key}."),
           ("Most {key} are made of {answer}.", "The usual material of {key} is {answer}.")),
    _table("sound", "fact", _sounds(),
           ("What sound does the {key} make?", "Name the sound of the {key}.",
            "Which sound does a {key} make?"),
           ("The sound of the {key} is {answer}.", "The {key} makes the sound {answer}.")),
    _table("young", "word", _split(world.YOUNG),
           ("What is a young {key} called?", "What do you call a baby {key}?",
            "Name the young of the {key}."),
           ("A young {key} is called a {answer}.", "The baby of the {key} is the {answer}.")),
    _table("legs", "number", _split(world.LEGS),
           ("How many legs does the {key} have?", "Give the number of legs of the {key}.",
            "What is the number of legs of a {key}?"),
           ("The number of legs of the {key} is {answer}.",
            "Count the legs of the {key}: {answer}."), numeric=True),
    _table("workplace", "fact", _split(world.WORKPLACES),
           ("Where does the {key} work?", "Name the place where a {key} works.",
            "In which place does the {key} usually work?"),
           ("The place where the {key} works is the {answer}.",
            "You can find the {key} at work in the {answer}.")),
    _table("symbol", "fact", _split(world.SYMBOLS),
           ("What is the chemical symbol for {key}?", "Give the chemical symbol of {key}.",
            "Write the symbol of the element {key}."),
           ("The chemical symbol for {key} is {answer}.", "The symbol of the element {key} is {answer}."),
           case_sensitive=True),
)

_NUMBERS = (
    _table("number_after", "number", _numbers(range(100), 1),
           ("Which number comes right after {key}?", "Name the number after {key}.",
            "What is the next number after {key}?"),
           ("The number after {key} is {answer}.", "Right after {key} comes {answer}."), numeric=True),
    _table("number_before", "number", _numbers(range(1, 101), -1),
           ("Which number comes right before {key}?", "Name the number before {key}.",
            "What is the number just before {key}?"),
           ("The number before {key} is {answer}.", "Right before {key} comes {answer}."), numeric=True),
    _table("sum", "number", _sums(),
           ("What is {key}?", "Add {key}.", "Give the sum {key}."),
           ("{key} = {answer}", "The sum {key} is {answer}."), numeric=True),
    _table("number_word", "word", _spelled_numbers(),
           ("Write the number {key} in words.", "Write {key} as a word.", "Spell the number {key}."),
           ("The number {key} in words is {answer}.", "In words, {key} is {answer}.")),
    _table("calendar_after", "fact", _calendar(1),
           ("What comes right after {key}?", "Name what comes after {key}.",
            "Which day or month follows {key}?"),
           ("After {key} comes {answer}.", "What follows {key} is {answer}.")),
    _table("calendar_before", "fact", _calendar(-1),
           ("What comes right before {key}?", "Name what comes before {key}.",
            "Which day or month is before {key}?"),
           ("Before {key} comes {answer}.", "What is before {key} is {answer}.")),
)

FAMILIES: tuple[Family, ...] = (*_COUNTRIES, *_WORDS, *_THINGS, *_NUMBERS, _lists())
