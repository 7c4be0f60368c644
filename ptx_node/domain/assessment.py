"""What a person says of a finding, in the three words of IHE AI Results Assessment: accept, modify, reject."""

from __future__ import annotations

from enum import StrEnum


class Assessment(StrEnum):
    """One of the three words. It never changes the finding: what the model said stays as it was sent."""

    ACCEPT = "accept"
    MODIFY = "modify"
    """It is there, and not as the model says: the side that the person names is in `laterality`, the rest in the note."""
    REJECT = "reject"
