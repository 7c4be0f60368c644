"""The folder destination: one Part 10 file an instance, complete or absent, named by its SOP Instance UID."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import TYPE_CHECKING

from ptx_node.domain.delivery import Answer, Arrival, Proof, Verdict
from ptx_node.errors import DestinationUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ptx_node.domain.delivery import Outgoing

UID = re.compile(r"[0-9.]{1,64}")


class Folder:
    """A folder that something else reads. Files appear under their name when whole; names that start with a dot are not."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    def send(self, batch: Sequence[Outgoing]) -> list[Answer]:
        """Write files: temporary file, fsync, rename, fsync of the folder once for the batch.

        Raises:
            DestinationUnavailableError: the folder cannot be made or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            answers = [self._write(item) for item in batch]
            _sync(self.folder)
        except OSError as error:
            raise DestinationUnavailableError(f"{self.folder} cannot be written: {error}. Check its rights and room") from error
        return answers

    def _write(self, item: Outgoing) -> Answer:
        if not UID.fullmatch(item.sop_instance_uid):
            return Answer(Verdict.REFUSED, "name", "the SOP Instance UID is not one, and is not used as a file name")
        temporary = self.folder / f".{item.sop_instance_uid}.part"
        try:
            with item.path.open("rb") as source, temporary.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            temporary.replace(self._path(item))
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        return Answer(Verdict.ACCEPTED, "written")

    def echo(self) -> str:
        """Verify that a file can be written.

        Raises:
            DestinationUnavailableError: it cannot.
        """
        probe = self.folder / ".ptx-probe"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise DestinationUnavailableError(f"{self.folder} cannot be written: {error.strerror}. Check its rights and room") from error
        return f"{self.folder} can be written"

    def prove(self, batch: Sequence[Outgoing], *, transaction_uid: str | None) -> list[Proof]:  # noqa: ARG002 - the protocol's
        """It was on the disk before it was accepted: nothing is left to ask, and whoever reads the folder may take it away."""
        return [Proof(Arrival.PROVEN, "folder")] * len(batch)

    def _path(self, item: Outgoing) -> Path:
        return self.folder / f"{item.sop_instance_uid}.dcm"


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
