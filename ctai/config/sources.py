"""Sources of a configuration: profile, settings and options, merged with the origin of each value.

Owns reading, merging and the messages for mistakes. Does not define the settings (`ctai.config.schema`).
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ctai.errors import ConfigError
from ctai.nested import leaves

BUILT_IN_PROFILES = ("embedded", "pod")


def profile_text(name: str) -> str:
    """Return the TOML text of a built-in profile."""
    return resources.files("ctai").joinpath("config", "profiles", f"{name}.toml").read_text(encoding="utf-8")


class ConfigSources:
    """Merged values of all sources read so far; a later source overrides an earlier one.

    Attributes:
        values: values as nested dicts.
        origins: origin of each dotted key of `values`, such as `profile pod` or `--set`.
        problems: one sentence for each setting that could not be read.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.problems: list[str] = []

    def read_profile(self, profile: str) -> None:
        """Set all values of a built-in profile or a TOML file.

        Raises:
            ConfigError: the profile does not exist or is not valid TOML.
        """
        for key, value in leaves(_read_profile(profile)):
            self.set_value(key, value, f"profile {profile}")

    def set_default(self, key: str, value: Any) -> None:
        """Set a top-level key that no earlier source has set; the value counts as a default."""
        self.values.setdefault(key, value)

    def read_setting(self, setting: str) -> None:
        """Set the value of one `KEY=VALUE`, read as TOML or else as a string."""
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            self.problems.append(f"--set {setting}: write KEY=VALUE, such as pilot.count=150")
            return
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        self.set_value(key.strip(), value, "--set")

    def set_value(self, key: str, value: Any, origin: str) -> None:
        """Set the value of a dotted key."""
        *sections, last = key.split(".")
        target = self.values
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                self.problems.append(f"{key}: {section} is not a section (from {origin})")
                return
        target[last] = value
        self.origins[key] = origin


def _read_profile(profile: str) -> dict[str, Any]:
    if profile in BUILT_IN_PROFILES:
        return tomllib.loads(profile_text(profile))
    path = Path(profile).expanduser()
    if not path.is_file():
        nearest = difflib.get_close_matches(profile, BUILT_IN_PROFILES, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        built_in = " nor ".join(BUILT_IN_PROFILES)
        raise ConfigError(f"profile {profile!r} is neither {built_in} nor a TOML file that exists{hint}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"profile {profile}: not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"profile {profile} cannot be read: {error.strerror}") from error


# ------------------------------------------------------------------------------------------------------- messages


def is_repeated(detail: Mapping[str, Any], details: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if an earlier pydantic error is about the same key: pydantic reports every alternative of a union."""
    position = next(index for index, earlier in enumerate(details) if earlier["loc"] == detail["loc"])
    return any(_key(earlier) == _key(detail) for earlier in details[:position])


def error_message(detail: Mapping[str, Any], model: type[BaseModel], origins: Mapping[str, str]) -> str:
    """Return one sentence for a pydantic error: key, problem, allowed values and origin of the value."""
    key, kind = _key(detail), detail["type"]
    source = next((origin for name, origin in origins.items() if name == key or name.startswith(f"{key}.")), "")
    origin = f" (from {source})" if source else ""
    if kind == "extra_forbidden":
        return f"{key}: unknown setting; {_hint(key, model)}{origin}"
    if kind == "model_type":
        return f"{key}: must be a table of settings, such as [{key}] in a profile{origin}"
    sentence = f"{key}: {detail['msg']} (got {detail.get('input')!r})"
    allowed = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
    nearest = difflib.get_close_matches(str(detail.get("input")), allowed, n=1)
    return sentence + (f"; did you mean {nearest[0]}?" if nearest else "") + origin


def _key(detail: Mapping[str, Any]) -> str:
    """Return the dotted key of an error, without the element index and union alternative that pydantic appends."""
    names = []
    for part in detail["loc"]:
        if not isinstance(part, str) or not re.fullmatch(r"[\w-]+", part) or part == "str":
            break
        names.append(part)
    return ".".join(names)


def _hint(key: str, model: type[BaseModel]) -> str:
    *sections, last = key.split(".")
    table: Any = model
    for section in sections:
        table = table.model_fields[section].annotation
    names = list(table.model_fields)
    elsewhere = [name for name in _setting_names(model) if name.split(".")[-1] == last]
    suggestions = elsewhere or difflib.get_close_matches(last, names, n=1)
    return f"did you mean {' or '.join(suggestions)}?" if suggestions else f"allowed: {', '.join(names)}"


def _setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of all settings in order of definition."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _setting_names(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
