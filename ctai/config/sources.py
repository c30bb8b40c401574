"""The layers of a configuration: profile, settings, options; merged with where each value came from, and their mistakes.

Owns reading and merging, and the sentence for each mistake. Which settings there are is `config`'s.
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
    """The TOML text of a built-in profile."""
    return resources.files("ctai").joinpath("config", "profiles", f"{name}.toml").read_text(encoding="utf-8")


class ConfigSources:
    """Values as nested dicts, each later layer over the earlier ones.

    Attributes:
        values: what was set.
        origins: for each dotted key of `values` where it came from, such as `profile pod` or `--set`.
        problems: settings that could not be read, a sentence each.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.problems: list[str] = []

    def read_profile(self, profile: str) -> None:
        """Take a built-in profile or a TOML file.

        Raises:
            ConfigError: there is none, or it is not TOML.
        """
        for key, value in leaves(_read_profile(profile)):
            self.put(key, value, f"profile {profile}")

    def default(self, key: str, value: Any) -> None:
        """A value for a key of the top level that no layer before has set; it counts as a default."""
        self.values.setdefault(key, value)

    def assign(self, setting: str) -> None:
        """Take one `KEY=VALUE`; the value is read as TOML, else taken as a string."""
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            self.problems.append(f"--set {setting}: write KEY=VALUE, such as pilot.count=150")
            return
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        self.put(key.strip(), value, "--set")

    def put(self, key: str, value: Any, origin: str) -> None:
        """Take one value."""
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
        known = " nor ".join(BUILT_IN_PROFILES)
        raise ConfigError(f"profile {profile!r} is neither {known} nor a TOML file that exists{hint}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"profile {profile}: not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"profile {profile} cannot be read: {error.strerror}") from error


# ------------------------------------------------------------------------------------------------------- mistakes


def is_noise(problem: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a pydantic error says of a later alternative of a union what was said of the first already."""
    at = next(index for index, other in enumerate(others) if other["loc"] == problem["loc"])
    return any(_key(other) == _key(problem) for other in others[:at])


def explain(problem: Mapping[str, Any], model: type[BaseModel], origins: Mapping[str, str]) -> str:
    """One sentence for one pydantic error: the key, what is wrong, what is allowed, and where the value came from."""
    key, kind = _key(problem), problem["type"]
    source = next((origins[found] for found in origins if found == key or found.startswith(f"{key}.")), "")
    from_where = f" (from {source})" if source else ""
    if kind == "extra_forbidden":
        return f"{key}: unknown; {_hint(key, model)}{from_where}"
    if kind == "model_type":
        return f"{key}: is a table of settings, such as [{key}] in a profile{from_where}"
    sentence = f"{key}: {problem['msg']} (got {problem.get('input')!r})"
    allowed = re.findall(r"'([^']*)'", str(problem.get("ctx", {}).get("expected", "")))
    nearest = difflib.get_close_matches(str(problem.get("input")), allowed, n=1)
    return sentence + (f"; did you mean {nearest[0]}?" if nearest else "") + from_where


def _key(problem: Mapping[str, Any]) -> str:
    """The dotted key; pydantic adds the number of an element and the alternative of a union, which are none of its parts."""
    names = []
    for part in problem["loc"]:
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
    elsewhere = [known for known in setting_names(model) if known.split(".")[-1] == last]
    meant = elsewhere or difflib.get_close_matches(last, names, n=1)
    return f"did you mean {' or '.join(meant)}?" if meant else f"known here: {', '.join(names)}"


def setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted keys of all settings, in their order."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_names(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
