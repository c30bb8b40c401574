"""TOML form of a configuration: a profile with the description and the origin of every setting.

Reading the text back gives the same configuration. Does not read TOML (`ctai.config.sources`).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ctai.config.schema import ResolvedConfig

_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def config_text(resolved: ResolvedConfig) -> str:
    """Return the TOML text of a resolved configuration."""
    lines = ["# All settings of the run with description and origin. This text is a valid profile (--profile FILE)."]
    return "\n".join([*lines, *_table(resolved.config, "", resolved.origins)]) + "\n"


def _table(table: BaseModel, prefix: str, origins: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a table's settings, then those of its subtables."""
    fields = type(table).model_fields
    subtables = {name: value for name in fields if isinstance(value := getattr(table, name), BaseModel)}
    for name, field in fields.items():
        if name not in subtables:
            yield from _setting(f"{prefix}{name}", name, field, getattr(table, name), origins)
    for name, value in subtables.items():
        description = fields[name].description or (type(value).__doc__ or "").split("\n")[0].rstrip(".")
        yield from ("", f"[{prefix}{name}]  # {description}")
        yield from _table(value, f"{prefix}{name}.", origins)


def _setting(key: str, name: str, field: FieldInfo, value: Any, origins: Mapping[str, str]) -> Iterator[str]:
    yield f"# {_description(field)}"
    origin = f"# from {origins[key]}" if key in origins else "# default"
    # TOML has no null: a setting without a value is left out
    yield f"# {name} is not set" if value is None else f"{name} = {_toml(value)}  {_one_line(origin)}"


def _description(field: FieldInfo) -> str:
    """Return the description of a setting with its bounds or allowed words."""
    bounds = {bound: getattr(item, bound) for item in field.metadata for bound, _ in _BOUNDS if hasattr(item, bound)}
    limits = [f"{word} {bounds[bound]:g}" for bound, word in _BOUNDS if bound in bounds]
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
    """Replace unprintable characters: a comment may contain a path that the user chose."""
    return "".join(character if character.isprintable() else "?" for character in text)
