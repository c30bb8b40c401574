"""A configuration written down as a TOML profile: every setting with its meaning and where its value came from.

What it writes is read back as the same configuration, so that it can be kept and edited as a profile of one's own.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ctai.config.schema import ResolvedConfig

_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def config_text(resolved: ResolvedConfig) -> str:
    """The TOML text of a resolved configuration."""
    lines = ["# Every setting of the run, what it means, and where its value came from; itself a profile."]
    return "\n".join([*lines, *_table(resolved.config, "", resolved.origins)]) + "\n"


def _table(table: BaseModel, prefix: str, origins: Mapping[str, str]) -> Iterator[str]:
    """The settings of a table, then the tables below it."""
    fields = type(table).model_fields
    below = {name: value for name in fields if isinstance(value := getattr(table, name), BaseModel)}
    for name, field in fields.items():
        if name not in below:
            yield from _setting(f"{prefix}{name}", name, field, getattr(table, name), origins)
    for name, value in below.items():
        meaning = fields[name].description or (type(value).__doc__ or "").split("\n")[0].rstrip(".")
        yield from ("", f"[{prefix}{name}]  # {meaning}")
        yield from _table(value, f"{prefix}{name}.", origins)


def _setting(key: str, name: str, field: FieldInfo, value: Any, origins: Mapping[str, str]) -> Iterator[str]:
    yield f"# {_meaning(field)}"
    origin = f"# from {origins[key]}" if key in origins else "# default"
    # TOML has no null: what is not set is left out
    yield f"# {name} is not set" if value is None else f"{name} = {_toml(value)}  {_one_line(origin)}"


def _meaning(field: FieldInfo) -> str:
    """The description, with bounds or the allowed words."""
    known = {bound: getattr(item, bound) for item in field.metadata for bound, _ in _BOUNDS if hasattr(item, bound)}
    limits = [f"{word} {known[bound]:g}" for bound, word in _BOUNDS if bound in known]
    words = [json.dumps(word) for word in getattr(field.annotation, "__args__", ()) if isinstance(word, str)]
    allowed = ", ".join(words or limits)
    return f"{field.description} ({allowed})" if allowed else f"{field.description}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _one_line(text: str) -> str:
    """A comment may hold a path of the user's, and that anything."""
    return "".join(character if character.isprintable() else "?" for character in text)
