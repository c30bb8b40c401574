"""The command line: `ctai preflight`, `verify`, `attest`, `report` and `export`. The run itself is `pytest -m gates`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ctai import __version__
from ctai.errors import CtaiError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 if all is well, 1 if something was found, 2 for a wrong use.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except CtaiError as error:
        print(f"ctai: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ctai",
        description="Bootstrap an instruction-following model from a base model, with gates that are known to be right.",
        epilog="The run itself: pytest -m gates  (its options: pytest --help, under 'ctai gates').",
    )
    parser.add_argument("--version", action="version", version=f"ctai {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("preflight", help="find in seconds what would stop a run")
    check.add_argument("--gpu", action="store_true", help="require a CUDA device; default profile pod")
    check.add_argument("--profile", help="embedded, pod, or a TOML file")
    check.add_argument("--model", help="another base model")
    check.add_argument("--run-dir", default="runs", help="where the run is going to live (default: runs)")
    check.set_defaults(command=_preflight)
    verify = commands.add_parser(
        "verify", help="check the evidence of a run directory: digests, chain, report, numbers"
    )
    verify.add_argument("run_dir", metavar="DIR", type=Path)
    verify.add_argument("--public-key", metavar="FILE", type=Path, help="ed25519 key (PEM) that must have signed it")
    verify.set_defaults(command=_verify)
    attest = commands.add_parser("attest", help="state what the evidence of a run directory is, and sign it")
    attest.add_argument("run_dir", metavar="DIR", type=Path)
    attest.add_argument("--key", metavar="FILE", type=Path, help="ed25519 private key (PEM) to sign with")
    attest.set_defaults(command=_attest)
    report = commands.add_parser("report", help="write DIR/report/index.html: one page on what became of a run")
    report.add_argument("run_dir", metavar="DIR", type=Path)
    report.set_defaults(command=_report)
    export = commands.add_parser("export", help="collect dataset, adapter, evaluation and evidence for others")
    export.add_argument("run_dir", metavar="DIR", type=Path)
    export.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="a new or an empty folder")
    export.add_argument("--merge", action="store_true", help="also a full model with the adapter merged in")
    export.add_argument("--large", action="store_true", help="also a base model or a run directory of more than 2 GB")
    export.add_argument(
        "--anyway", action="store_true", help="also if the last gate has not passed; every card says so"
    )
    export.set_defaults(command=_export)
    return parser


def _preflight(options: argparse.Namespace) -> int:
    from ctai.gates.preflight import preflight
    from ctai.gates.run import configured

    config = configured(options.profile, options.model, [], gpu=options.gpu)
    failed = 0
    for check in preflight(config, Path(options.run_dir)):
        failed += not check.ok
        print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<14} {check.message}")
    return 1 if failed else 0


def _verify(options: argparse.Namespace) -> int:
    from ctai.gates.verify import find_differences, outcomes, remarks

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
    from ctai.gates.verify import attest

    print(attest(options.run_dir, options.key))
    return 0


def _report(options: argparse.Namespace) -> int:
    from ctai.report import write_report

    print(write_report(options.run_dir))
    return 0


def _export(options: argparse.Namespace) -> int:
    from ctai.export import export_run

    notes = export_run(options.run_dir, options.to, merge=options.merge, anyway=options.anyway, large=options.large)
    for note in notes:
        print(f"note: {note}")
    print(options.to / "README.md")
    return 0
