"""Command line around a run: preflight, configuration, preregistration, verification, attestation, report and export.

Owns arguments, help and exit status. Does not run gates (`pytest -m gates`). A command imports its modules when it runs, so that
help and errors are instant.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ctai import __version__
from ctai.errors import CtaiError
from ctai.pipeline.options import add_options

_DESCRIPTION = """\
Bootstrap an instruction-following model from a base language model.

A run generates instructions and responses with the base model, filters them with the model's own judgement,
fine-tunes an adapter on them and compares it with the base. Each step is a gate: if it misses a threshold, the
run stops before the next, more expensive step. pytest executes the run in a clone of ctai (`pytest -m gates`)
and writes one run directory; rerunning the same command resumes the run. The commands below prepare a run and
inspect, verify and share its results.
"""

_EPILOG = """\
the usual sequence:
  ctai preflight                                check device, model, packages and disk in seconds
  pytest -m gates                               execute the run: embedded model, minutes on a CPU
  ctai report runs/embedded-embedded-seed0      write the HTML report (a run writes it, too)
  ctai verify runs/embedded-embedded-seed0      recompute all digests, verdicts and metrics
  ctai export runs/embedded-embedded-seed0 --to shared   collect files for datasets, peft and browsers

on a machine with a GPU:
  ctai preflight --gpu --run-dir /workspace/run-1
  pytest -m gates --gpu --run-dir /workspace/run-1

