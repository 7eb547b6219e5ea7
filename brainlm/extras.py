"""Names that a package hands on, and which optional packages they need: an absent one is named in a sentence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import lazy_loader

from brainlm.errors import MissingPackageError


def attach(
    package: str, file: str, extra: str | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """The names of a package, each imported when it is first used.

    Parameters
    ----------
    package: its ``__name__``.
    file: its ``__file__``, beside which a stub (``__init__.pyi``) lists the names, for type checkers as well.
    extra: of the project, with the packages of others that some of the names need; None where none does.

    Returns
    -------
    The package's ``__getattr__``, ``__dir__`` and ``__all__``. The first raises MissingPackageError, as `needs`.
    """
    get, list_names, names = lazy_loader.attach_stub(package, file)
    if extra is None:
        return get, list_names, names

    def get_or_say(name: str) -> object:
        with needs(extra, f"{package}.{name}"):
            return get(name)

    return get_or_say, list_names, names


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Let an import say what it is needed for, and how to install it, if the module is not there.

    Parameters
    ----------
    extra: of the project, e.g. "lm".
    what: needs the module, e.g. "brainlm.lm.read_story".

    Raises
    ------
    MissingPackageError: a module that the block imports is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # A part of a package that is there, or of this one, is not missing for want of an extra.
        if not error.name or "." in error.name:
            raise
        raise missing_package(extra, what, error.name) from None


def missing_package(extra: str, what: str, package: str) -> MissingPackageError:
    """The error for what needs a package that is not there; `extra` and `what` are those of `needs`."""
    return MissingPackageError(
        f'{what} needs {package}, which is not installed: run `pip install "brainlm[{extra}]"`.'
    )
