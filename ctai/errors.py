"""The errors that a user can do something about. Anything else is a bug and keeps its traceback."""


class CtaiError(Exception):
    """A user's mistake or a bad input: one clear sentence that says what to do."""


class ContaminationError(CtaiError):
    """The model, its tokenizer or a prompt is not what a clean base model in completion mode needs."""


class ConfigError(CtaiError):
    """The configuration cannot be used; the message lists every problem at once."""


class RefusedError(CtaiError):
    """A step was asked for without the passed verdict, or with other inputs than those that passed."""


class UnfinishedError(CtaiError):
    """A part was asked for and is done; the whole cannot be judged yet."""
