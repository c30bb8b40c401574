"""The command line: everything around a run. The run itself is `pytest -m gates`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ctai import __version__
from ctai.errors import CtaiError
from ctai.pipeline.options import add_options

_DESCRIPTION = """\
Bootstrap an instruction-following model from a base model, with gates that are known to be right.

A run takes a base model, lets it write and judge instructions and answers, trains an adapter on them, and
compares the trained model with its base. Each step is a gate: it must meet every threshold, or the run stops
there, before money is spent on the next step. The run is made by pytest in a clone of ctai, and lives in one
directory; the same command again goes on where it ended. The commands here are for what is around it.
"""

_EPILOG = """\
the usual sequence:
  ctai preflight                                find out in seconds what would stop the run
  pytest -m gates                               the run: the embedded model, minutes on a CPU
  ctai report runs/embedded-embedded-seed0      one page on what became of it (a run writes it too)
  ctai verify runs/embedded-embedded-seed0      check every digest, verdict and number again
  ctai export runs/embedded-embedded-seed0 --to shared   what datasets, peft and a browser open

on a machine with a GPU:
  ctai preflight --gpu --run-dir /workspace/run-1
  pytest -m gates --gpu --run-dir /workspace/run-1

Every command says more with --help, and so does pytest --help, under 'ctai gates'. The pages are in docs/.
"""

_EXIT_CODES = {
    "preflight": "0: the run can start. 1: a line with FAIL says what would stop it. 2: wrong use.",
    "config": "0: printed. 2: wrong use; every mistake is named.",
    "verify": "0: no difference. 1: differences, a line each. 2: no evidence there, or an unusable key.",
    "attest": "0: written. 2: the evidence does not hold, or an unusable key.",
    "report": "0: written. 2: no run directory, or it cannot be written.",
    "export": "0: written. 2: the run has not passed, its evidence does not hold, or the folder is not empty.",
}
_EXAMPLES = {
    "preflight": ("ctai preflight", "ctai preflight --gpu --run-dir /workspace/run-1"),
    "config": ("ctai config --profile pod", "ctai config --set pilot.count=150 > my.toml  # then: --profile my.toml"),
    "verify": ("ctai verify runs/embedded-embedded-seed0", "ctai verify RUN --public-key key.pub.pem"),
    "attest": ("ctai attest runs/embedded-embedded-seed0 --key key.pem",),
    "report": ("ctai report runs/embedded-embedded-seed0",),
    "export": ("ctai export runs/embedded-embedded-seed0 --to shared",),
}


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps examples as they are, and a command beside what it does."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=16, width=118)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 if all is well, 1 if something was found, 2 for a wrong use.
    """
    options = build_parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except CtaiError as error:
        print(f"ctai: {error}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="ctai",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"ctai {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    check = _add(commands, "preflight", "find in seconds what would stop a run")
    check.add_argument("--run-dir", default="runs", help="where the run is going to live (default: runs)")
    add_options(check.add_argument)
    check.set_defaults(command=_preflight)
    config = _add(commands, "config", "print every setting, what it means and where its value came from, as a profile")
    add_options(config.add_argument)
    config.set_defaults(command=_config)
    verify = _add(commands, "verify", "check the evidence of a run directory: digests, chain, report, numbers")
    verify.add_argument("run_dir", metavar="DIR", type=Path)
    verify.add_argument("--public-key", metavar="FILE", type=Path, help="ed25519 key (PEM) that must have signed it")
    _add_families(verify)
    verify.set_defaults(command=_verify)
    attest = _add(commands, "attest", "state what the evidence of a run directory is, and sign it")
    attest.add_argument("run_dir", metavar="DIR", type=Path)
    attest.add_argument("--key", metavar="FILE", type=Path, help="ed25519 private key (PEM) to sign with")
    _add_families(attest)
    attest.set_defaults(command=_attest)
    report = _add(commands, "report", "write DIR/report/index.html: one page on what became of a run")
    report.add_argument("run_dir", metavar="DIR", type=Path)
    report.set_defaults(command=_report)
    export = _add(commands, "export", "collect dataset, adapter, evaluation and evidence for others")
    export.add_argument("run_dir", metavar="DIR", type=Path)
    export.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="a new or an empty folder")
    export.add_argument("--merge", action="store_true", help="also a full model with the adapter merged in")
    export.add_argument("--large", action="store_true", help="also a base model or a run directory of more than 2 GB")
    export.add_argument(
        "--anyway", action="store_true", help="also if the last gate has not passed; every card says so"
    )
    _add_families(export)
    export.set_defaults(command=_export)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    """A command with its examples and exit codes below its help."""
    examples = "\n".join(f"  {example}" for example in _EXAMPLES[name])
    return commands.add_parser(
        name,
        help=f"{summary}; e.g. {_EXAMPLES[name][0]}",
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{examples}\n\nexit status:\n  {_EXIT_CODES[name]}",
        formatter_class=_Help,
    )


def _add_families(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--families",
        metavar="NAME",
        action="append",
        default=[],
        help="the instruction families that the run brought, as in generation.families; their code is run",
    )


def _preflight(options: argparse.Namespace) -> int:
    from ctai.pipeline.options import resolve_options
    from ctai.pipeline.preflight.checks import preflight

    failed = 0
    for check in preflight(resolve_options(options).config, Path(options.run_dir)):
        failed += not check.ok
        print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<14} {check.message}")
    return 1 if failed else 0


def _config(options: argparse.Namespace) -> int:
    from ctai.config.toml import config_text
    from ctai.pipeline.options import resolve_options

    print(config_text(resolve_options(options)), end="")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from ctai.tasks import plugins
    from ctai.verification.verify import find_differences, outcomes, remarks

    plugins.activate(options.families)
    count = 0
    for count, problem in enumerate(find_differences(options.run_dir, options.public_key), start=1):  # noqa: B007
        print(f"DIFFERS  {problem}")
    for gate, outcome in outcomes(options.run_dir).items():
        print(f"{gate:<14} {outcome}")
    for remark in remarks(options.run_dir, options.public_key):
        print(f"note: {remark}")
    print(f"{count} difference(s)" if count else "every file, verdict and number is as the evidence says")
    return 1 if count else 0


def _attest(options: argparse.Namespace) -> int:
    from ctai.tasks import plugins
    from ctai.verification.verify import attest

    plugins.activate(options.families)
    print(attest(options.run_dir, options.key))
    return 0


def _report(options: argparse.Namespace) -> int:
    from ctai.report import write_report

    print(write_report(options.run_dir))
    return 0


def _export(options: argparse.Namespace) -> int:
    from ctai.export import export_run
    from ctai.tasks import plugins

    plugins.activate(options.families)
    notes = export_run(options.run_dir, options.to, merge=options.merge, anyway=options.anyway, large=options.large)
    for note in notes:
        print(f"note: {note}")
    print(options.to / "README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
