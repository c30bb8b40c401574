"""The gates as pytest runs them: options, order, blocking, verdicts, JUnit properties and the table at the end.

This module knows which gate a test belongs to; what became of it is kept by `ctai.pytest_plugin.session`. It knows nothing about
models: what a gate makes and measures is `ctai.gates`. It imports nothing heavy until a gate is really about to run.
"""

import re
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ctai.errors import CtaiError, IncompleteError, disk_error_message
from ctai.pipeline.options import add_options
from ctai.pytest_plugin.progress import TerminalProgress
from ctai.pytest_plugin.session import GateSession, user_message
from ctai.registry import GATE_NAMES, GateSpec, gate_named, gates_before

if TYPE_CHECKING:
    from ctai.evidence.result import GateResult
    from ctai.pipeline.run import Run
    from ctai.records import Metric

_STATE = pytest.StashKey[GateSession]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a gates run."""
    group = parser.getgroup("ctai", "ctai gates (pytest -m gates)")
    add = group.addoption
    add("--run-dir", metavar="DIR", help="where the run lives; the same directory again resumes it")
    add_options(add)
    add("--fresh", action="store_true", help="start in a new, dated run directory")
    add("--workers", metavar="HOW", help="here, ray, a number of local workers, ray://HOST:PORT or HOST:PORT")
    add("--only-shards", metavar="LIST", help="make only these shards in this session, such as 0,2-3")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Prepare a gates run before anything is collected, so that a wrong option costs a second."""
    config.addinivalue_line("markers", "gate(name): the gate that a test belongs to")
    if not _selects_gates(config.option.markexpr) or config.option.help:
        return
    gates = config.rootpath / "tests" / "gates"
    if config.args_source is not pytest.Config.ArgsSource.ARGS and gates.is_dir():
        config.args = [str(gates)]  # from any folder of the checkout, and without reading all other tests
    if config.option.collectonly:
        return
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError("gates cannot run under xdist, because each needs the verdict before it; leave out -n")
    from ctai.pipeline.launch import options_to_run

    display = TerminalProgress()
    with _usage_errors():
        state = config.stash[_STATE] = GateSession(options_to_run(config.option, display), display)
    state.on_sigterm = signal.signal(signal.SIGTERM, _interrupt)  # what a machine that is about to stop sends
    if not config.option.xmlpath:
        config.option.xmlpath = str(state.draft)


@contextmanager
def _usage_errors() -> Iterator[None]:
    """A CtaiError outside of any test is one sentence too."""
    try:
        yield
    except CtaiError as error:
        raise pytest.UsageError(str(error)) from None


def _interrupt(number: int, _frame: object) -> None:
    """Take a polite request to end as Ctrl-C, so that phases are closed and the user is told how to go on."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the test folders beside that of the gates where only gates are asked for: importing them takes torch."""
    beside = collection_path.parent / "gates"
    if config.option.markexpr != "gates" or not collection_path.is_dir() or not beside.is_dir():
        return None
    return collection_path != beside or None


def _selects_gates(markexpr: str) -> bool:
    """Whether a mark expression asks for the gates, as `gates` or `gates and ...` do and `not gates` does not."""
    return bool(re.search(r"(?<!not )\bgates\b", markexpr or ""))


