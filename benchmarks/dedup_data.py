"""Synthetic instructions for the deduplication benchmark: phrasings of families, filled templates, duplicates.

The same count and seed give the same texts.
"""

import random
from collections.abc import Iterator

from ctai.tasks import registry

# Share of each kind of text in percent; the rest is new free text.
_FAMILY, _EXACT, _NORMALIZED, _NEAR = 25, 10, 5, 5
# Duplicates are drawn from this number of earlier free texts.
_MEMORY = 50_000

_TEMPLATES = (
    "Write a short poem about {a} {n}.",
    "Explain to a child what {a} {n} is good for.",
    "Describe {a} {n} in {k} sentences.",
    "List {k} things that one can do with {a} {n} on {p}.",
    "What is the difference between {a} {n} and {a2} {n2}?",
    "Why would somebody want {a} {n} on {p}?",
    "Write a letter to {w} about {a} {n}.",
    "Give {w} some advice on how to look after {a} {n}.",
    "Tell a story in which {w} finds {a} {n} on {p}.",
    "Write an advertisement for {a} {n} that is sold on {p}.",
    "Name some reasons why {a} {n} may be better than {a2} one.",
    'Use the words "{n}" and "{n2}" in one sentence.',
    'Write a title for an article about "{a} {n}".',
    "How does one repair {a} {n} with {a2} {n2}?",
    "Compare {a} {n} with {a2} {n2} and say which of them you would rather take to {p}.",
    "What should a beginner know before buying {a} {n}?",
    "Imagine that {a} {n} could speak. What would it say about {a2} {n2}?",
    "Suggest a present for somebody who already has {a} {n} and {a2} {n2}.",
    "Summarize the history of {a} {n} for visitors of {p}.",
    "Write a riddle whose answer is {a} {n}.",
)
_ADJECTIVES = (
    "old new red blue green yellow heavy light broken cheap costly wooden golden silent noisy tiny huge round square "
    "soft hard warm cold dusty clean strange simple modern ancient folded painted hidden famous lonely lazy clever "
    "hungry angry gentle brave careless wet dry sharp blunt narrow wide empty full hollow bitter sweet salty sour fresh "
    "frozen boiled borrowed stolen forgotten lost rented spotted striped magnetic electric digital"
).split()
_NOUNS = (
    "kettle bicycle umbrella lantern guitar violin hammer ladder bucket blanket pillow candle mirror carpet curtain "
    "window door roof cellar garden hedge fence bridge tunnel harbor lighthouse island mountain valley river lake "
    "waterfall desert forest meadow orchard vineyard barn stable mill bakery library museum theater cinema school "
    "hospital factory office workshop kitchen bathroom balcony attic suitcase backpack wallet purse watch clock calendar "
    "notebook pencil eraser ruler compass telescope microscope camera radio television telephone computer keyboard "
    "printer engine tractor lorry tram ferry canoe sailboat submarine rocket satellite planet comet volcano glacier "
    "snowman sandcastle puppet kite marble puzzle domino trumpet drum flute piano accordion statue portrait poem novel "
    "letter postcard recipe soup stew pancake omelette sandwich salad pickle sausage biscuit pudding lemonade coffee "
    "teapot saucer spoon fork plate tablecloth apron glove mitten scarf jacket raincoat sandal boot slipper button zip "
    "needle thimble loom anchor rope pulley magnet battery switch cable antenna parrot hamster tortoise hedgehog beaver "
    "otter falcon pelican lobster jellyfish dragonfly beetle spider orchid cactus fern mushroom pumpkin radish turnip"
).split()
_PLACES = (
    "the market|the beach|a Sunday|the train|a farm|the moon|a long voyage|the roof|a rainy day|the mountain|the bus|"
    "a birthday|the playground|an island|the way home"
).split("|")
_NAMES = "Anna Boris Clara David Emma Felix Greta Henry Ingrid Jonas Klara Leo Maria Nora Otto Paula Rosa Simon".split()
_NUMBERS = "two three four five six seven 8 9 10 12".split()
_CHANGES = (
    lambda text, rng: text.replace(" the ", " ", 1),
    lambda text, rng: text.replace(" and ", ", and ", 1),
    lambda text, rng: f"Please {text[0].lower()}{text[1:]}",
    lambda text, rng: f"{text.rstrip('.?')}, please.",
    lambda text, rng: text.replace(" about ", " on ", 1),
    lambda text, rng: text.replace("somebody", "someone").replace("would", "should", 1),
    lambda text, rng: _swapped(text, rng),
)


def instructions(count: int, seed: int = 0) -> Iterator[str]:
    """Yield `count` instructions, one at a time."""
    rng = random.Random(f"instructions/{seed}")
    known: list[str] = []
    for _ in range(count):
        kind = rng.randrange(100)
        if kind < _FAMILY:
            yield _asked(rng)
        elif kind < _FAMILY + _EXACT and known:
            yield rng.choice(known)
        elif kind < _FAMILY + _EXACT + _NORMALIZED and known:
            yield _normalized(rng.choice(known), rng)
        elif kind < _FAMILY + _EXACT + _NORMALIZED + _NEAR and known:
            yield rng.choice(_CHANGES)(rng.choice(known) if rng.random() < 0.7 else _asked(rng), rng)
        else:
            text = _free(rng)
            if len(known) < _MEMORY:
                known.append(text)
            else:
                known[rng.randrange(_MEMORY)] = text
            yield text


def _asked(rng: random.Random) -> str:
    return rng.choice(registry.FAMILIES).instruction(rng)


def _free(rng: random.Random) -> str:
    (a, a2), (n, n2) = rng.sample(_ADJECTIVES, 2), rng.sample(_NOUNS, 2)
    return rng.choice(_TEMPLATES).format(
        a=_article(a), n=n, a2=_article(a2), n2=n2, p=rng.choice(_PLACES), w=rng.choice(_NAMES), k=rng.choice(_NUMBERS)
    )


def _article(adjective: str) -> str:
    return f"{'an' if adjective[0] in 'aeiou' else 'a'} {adjective}"


def _normalized(text: str, rng: random.Random) -> str:
    return rng.choice((text.upper(), text.rstrip(".?"), text.replace(" ", "  ", 1), f" {text}!"))


def _swapped(text: str, rng: random.Random) -> str:
    """Return the text with two adjacent letters exchanged, as a typing error."""
    at = rng.randrange(1, len(text) - 2)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
