"""The log of a run, which never stops or spoils the run."""

import logging


class RunLog(logging.FileHandler):
    """Writes `run.log` from the first line on; where it cannot be written, the terminal has all.

    A finished run of another user is read, and a disk may be full.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        pass
