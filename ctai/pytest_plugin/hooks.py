"""Pytest hooks and fixtures of the gates: options, order, blocking, outcomes, JUnit properties and terminal summary.

Owns the assignment of tests to gates. Does not keep outcomes (`ctai.pytest_plugin.session`), compute metrics
(`ctai.gates`) or import torch before a gate is about to run.
"""

import re
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ctai.errors import CtaiError, IncompleteError, disk_error_message
from ctai.pipeline.options import add_options
from ctai.pytest_plugin.progress import TerminalProgress
from ctai.pytest_plugin.session import GateSession, user_message
from ctai.pytest_plugin.summary import gate_table, header_lines, metric_properties, suite_properties
from ctai.registry import GATE_NAMES, GATES, GateSpec, gate_named, gates_before

if TYPE_CHECKING:
    from ctai.evidence.result import GateResult
    from ctai.pipeline.run import Run
    from ctai.records import Metric

_STATE = pytest.StashKey[GateSession]()
_NO_PARAMETERS = SimpleNamespace(params={})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a gates run."""
    group = parser.getgroup("ctai", "ctai gates (pytest -m gates)")
    add = group.addoption
    add("--run-dir", metavar="DIR", help="run directory; an existing one is resumed")
    add_options(add)
    add("--fresh", action="store_true", help="start in a new, dated run directory")
    add(
        "--workers",
        metavar="HOW",
        help="executor of the shards: here, ray, a number of local workers, ray://HOST:PORT or HOST:PORT",
    )
    add("--only-shards", metavar="LIST", help="generate only these shards in this session, such as 0,2-3")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Prepare a gates run before collection, so that a wrong option fails within a second."""
    config.addinivalue_line("markers", "gate(name): the gate that a test belongs to")
    if not _selects_gates(config.option.markexpr) or config.option.help:
        return
    gates = config.rootpath / "tests" / "gates"
    if config.args_source is not pytest.Config.ArgsSource.ARGS and gates.is_dir():
        config.args = [str(gates)]  # from any folder of the checkout, without collecting all other tests
    if config.option.collectonly:
        return
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError("gates cannot run under xdist, because each needs the verdict before it; leave out -n")
    from ctai.pipeline.launch import options_to_run

    display = TerminalProgress()
    with _usage_errors():
        state = config.stash[_STATE] = GateSession(options_to_run(config.option, display), display)
    config.pluginmanager.register(_CollectionErrors(state))
    state.on_sigterm = signal.signal(signal.SIGTERM, _interrupt)  # sent by a machine before it stops
    if not config.option.xmlpath:
        config.option.xmlpath = str(state.draft)


class _CollectionErrors(NamedTuple):
    """Plugin that records a file which cannot be collected as a failed test; the hook itself knows no session."""

    state: GateSession

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a collection error."""
        self.state.add_failure(report)


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Turn a CtaiError outside of a test into a usage error, which pytest reports as one sentence."""
    try:
        yield
    except CtaiError as error:
        raise pytest.UsageError(str(error)) from None


def _interrupt(number: int, _frame: object) -> None:
    """Handle SIGTERM like Ctrl-C, so that phases are closed and the summary says how to resume."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore the folders beside `gates` when only gates are selected, since their conftest files import torch."""
    gates = collection_path.parent / "gates"
    if config.option.markexpr != "gates" or not collection_path.is_dir() or not gates.is_dir():
        return None
    return collection_path != gates or None


def _selects_gates(markexpr: str) -> bool:
    """Return True if a mark expression selects the gates, as `gates` or `gates and ...`, unlike `not gates`."""
    return bool(re.search(r"(?<!not )\bgates\b", markexpr or ""))


def _gate_of(item: pytest.Item) -> GateSpec | None:
    mark = item.get_closest_marker("gate")
    return gate_named(mark.args[0]) if mark else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the test of a gate with its position in the registry, by which pytest-order sorts.

    Every test in tests/gates runs with the gates, also one that its author forgot to mark.
    """
    gate = _gate_of(item)
    if item.path.is_relative_to(item.config.rootpath / "tests" / "gates"):
        item.add_marker(pytest.mark.gates)
    if gate is not None:
        item.add_marker(pytest.mark.order(GATE_NAMES.index(gate.name)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a selection of gates of which one lacks the valid verdict of a gate before it."""
    state = config.stash.get(_STATE, None)
    if state is None:
        return
    state.gate_of_test = {item.nodeid: gate.name for item in items if (gate := _gate_of(item))}
    gates = set(state.gate_of_test.values())
    state.selected = [name for name in GATE_NAMES if name in gates]
    state.whole = (
        not (state.deselected or state.failed_tests)  # a file that cannot be collected has failed already
        and all(_tests_every_metric(gate, items) for gate in GATES)
        and _collects_every_file(config.rootpath / "tests" / "gates", items)
    )
    for name in state.selected:
        before = [gate.name for gate in gates_before(name)]
        if all(gate in state.selected for gate in before):
            continue  # they are decided in this session
        with _usage_errors():
            problem = state.run.problem_before(name)
        if problem:
            state.selected = []  # no test ran, so there is no report to file
            raise pytest.UsageError(f"gate {name} cannot start: {problem}; run the gates before it first")


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Note that tests of gates are left out, so that the session does not count as a whole run."""
    for item in items:
        state = item.config.stash.get(_STATE, None)
        if state is not None and item.get_closest_marker("gates"):
            state.deselected = True


def _collects_every_file(folder: Path, items: Sequence[pytest.Item]) -> bool:
    """Return True if every file of gate tests has a test in the session; one that is ignored or not named has none."""
    return {item.path for item in items}.issuperset(folder.rglob("test_*.py"))


def _tests_every_metric(gate: GateSpec, items: Sequence[pytest.Item]) -> bool:
    """Return True if the tests of a gate are there for each of its metrics, by the parameters of the tests."""
    tests = (item for item in items if _gate_of(item) is gate)
    values = {str(value) for item in tests for value in getattr(item, "callspec", _NO_PARAMETERS).params.values()}
    return values.issuperset(gate.metric_names)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests of a gate that a failed gate blocks, with the reason."""
    state, gate = item.config.stash.get(_STATE, None), _gate_of(item)
    if state is None or gate is None:
        return
    item.user_properties.append(("gate", gate.name))
    state.enter(gate.name)
    reason = state.blocking_reason(gate)
    if reason:
        state.errors.setdefault(gate.name, [reason])
        pytest.skip(reason)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Record the outcome of each test, and report a CtaiError of a fixture as one sentence without a traceback."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    state, gate = item.config.stash.get(_STATE, None), _gate_of(item)
    if state is None:
        return
    if gate is not None:
        _record_gate_test(state, gate, item, call.excinfo.value if call.excinfo is not None else None, report)
    state.add_failure(report)


