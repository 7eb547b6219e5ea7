"""What is said where an optional package is absent; tests/test_wheel.py asks it of every name of the library."""

from importlib import import_module

import pytest

from brainlm.errors import InputError, MissingPackageError
from brainlm.extras import needs


def test_a_package_that_is_absent_is_named_with_the_extra_that_brings_it():
    with pytest.raises(MissingPackageError) as caught, needs("maps", "A map"):
        import_module("no_such_package.part")
    assert str(caught.value) == (
        'A map needs no_such_package, which is not installed: run `pip install "brainlm[maps]"`.'
    )
    # A program prints it as a sentence; who tries whether something can be imported finds that it cannot.
    assert isinstance(caught.value, InputError) and isinstance(caught.value, ImportError)


def test_a_part_that_an_installed_package_lacks_is_no_want_of_an_extra():
    with pytest.raises(ModuleNotFoundError, match="numpy.no_such_part") as caught, needs("maps", "A map"):
        import_module("numpy.no_such_part")
    assert not isinstance(caught.value, InputError)


def test_what_else_goes_wrong_is_left_as_it_is():
    with pytest.raises(ZeroDivisionError), needs("maps", "A map"):
        raise ZeroDivisionError
