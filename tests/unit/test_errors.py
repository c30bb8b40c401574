"""Messages for errors of a disk or a library."""

import errno
import os

import pytest

from ctai.errors import disk_error_message, short_error

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "/run/a: no space left on device. Free space and rerun the same command to resume."),
        (
            errno.EROFS,
            "/run/a: read-only file system. Make the file system writeable and rerun the same command to resume.",
        ),
        (errno.EACCES, "/run/a: permission denied. Grant permission and rerun the same command to resume."),
    ],
)
def test_disk_error_message_has_problem_and_remedy(number, message):
    assert disk_error_message(OSError(number, os.strerror(number), "/run/a")) == message


def test_disk_error_message_without_a_file_name():
    assert disk_error_message(OSError(errno.EIO, "Input/output error")).startswith("a file: input/output error. ")


@pytest.mark.parametrize("error", [None, ValueError("bug"), FileNotFoundError(errno.ENOENT, "No such file", "/run/a")])
def test_disk_error_message_is_empty_for_other_errors(error):
    assert disk_error_message(error) == ""


def test_short_error_is_class_and_first_line():
    assert short_error(ValueError("first\nsecond")) == "ValueError: first"
    assert short_error(ValueError()) == "ValueError: "