def _record_gate_test(
    state: GateSession, gate: GateSpec, item: pytest.Item, error: BaseException | None, report: pytest.TestReport
) -> None:
    """Record the outcome of a test of a gate; its report gets one sentence, or the explanation of a missed threshold."""
    metric = state.metric_of_test.get(item.nodeid)
    if isinstance(error, AssertionError) and metric is not None:
        report.longrepr = state.explanation(gate.name, metric) or str(error)
    elif isinstance(error, IncompleteError):
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, f"Skipped: {error}")
        state.add_error(gate.name, str(error))
    elif isinstance(error, CtaiError):
        report.longrepr = str(error)
    elif message := disk_error_message(error):
        report.longrepr = message
    state.add_outcome(gate.name, metric, report)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Decide the last gate; if a selected gate did not pass, the exit status is not 0."""
    state = session.config.stash.get(_STATE, None)
    if state is None:
        return
    state.interrupted = exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
    if not state.interrupted:
        state.leave()
        if exitstatus == pytest.ExitCode.OK and not all(state.passed(name) for name in state.selected):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    with state.collect_write_errors():
        state.run.session.note(
            f"session {state.run.session.session_id} ended with exit status {int(session.exitstatus)}"
        )
    with state.collect_write_errors():
        state.file_session()
    if not state.is_empty:
        state.write_report()


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int | None, int | None]:
    """Add the JUnit report to the evidence once pytest has written it, and release the run directory.

    Every file that cannot be written, by ctai or by pytest, is reported in one sentence; the exit status is then not 0.
    """
    status: int | None = None
    pytest_wrote = True
    try:
        status = yield
    except OSError as error:  # from a file that pytest writes, such as the report at `--junitxml`
        if _STATE not in config.stash or not user_message(error):
            raise
        config.stash[_STATE].write_errors.append(user_message(error))
        pytest_wrote = False
    state = config.stash.get(_STATE, None)
    if state is None:
        return status
    with state.collect_write_errors():
        if pytest_wrote:
            state.file_report(Path(config.option.xmlpath))
    with state.collect_write_errors():
        state.run.close()
    signal.signal(signal.SIGTERM, state.on_sigterm)
    for message in state.write_errors:
        sys.stderr.write(f"ERROR: {message}\n")
    return (status or pytest.ExitCode.TESTS_FAILED) if state.write_errors else status


@pytest.fixture(scope="session")
def gate_run(request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]) -> "Run":
    """Provide the run of this session, and record the properties of the JUnit suite."""
    state = request.config.stash.get(_STATE, None)
    if state is None:
        pytest.fail("gates run with `pytest -m gates`", pytrace=False)
    run = state.run
    manager = request.config.pluginmanager.getplugin("capturemanager")
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and request.config.option.verbose >= 0:
        state.display.attach(reporter, manager)
    for name, value in suite_properties(run).items():
        record_testsuite_property(name, value)
    return run


@pytest.fixture
def judge(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> "Callable[[GateResult, str], Metric]":
    """Provide a function that returns a metric by name, and records its properties for the JUnit report.

    It skips the test of a metric that does not apply, with the reason.
    """
    from ctai.evidence.junit import skip_reason

    state = request.config.stash[_STATE]

    def look_up(result: "GateResult", name: str) -> "Metric":
        metric = result.metric(name)
        state.metric_of_test[request.node.nodeid] = name
        for key, value in metric_properties(result, metric).items():
            record_property(key, value)
        if not metric.applicable:
            pytest.skip(skip_reason(metric))
        return metric

    return look_up


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Return the lines with profile, model, run directory and the gates that have passed already."""
    state = config.stash.get(_STATE, None)
    with _usage_errors():
        return header_lines(state.run) if state else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Write the table of gates, the path of the report and, after an interruption, how to resume."""
    state = terminalreporter.config.stash.get(_STATE, None)
    if state is None or state.is_empty:
        return
    terminalreporter.section("gates")
    for line in (*gate_table(state), state.report_line):
        terminalreporter.write_line(line)
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        terminalreporter.write_line("interrupted: rerun the same command to resume after the last finished batch")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse `tests/gates` without `-m gates`, which would deselect every test.

    Raises:
        UsageError: the folder is named and its mark is not selected.
    """
    folders = [(session.config.invocation_params.dir / argument).resolve() for argument in session.config.args]
    gates = (session.config.rootpath / "tests" / "gates").resolve()
    if gates in folders and not _selects_gates(session.config.option.markexpr):
        raise pytest.UsageError("tests/gates runs only with `-m gates`, because a plain run leaves the gates out")
