"""The error that a user can act on: one line, exit code 2, no traceback."""

from collections.abc import Sequence


class UserError(ValueError):
    """What is wrong and what would be right, in one line.

    Raised for a wrong value, a missing file, an infeasible budget or a network that a method cannot
    handle. The commands print it without a traceback and exit with 2.
    """


def first_line(error: BaseException) -> str:
    r"""The first line of what an error says; its kind, where it says nothing.

    >>> first_line(ValueError("wrong\nat length")), first_line(EOFError())
    ('wrong', 'EOFError')
    """
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def check_least(least: int, **values: float) -> None:
    """Raise UserError for the first value below `least`, with the name of its argument.

    >>> check_least(1, epochs=0)
    Traceback (most recent call last):
    dyadic.errors.UserError: epochs=0; it must be at least 1
    """
    for name, value in values.items():
        if value < least:
            raise UserError(f"{name}={value}; it must be at least {least}")


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Raise UserError unless value is one of the choices."""
    if value not in choices:
        raise UserError(f"{name}={value}; it is one of {', '.join(map(str, choices))}")
