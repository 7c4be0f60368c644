"""Who may come through an HTTP door: whoever has one of its bearer tokens, or whose certificate TLS has checked."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def no_scope(_authorization: str) -> bool:
    """Of a door that knows no tokens but those of its settings."""
    return False


def may_enter(authorization: str, tokens: Sequence[str], *, client_certificates: bool) -> bool:
    """Compare with every token in constant time; with none configured nobody enters, unless TLS has looked already.

    Args:
        authorization: the header of the request.
        tokens: any of these opens the door; an empty one opens nothing.
        client_certificates: TLS has checked a client certificate on every connection; no token is needed then.
    """
    if client_certificates:
        return True
    scheme, _, given = authorization.partition(" ")
    matches = [hmac.compare_digest(given.strip().encode(), token.encode()) for token in tokens if token]
    return scheme.lower() == "bearer" and any(matches)
