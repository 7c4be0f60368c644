"""Random secrets that people and programs carry, and what is kept of them: a hash that does not lead back."""

from __future__ import annotations

import hashlib
import secrets

SECRET_BYTES = 32


def new_secret(prefix: str = "") -> str:
    """A secret of 256 random bits as text that fits addresses, headers and cookies."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def kept(secret: str) -> str:
    """What the database keeps of it. No salt and no slow hash: 256 random bits cannot be guessed.

    Finding a row by this hash tells nothing by its timing either, since nobody can choose the hash.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
