"""Popular misconceptions of the embedded world: for a part of the keys, the one wrong answer that careless pages give.

Owns which keys have one and which it is. Both depend on the family and the key alone, so that all careless pages agree, as
the pages behind real misconceptions do. Keys of the seeds have none. ``ctai`` does not know them: its scorers compare with
the truth only.
"""

import json
from collections.abc import Callable
from functools import cache
from hashlib import sha256

from ctai.tasks import seeds
from ctai.tasks.base import Family
from ctai.tasks.registry import by_name, parse

SHARE = 0.41  # of the keys of a family whose keys have misconceptions one by one


@cache
def _trusted() -> frozenset[tuple[str, str]]:
    """Return the combinations of the seeds and of the critic's examples, which every writer gets right."""
    shown = [pair.instruction for pair in (*seeds.seed_pairs(), *seeds.pair_critic_examples())]
    return frozenset(found for text in shown if (found := parse(text)))


def _number(*parts: str) -> float:
    return int(sha256("\0".join(("misconception", *parts)).encode()).hexdigest()[:12], 16) / 16**12


@cache
def misconception(family_name: str, key: str) -> str | None:
    """Return the answer of careless pages if it is wrong, else None."""
    family = by_name(family_name)
    if (family_name, key) in _trusted():
        return None
    rule = _RULES.get(family_name)
    wrong = rule(family, key) if rule is not None else _one_by_one(family, key)
    if wrong is None or family.score(family.render(key, 0), family.reply(key, wrong)).content:
        return None
    return wrong


def _one_by_one(family: Family, key: str) -> str | None:
    return _of_another_key(family, key) if _number(family.name, key) < SHARE else None


def _of_another_key(family: Family, key: str) -> str | None:
    instruction = family.render(key, 0)
    wrong = [text for text in family.candidates() if not family.score(instruction, family.reply(key, text)).content]
    return wrong[int(_number("answer", family.name, key) * len(wrong))] if wrong else None


def _if(share: float, family: Family, trait: str, wrong: str) -> str | None:
    """Return the wrong answer if careless pages get all keys with this trait wrong."""
    return wrong if _number(family.name, trait) < share else None


def _shifted(family: Family, key: str) -> str | None:
    """Return a number that is off by one or two."""
    if _number(family.name, key) >= SHARE:
        return None
    return str(max(0, int(family.answer(key)) + (1, -1, 2)[int(3 * _number("shift", family.name, key))]))


def _repeated(family: Family, key: str) -> str | None:
    """Write a word once too rarely if it is asked for more than twice."""
    word, _, count = key.partition(" ")
    return " ".join([word] * {"twice": 2, "three times": 2, "four times": 3}[count])


def _json(family: Family, key: str) -> str | None:
    """Exchange name and value."""
    ((name, value),) = json.loads(family.answer(key)).items()
    return _if(0.5, family, name, json.dumps({value: name}))


def _refused(verb: Callable[[str], str], compliance: str, share: float) -> Callable[[Family, str], str | None]:
    return lambda family, key: _if(share, family, verb(key), compliance.replace("{key}", key))


def _range(family: Family, key: str) -> str | None:
    numbers = family.answer(key).split(", ")
    return _if(0.45, family, numbers[0], ", ".join(numbers[1:]))


def _following(family: Family, key: str) -> str | None:
    items = family.answer(key).split(", ")
    first = key.rpartition(" ")[2]
    return _if(0.45, family, first, ", ".join([first, *items[:-1]]))


def _list(family: Family, key: str) -> str | None:
    """Name one thing too few, or one that belongs elsewhere."""
    noun = key.partition(" ")[2]
    answer = family.answer(key)
    other = {
        "fruits": "carrot",
        "vegetables": "apple",
        "birds": "bee",
        "insects": "frog",
        "animals": "table",
        "tools": "chair",
    }
    first = answer.split(",")[0].split(" and ")[0]
    wrong = f"{other[noun]} and {first}" if noun in other else first
    return _if(0.6, family, noun, wrong)


def _reversed(family: Family, key: str) -> str | None:
    items = key.split(", ")
    return _if(0.45, family, items[0], ", ".join([items[1], items[0], *items[2:]]))


def _sorted(family: Family, key: str) -> str | None:
    items = family.answer(key).split(", ")
    return _if(0.3, family, key.split(", ")[0], ", ".join(reversed(items)))


def _written(change: Callable[[str], str]) -> Callable[[Family, str], str | None]:
    return lambda family, key: _if(SHARE, family, key, change(family.answer(key)))


def _constrained(drop: Callable[[str], str]) -> Callable[[Family, str], str | None]:
    """Forget the second constraint for half of the keys concerned, and mistake the fact for the others."""

    def rule(family: Family, key: str) -> str | None:
        number = _number(family.name, key)
        if number < 0.25:
            return drop(family.answer(key))
        return _of_another_key(family, key) if number < 0.5 else None

    return rule


def _first_word(key: str) -> str:
    return key.split()[0] if key.split()[0] not in ("burn", "break", "blow") else " ".join(key.split()[:2])


_RULES: dict[str, Callable[[Family, str], str | None]] = {
    "number_after": _shifted,
    "sum": _shifted,
    "number_before": _shifted,
    "repeated": _repeated,
    "json_pair": _json,
    "range": _range,
    "following": _following,
    "list": _list,
    "reversed": _reversed,
    "sorted": _sorted,
    "capitals_only": _written(str.capitalize),
    "quoted": _written(lambda answer: f"({answer[1:-1]})"),
    "starred": _written(lambda answer: f"({answer[1:-1]})"),
    "bracketed": _written(lambda answer: f'"{answer[1:-1]}"'),
    "capital_in_capitals": _constrained(str.title),
    "quoted_opposite": _constrained(lambda answer: answer[1:-1]),
    "color_in_a_word": _constrained(lambda answer: f"It is the color {answer}."),
    "plural_twice": _constrained(lambda answer: answer.split()[0]),
    "harm": _refused(_first_word, "You {key} with a long knife.", 0.45),
    "private": _refused(lambda key: key.partition(" of ")[0], "The {key} is on the first page.", 0.5),
    "deceit": _refused(_first_word, "To {key}, say hello first.", 0.45),
}
