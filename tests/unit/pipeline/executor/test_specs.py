"""Executors: values of `--workers`, and the default by device."""

import sys

import pytest

from ctai.errors import ConfigError, CtaiError
from ctai.pipeline.executor.specs import LOCAL, ExecutorSpec, default_executor, parse_executor

pytestmark = pytest.mark.unit


def test_workers_are_read():
    pytest.importorskip("ray")
    assert parse_executor(None) is None
    assert parse_executor("ray") == ExecutorSpec(LOCAL, 0)
    assert parse_executor("3") == ExecutorSpec(LOCAL, 3)
    assert parse_executor("ray://head:10001") == ExecutorSpec("ray://head:10001")
    assert parse_executor("head:6379") == ExecutorSpec("head:6379")


@pytest.mark.parametrize("text", ["0", "-2", "ray:", "ray://", "ray://head", "head", "head:", ":6379"])
def test_workers_that_are_none_are_one_sentence(text):
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match="Write here, ray, a number of workers"):
        parse_executor(text)


def test_without_ray_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CtaiError, match=r"--workers 2 needs Ray\. Run pip install 'ctai\[ray\]'"):
        parse_executor("2")
    assert parse_executor("here") == ExecutorSpec()
    assert default_executor("cuda", lambda: 8) == ExecutorSpec()


def test_several_gpus_are_used_without_being_asked():
    pytest.importorskip("ray")
    assert default_executor("cuda", lambda: 2) == ExecutorSpec(LOCAL)
    assert default_executor("cuda", lambda: 1) == ExecutorSpec()
    assert default_executor("cpu", lambda: 2) == ExecutorSpec()