def _gate_of(item: pytest.Item) -> GateSpec | None:
    mark = item.get_closest_marker("gate")
    return gate_named(mark.args[0]) if mark else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a gate's test its place: pytest-order sorts by the order of the registry, all other tests come after."""
    gate = _gate_of(item)
    if gate is not None:
        item.add_marker(pytest.mark.order(GATE_NAMES.index(gate.name)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a selection of gates that starts in the middle without the verdicts that must come before it."""
    state = config.stash.get(_STATE, None)
    if state is None:
        return
    gates = {gate.name for item in items if (gate := _gate_of(item))}
    state.selected = [name for name in GATE_NAMES if name in gates]
    for name in state.selected:
        before = [gate.name for gate in gates_before(name)]
        if all(gate in state.selected for gate in before):
            continue  # they are decided in this session
        with _usage_errors():
            problem = state.run.problem_before(name)
        if problem:
            state.selected = []  # nothing ran, so there is no report to file
            raise pytest.UsageError(f"gate {name} cannot start: {problem}; run the gates before it first")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, visibly, what a failed gate blocks."""
    state, gate = item.config.stash.get(_STATE, None), _gate_of(item)
    if state is None or gate is None:
        return
    state.enter(gate.name)
    reason = state.reason_to_block(gate)
    if reason:
        state.errors.setdefault(gate.name, [reason])
        pytest.skip(reason)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keep the outcome of each gate's tests, and give a CtaiError in a fixture as one sentence without a traceback."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    state, gate = item.config.stash.get(_STATE, None), _gate_of(item)
    if state is None or gate is None:
        return
    metric = state.asserted.get(item.nodeid)
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, AssertionError) and metric is not None:
        report.longrepr = state.explanation(gate.name, metric) or str(error)
    elif isinstance(error, IncompleteError):
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, f"Skipped: {error}")
        state.trouble(gate.name, str(error))
    elif isinstance(error, CtaiError):
        report.longrepr = str(error)
    elif trouble := disk_error_message(error):
        report.longrepr = trouble
    state.note(gate.name, metric, report)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Decide the last gate; a run in which any selected gate did not pass never exits with 0."""
    state = session.config.stash.get(_STATE, None)
    if state is None:
        return
    state.interrupted = exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
    if not state.interrupted:
        state.leave()
        if exitstatus == pytest.ExitCode.OK and not all(state.passed(name) for name in state.selected):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    with state.tells():
        state.run.session.note(
            f"session {state.run.session.session_id} ended with exit status {int(session.exitstatus)}"
        )
    if state.selected:
        state.write_page()


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int | None, int | None]:
    """When pytest has written its JUnit report, file it in the evidence and let the run directory go.

    What cannot be written is one sentence each, and no exit status of 0, whoever was to write it.
    """
    status: int | None = None
    pytest_wrote = True
    try:
        status = yield
    except OSError as error:  # of a file of pytest's own, such as the report where the user wants it
        if _STATE not in config.stash or not user_message(error):
            raise
        config.stash[_STATE].write_errors.append(user_message(error))
        pytest_wrote = False
    state = config.stash.get(_STATE, None)
    if state is None:
        return status
    with state.tells():
        if pytest_wrote:
            state.file_report(Path(config.option.xmlpath))
    with state.tells():
        state.run.close()
    signal.signal(signal.SIGTERM, state.on_sigterm)
    for sentence in state.write_errors:
        sys.stderr.write(f"ERROR: {sentence}\n")
    return (status or pytest.ExitCode.TESTS_FAILED) if state.write_errors else status


@pytest.fixture(scope="session")
def gate_run(request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]) -> "Run":
    """The run: configuration, directory, model and the stages. Writes the properties of the JUnit suite."""
    state = request.config.stash.get(_STATE, None)
    if state is None:
        pytest.fail("gates run with `pytest -m gates`", pytrace=False)
    run = state.run
    manager = request.config.pluginmanager.getplugin("capturemanager")
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and request.config.option.verbose >= 0:
        state.display.attach(reporter, manager)
    for name, value in run.suite_properties().items():
        record_testsuite_property(name, value)
    return run


@pytest.fixture
def judge(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> "Callable[[GateResult, str], Metric]":
    """Look a metric up, write it into the JUnit report, and hand it to the test that asserts it."""
    state = request.config.stash[_STATE]

    def look_up(measured: "GateResult", name: str) -> "Metric":
        metric = measured.metric(name)
        state.asserted[request.node.nodeid] = name
        for key, value in state.run.metric_properties(measured, metric).items():
            record_property(key, value)
        return metric

    return look_up


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say where the run lives and what of it is already there."""
    state = config.stash.get(_STATE, None)
    with _usage_errors():
        return state.run.header() if state else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """The table of gates: verdict, key numbers, time, where the evidence lies; how to go on after an interruption."""
    state = terminalreporter.config.stash.get(_STATE, None)
    if state is None or not state.selected:
        return
    terminalreporter.section("gates")
    for line in (*state.run.table(state.selected, state.verdicts, state.failure_reason), state.page):
        terminalreporter.write_line(line)
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        terminalreporter.write_line("interrupted: the same command goes on after the last finished batch")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Warn a user who names the gates' folder without selecting its mark, which would deselect everything."""
    folders = [session.config.invocation_params.dir / argument for argument in session.config.args]
    if session.config.rootpath / "tests" / "gates" in folders and not _selects_gates(session.config.option.markexpr):
        raise pytest.UsageError("tests/gates runs only with `-m gates`, because a plain run leaves the gates out")
