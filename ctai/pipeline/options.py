"""Command-line options that select a run, shared by `pytest -m gates`, `ctai preflight` and `ctai config`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ctai.errors import ConfigError

if TYPE_CHECKING:
    from ctai.config import ResolvedConfig

CONTROLS = ("shuffled", "foreign", "random-text", "seeds-only", "no-critic", "untrained", "response-only")


def add_options(add: Callable[..., object]) -> None:
    """Add the options to a parser.

    Args:
        add: `add_argument` of an argparse parser, or `addoption` of pytest's.
    """
    add("--model", metavar="NAME_OR_PATH", help='base model: hub id, folder of safetensors, .gguf file, or "embedded"')
    add("--profile", metavar="NAME_OR_FILE", help="embedded, pod, or a TOML file (default: embedded; with --gpu: pod)")
    add("--gpu", action="store_true", help="require a CUDA device")
    add("--seed", type=int, metavar="N", help="seed of the run (default: the profile's, 0)")
    add("--count", type=int, metavar="N", help="minimum number of unique examples of the scale gate")
    add("--shards", type=int, metavar="N", help="number of shards of the scale gate")
    add(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="KEY=VALUE",
        help="override one setting; may be repeated",
    )
    add("--control", choices=CONTROLS, help="run a control condition, which must show in the verdicts")


def normalized_command(option: Any) -> str:
    """Return the command of a gates run for its records: the options that determine results, files by their names."""
    named = ("profile", "model", "seed", "count", "shards", "control")
    values = [(f"--{name}", getattr(option, name)) for name in named]
    values += [("--set", setting) for setting in option.settings]
    given = [f"{name} {_without_folders(str(value))}" for name, value in values if value is not None]
    return " ".join(["pytest -m gates", *(["--gpu"] if option.gpu else []), *given])


def _without_folders(text: str) -> str:
    """Return a value, or the setting `key=value`, with the name of the file where the value is a path of this machine."""
    key, separator, value = text.rpartition("=")
    is_path = value.strip("'\"").startswith(("/", "./", "../", "~"))
    return f"{key}{separator}{value.strip(chr(34) + chr(39)).rpartition('/')[2] if is_path else value}"


def resolve_options(option: Any) -> "ResolvedConfig":
    """Resolve options to a configuration; a named option takes precedence over `--set` and the profile.

    Registers the instruction families of the user, if there are any.

    Raises:
        CtaiError: a mistake in profile, settings or families, or settings with which no run can pass; all mistakes in the
            configuration are named.
    """
    from ctai.config import (  # not when pytest reads its options: most runs have no gates
        ResolvedConfig,
        impossible_settings,
        resolve,
    )
    from ctai.tasks import plugins

    pod = option.gpu and option.model != "embedded"
    profile = option.profile or ("pod" if pod else "embedded")
    no_critic = option.control == "no-critic"
    options = {
        "model.name": (option.model, "--model"),
        "model.device": ("cuda" if option.gpu else None, "--gpu"),
        "seed": (option.seed, "--seed"),
        "scale.count": (option.count, "--count"),
        "scale.shards": (option.shards, "--shards"),
        "control": (option.control, "--control"),
        "generation.filter_with_critic": (False if no_critic else None, "--control"),
    }
    config, origins = resolve(profile, option.settings, options)
    if option.profile or pod:
        origins = {"profile": "--profile" if option.profile else "--gpu", **origins}
    if problems := list(impossible_settings(config)):
        raise ConfigError("invalid configuration:\n  " + "\n  ".join(problems))
    digest = plugins.activate(config.generation.families, config.generation.families_sha256)
    if digest == config.generation.families_sha256:
        return ResolvedConfig(config, origins)
    generation = config.generation.model_copy(update={"families_sha256": digest})
    return ResolvedConfig(
        config.model_copy(update={"generation": generation}),
        {**origins, "generation.families_sha256": "the files of generation.families"},
    )
