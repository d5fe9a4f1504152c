"""The error that a user can act on: one line, exit code 2, no traceback."""


class UserError(Exception):
    """What is wrong and what would be right, in one line.

    Raised for a wrong configuration value, a missing file, an infeasible budget or a network that
    a method cannot handle. The entry points print it without a traceback and exit with 2.
    """