Each command has --help; the options of a run are in `pytest --help` under 'ctai gates'. Documentation: docs/.
"""

_EXIT_CODES = {
    "preflight": "0: the run can start. 1: a check failed, see the lines with FAIL. 2: invalid usage or configuration.",
    "config": "0: printed. 2: invalid usage or configuration; all errors are listed.",
    "preregister": "0: written. 2: a gate has measured already, another preregistration exists, or the stamp failed.",
    "verify": "0: no differences. 1: differences, one a line. 2: no evidence found, or unusable key.",
    "attest": "0: written. 2: the evidence does not verify, or unusable key.",
    "report": "0: written. 2: not a run directory, or not writeable.",
    "export": "0: written. 2: the run has not passed, its evidence does not verify, or the folder is not empty.",
}
_EXAMPLES = {
    "preflight": ("ctai preflight", "ctai preflight --gpu --run-dir /workspace/run-1"),
    "config": ("ctai config --profile pod", "ctai config --set pilot.count=150 > my.toml  # then: --profile my.toml"),
    "preregister": (
        "ctai preregister runs/study",
        "ctai preregister runs/study --seed 1  # then: pytest -m gates --run-dir runs/study --seed 1",
        "ctai preregister runs/study --stamp 'sh stamp.sh {file} {answer}'",
    ),
    "verify": ("ctai verify runs/embedded-embedded-seed0", "ctai verify RUN --public-key key.pub.pem"),
    "attest": ("ctai attest runs/embedded-embedded-seed0 --key key.pem", "ctai attest RUN --model-key ec.pem"),
    "report": ("ctai report runs/embedded-embedded-seed0",),
    "export": ("ctai export runs/embedded-embedded-seed0 --to shared",),
}


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help formatter that keeps examples verbatim and leaves room for the descriptions."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=16, width=118)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        Exit status: 0 for success, 1 for failed checks or differences, 2 for an error that the user can mend.
    """
    options = build_parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except CtaiError as error:
        print(f"ctai: {error}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="ctai",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"ctai {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    check = _add(commands, "preflight", "check device, model, packages and disk before a run, in seconds")
    check.add_argument("--run-dir", default="runs", help="directory in which the run will be written (default: runs)")
    add_options(check.add_argument)
    check.set_defaults(command=_preflight)
    config = _add(commands, "config", "print all settings with description and origin, as a TOML profile")
    add_options(config.add_argument)
    config.set_defaults(command=_config)
    _add_preregister(commands)
    verify = _add(
        commands, "verify", "recompute digests, verdicts and metrics of a run directory and report differences"
    )
    verify.add_argument("run_dir", metavar="DIR", type=Path, help="run directory")
    verify.add_argument(
        "--public-key", metavar="FILE", type=Path, help="ed25519 public key (PEM) that must have signed the evidence"
    )
    verify.add_argument(
        "--model-public-key",
        metavar="FILE",
        type=Path,
        help="elliptic-curve public key (PEM) that must have signed the adapters",
    )
    _add_families(verify)
    verify.set_defaults(command=_verify)
    attest = _add(commands, "attest", "attest the evidence of a run directory, signed if a key is given")
    attest.add_argument("run_dir", metavar="DIR", type=Path, help="run directory")
    attest.add_argument("--key", metavar="FILE", type=Path, help="ed25519 private key (PEM) to sign with")
    attest.add_argument(
        "--model-key",
        metavar="FILE",
        type=Path,
        help="elliptic-curve private key (PEM) for an OpenSSF model signature of each adapter: ADAPTER.model.sig",
    )
    _add_families(attest)
    attest.set_defaults(command=_attest)
    report = _add(commands, "report", "write the HTML report of a run directory: DIR/report/index.html")
    report.add_argument("run_dir", metavar="DIR", type=Path, help="run directory")
    report.set_defaults(command=_report)
    export = _add(commands, "export", "export dataset, adapter, evaluation and evidence with cards")
    export.add_argument("run_dir", metavar="DIR", type=Path, help="run directory")
    export.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="new or empty target folder")
    export.add_argument("--merge", action="store_true", help="include the full model with the adapter merged")
    export.add_argument("--large", action="store_true", help="include a base model or run directory of more than 2 GB")
    export.add_argument(
        "--anyway", action="store_true", help="export although the last gate has not passed; noted in every card"
    )
    _add_families(export)
    export.set_defaults(command=_export)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    """Add a command whose help ends with examples and exit status."""
    examples = "\n".join(f"  {example}" for example in _EXAMPLES[name])
    return commands.add_parser(
        name,
        help=f"{summary}; e.g. {_EXAMPLES[name][0]}",
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{examples}\n\nexit status:\n  {_EXIT_CODES[name]}",
        formatter_class=_Help,
    )


def _add_preregister(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _add(
        commands, "preregister", "write hypotheses, thresholds and the digest of the test set of a run before it starts"
    )
    command.add_argument("run_dir", metavar="DIR", type=Path, help="run directory")
    add_options(command.add_argument)
    command.add_argument(
        "--stamp",
        metavar="COMMAND",
        help="program that makes a time stamp, run without a shell: {file} is the preregistration, {sha256} its SHA-256, "
        "{answer} the file to write (default: standard output); CTAI_STAMP_COMMAND sets one, too",
    )
    command.add_argument("--stamp-suffix", metavar="SUFFIX", default="tsr", help="suffix of the stamp (default: tsr)")
    command.set_defaults(command=_preregister)


def _add_families(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--families",
        metavar="NAME",
        action="append",
        default=[],
        help="user-defined instruction families of the run, as in generation.families; executes their code",
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


def _preregister(options: argparse.Namespace) -> int:
    from ctai.evidence.stamp import stamp_command
    from ctai.pipeline.options import resolve_options
    from ctai.pipeline.preregister import preregister_run

    command = stamp_command(options.stamp, options.stamp_suffix)
    result = preregister_run(options.run_dir, resolve_options(options).config, command)
    print(f"{result.sha256}  {result.path}")
    if result.stamp is not None:
        print(f"{result.stamp.answer_sha256}  {options.run_dir / result.stamp.answer}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from ctai.tasks import plugins
    from ctai.verification.verify import find_differences, outcomes, remarks

    plugins.activate(options.families)
    count = 0
    problems = find_differences(options.run_dir, options.public_key, options.model_public_key)
    for count, problem in enumerate(problems, start=1):  # noqa: B007
        print(f"DIFFERS  {problem}")
    for gate, outcome in outcomes(options.run_dir).items():
        print(f"{gate:<14} {outcome}")
    for remark in remarks(options.run_dir, options.public_key):
        print(f"note: {remark}")
    print(f"{count} difference(s)" if count else "OK: all files, verdicts and metrics match the evidence")
    return 1 if count else 0


def _attest(options: argparse.Namespace) -> int:
    from ctai.tasks import plugins
    from ctai.verification.verify import attest

    plugins.activate(options.families)
    for path in attest(options.run_dir, options.key, options.model_key):
        print(path)
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
