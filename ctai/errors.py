"""The errors that a user can do something about. Anything else is a bug and keeps its traceback."""

import errno

# What a disk, and no bug, answers: full, over quota, too large, read-only, not permitted, broken.
_DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}
)


class CtaiError(Exception):
    """A user's mistake or a bad input: one clear sentence that says what to do."""


class ContaminationError(CtaiError):
    """The model, its tokenizer or a prompt is not what a clean base model in completion mode needs."""


class ConfigError(CtaiError):
    """The configuration cannot be used; the message lists every problem at once."""


class PreconditionError(CtaiError):
    """A step was asked for without the passed verdict, or with other inputs than those that passed."""


class IncompleteError(CtaiError):
    """A part was asked for and is done; the whole cannot be judged yet."""


def short_error(error: BaseException) -> str:
    """Class and first line of an error that a library raised, for a sentence about it."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"


def disk_error_message(error: BaseException | None) -> str:
    """One sentence for an error that a disk gave (full, read-only, not permitted); empty for any other, which is a bug."""
    if not isinstance(error, OSError) or error.errno not in _DISK_ERRORS:
        return ""
    where = error.filename or "a file"
    return f"cannot use {where}: {error.strerror}; when that is mended, the same command goes on where this one stopped"
