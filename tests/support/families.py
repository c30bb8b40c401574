"""Scores of responses by family and key."""

from ctai.tasks.registry import by_name


def content(name: str, key: str, response: str) -> bool:
    """Return whether the content of a response is right, asked in the first wording of the family."""
    family = by_name(name)
    return family.score(family.render(key, 0), response).content
