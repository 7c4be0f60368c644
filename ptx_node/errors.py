"""The error tree. Each class says whether trying again can help; every message says what happened and what to do.

PtxError
├── UsageError               the command line or a configuration file is wrong: exit code 2
│   └── ConfigurationError   a setting, a rule or a destination is wrong
├── RetryableError           the same work may succeed later, unchanged
│   ├── StorageFullError     no room below the watermark
│   ├── DatabaseUnavailableError
│   └── DestinationUnavailableError   the peer does not answer, or refuses for now
└── PermanentError           the same work fails the same way again
    ├── InputError           the instance itself cannot be used; carries a coded reason
    ├── ModelError           the bundle is missing, altered, or cannot be run
    └── DestinationRefusedError       the peer answered that it will not take the instance
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

from typing import ClassVar


class PtxError(Exception):
    """Root of all errors that ptx-node raises on purpose."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1


class UsageError(PtxError):
    """What was asked for is not valid; nothing was done."""

    exit_code = 2


class ConfigurationError(UsageError):
    """A setting, a rule or a destination in the configuration is wrong."""


class RetryableError(PtxError):
    """The same work may succeed later, unchanged."""

    retryable = True


class StorageFullError(RetryableError):
    """Free space is below the watermark; nothing was written."""


class DatabaseUnavailableError(RetryableError):
    """The database does not answer or refused the transaction."""


class QueryTimeoutError(DatabaseUnavailableError):
    """The database ended a query that took longer than it may; the same question may take as long again, a smaller one less."""


class DestinationUnavailableError(RetryableError):
    """A destination cannot be reached, or refuses for now."""


class PermanentError(PtxError):
    """The same work fails the same way again; a person has to change something."""


class InputError(PermanentError):
    """An instance cannot be used.

    Args:
        reason: value of `ptx_node.domain.eligibility.Reason`, kept as text so that this module stays at the bottom.
        detail: what was seen, for a person; without patient data.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ModelError(PermanentError):
    """A model bundle is missing, altered, or cannot be run."""


class DestinationRefusedError(PermanentError):
    """A destination answered that it will not take the instance."""


@contextmanager
def writing_below(folder: Path) -> Iterator[None]:
    """Commands that write files for a person: what the system refuses becomes one line with the place and what to do.

    Raises:
        StorageFullError: no space is left.
        UsageError: the folder, or a file in it, cannot be made or written.
    """
    try:
        yield
    except OSError as error:
        # pydicom raises a new OSError around the system's, with its trace as text and without a number.
        if error.errno in {errno.ENOSPC, errno.EDQUOT} or "No space left" in str(error):
            raise StorageFullError(f"{folder}: no space is left on the device. Make room and give the same command again") from error
        raise UsageError(
            f"{folder} cannot be written: {error.strerror or (str(error).splitlines() or ['refused'])[0]} ({error.filename or folder})"
        ) from error
