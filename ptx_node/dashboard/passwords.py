"""Passwords: hashed with argon2id (RFC 9106), checked in the same time whether or not there is somebody to check."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST = 12
LONGEST = 256
AT_ONCE = 2
"""Each hash takes 64 MiB and a core for a moment: more at once would only take the memory."""


class Passwords:
    """Hashes and checks, a few at a time. One for an application.

    Args:
        hasher: by default argon2id with 64 MiB, three passes and four lanes, RFC 9106's second recommendation.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._nobody = self._hasher.hash("nobody's password")

    def hash(self, password: str) -> str:
        """What is kept of a password."""
        with self._room:
            return self._hasher.hash(password)

    def fits(self, password_hash: str | None, password: str) -> bool:
        """Whether this is the password; of a user without one, or of nobody, the answer is no after the same work."""
        with self._room:
            try:
                self._hasher.verify(password_hash or self._nobody, password)
            except (Argon2Error, InvalidHashError):
                return False
        return password_hash is not None

    def renewed(self, password_hash: str, password: str) -> str | None:
        """A new hash where the kept one was made with weaker parameters than today's."""
        return self.hash(password) if self._hasher.check_needs_rehash(password_hash) else None


def problem(password: str, name: str) -> str | None:
    """What is wrong with a new password; None when nothing is. Length counts, kinds of characters do not (NIST SP 800-63B 5.1.1)."""
    checks: tuple[tuple[Callable[[], bool], str], ...] = (
        (lambda: len(password) < SHORTEST, f"a password has at least {SHORTEST} characters; a few words do well"),
        (lambda: len(password) > LONGEST, f"a password has at most {LONGEST} characters"),
        (lambda: len(set(password)) < 5, "this password is one character over and over"),  # noqa: PLR2004 - fewer are a pattern
        (lambda: bool(name) and name.casefold() in password.casefold() and len(password) - len(name) < 8, "a password is not the name"),  # noqa: PLR2004
    )
    return next((text for wrong, text in checks if wrong()), None)
