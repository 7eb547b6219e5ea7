"""How many TRs the nulls need that turn time around in a circle."""

from brainlm.errors import InputError, TooLittleDataError

N_NULL_SHIFTS = 199
"""Of the null of latents that are found again, at most."""
FEWEST_NULL_SHIFTS = 99
"""With fewer, nothing can exceed all but 1 %."""
N_CHANCE_SHIFTS = 20
"""Shifts besides those of the null, at which the share of latents found again by chance is measured."""


def n_shifts(n_rows: int, minimum_shift: int) -> int:
    """Circular shifts of at least `minimum_shift` of `n_rows` rows, either way."""
    return max(n_rows - 2 * minimum_shift + 1, 0)


def require_shifts(n_rows: int, minimum_shift: int) -> None:
    """Check that rows can be turned around in a circle by at least `minimum_shift`, either way.

    Raises
    ------
    InputError: too few rows.
    """
    if n_shifts(n_rows, minimum_shift) == 0:
        raise InputError(
            f"{n_rows} test TRs leave no circular shift of at least {minimum_shift} TRs for a null: "
            "use more or longer test stories, or lower the minimum shift."
        )


def require_shifts_to_match(n_rows: int, minimum_shift: int) -> None:
    """Check that rows can be turned around in as many ways as it takes to tell which latents are found again.

    Raises
    ------
    TooLittleDataError: too few rows.
    """
    possible, fewest = n_shifts(n_rows, minimum_shift), FEWEST_NULL_SHIFTS + N_CHANCE_SHIFTS
    if possible < fewest:
        raise TooLittleDataError(
            f"{n_rows} test TRs leave {possible} circular shifts of at least {minimum_shift} TRs "
            f"(the minimum shift), but {fewest} are needed to tell which latents are found again: give the test "
            f"split {2 * minimum_shift + fewest - 1} TRs or more."
        )
