"""Identity of results: UIDs derived from what was read, by which model, into which kind. No randomness, no clock.

See docs/decisions/result-identity.md for what is in the digest and why.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def derived_uid(*parts: str) -> str:
    """A UID below 2.25 (PS3.5 B.2) that is the same for the same parts, and another for any other parts."""
    digest = hashlib.sha256(_joined(parts)).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def input_digest(study_instance_uid: str, sop_instance_uids: Iterable[str]) -> str:
    """What was read: sha256 over the study and the set of instances; their order does not count.

    The study is in it because public data sets carry SOP Instance UIDs that are not unique.
    """
    return hashlib.sha256(_joined([study_instance_uid, *sorted(set(sop_instance_uids))])).hexdigest()


def _joined(parts: Iterable[str]) -> bytes:
    """Parts with their lengths, so that no two lists of parts give the same bytes."""
    return b"".join(f"{len(part)}:{part};".encode() for part in parts)
