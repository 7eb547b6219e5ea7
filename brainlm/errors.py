"""The errors that a user is meant to read."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something is wrong with what the user gave: a file, a setting, a model.

    Its message is one sentence or two for a scientist: which file or setting, what is wrong, what to do.
    Programs print it without a traceback.
    """


class TooLittleDataError(InputError):
    """Nothing is wrong with the data, but there is too little for what was asked of them.

    Where it is one question among others, the answer is this sentence, and the others can still be asked.
    """


class MissingPackageError(InputError, ImportError):
    """A package that only some of the library needs is not installed; the message says how to install it."""


@contextmanager
def about(what: str) -> Iterator[None]:
    """Let the sentence of an InputError begin with what it is about: "story forest: …"."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error.__cause__


def one_line(error: BaseException) -> str:
    """What a library's error says, on one line and not longer than 300 characters; its kind if it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__
