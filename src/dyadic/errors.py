"""The error that a user can act on: one line, exit code 2, no traceback."""


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
