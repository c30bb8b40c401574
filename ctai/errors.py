"""Errors that a user can act on, and messages for library and disk errors.

Any other exception is a bug and keeps its traceback.
"""

import errno

# Errors of the disk, not of the code, with their remedies.
_DISK_REMEDIES = {
    errno.ENOSPC: "Free space",
    errno.EDQUOT: "Free space or raise the quota",
    errno.EFBIG: "Raise the file size limit",
    errno.EROFS: "Make the file system writeable",
    errno.EACCES: "Grant permission",
    errno.EPERM: "Grant permission",
    errno.EIO: "Repair the disk",
    errno.ESTALE: "Mount the file system again",
}


class CtaiError(Exception):
    """Mistake of the user or bad input; the message is one sentence with the remedy."""


class ContaminationError(CtaiError):
    """Model, tokenizer or prompt that rules out a clean base model in completion mode."""


class ConfigError(CtaiError):
    """Invalid configuration; the message lists all problems at once."""


class PreconditionError(CtaiError):
    """Step requested without a passed verdict, or with inputs other than those that passed."""


class IncompleteError(CtaiError):
    """Requested part is complete, but the whole cannot be judged yet."""


def short_error(error: BaseException) -> str:
    """Return class and first line of a library's error, to be quoted in a message."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"


def disk_error_message(error: BaseException | None) -> str:
    """Return problem and remedy for an error of the disk (full, read-only, no permission); empty for any other error."""
    if not isinstance(error, OSError) or error.errno not in _DISK_REMEDIES:
        return ""
    problem = (error.strerror or "disk error").lower()
    return (
        f"{error.filename or 'a file'}: {problem}. {_DISK_REMEDIES[error.errno]} and rerun the same command to resume."
    )
