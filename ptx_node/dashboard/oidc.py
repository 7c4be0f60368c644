"""Signing in at an OpenID provider: authorization code with PKCE (RFC 7636), the ID token checked, roles from its claims.

Only here does the dashboard's server speak to another machine, and only to the provider of the settings.
"""

from __future__ import annotations

import secrets
import time
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
from fastapi import APIRouter, HTTPException, Request, Response
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete
from starlette.responses import RedirectResponse

from ptx_node import log
from ptx_node.dashboard.arrival import begin_visit, keep_visit, let_in, note_failure
from ptx_node.dashboard.entry import open_to_anybody, own_path, visit_secret
from ptx_node.dashboard.parts import PartsOf
from ptx_node.db import users
from ptx_node.db.access_tables import LoginFlow
from ptx_node.db.secret_text import kept
from ptx_node.db.session import begin_write, now
from ptx_node.domain.access import highest

with warnings.catch_warnings(record=True):  # it announces that a later version will ask for another HTTP client
    from authlib.integrations.httpx_client import OAuth2Client, OAuthError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ptx_node.dashboard.parts import Oidc, Parts

logger = log.get(__name__)

router = APIRouter(include_in_schema=False)

FLOW_LIFE = timedelta(minutes=10)
TIMEOUT_S = 10.0
CLOCK_LEEWAY_S = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Signatures with a public key only: `none`, and a shared secret as the key, are no proof."""
CALLBACK = "/sign-in/oidc/callback"
REFUSED = "The sign-in at the provider did not succeed. Begin again; if it happens again, the dashboard's log says why."


@router.get("/sign-in/oidc", dependencies=[open_to_anybody()])
def begin(request: Request, parts: PartsOf, next: str = "/") -> Response:  # noqa: A002 - the address's own word
    """Send the browser to the provider."""
    provider = _provider(parts)
    described = _described(provider)
    begin_visit(request)
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    with _client(parts, provider) as client:
        address, state = client.create_authorization_url(described["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
    with begin_write(parts.engine) as session:
        session.execute(delete(LoginFlow).where(LoginFlow.expires_at < now()))  # anybody may begin: what nobody can end takes no room
        session.add(
            LoginFlow(
                state_sha256=kept(state),
                visit_sha256=kept(visit_secret(request)),
                nonce=nonce,
                code_verifier=verifier,
                next_path=own_path(next),
                expires_at=now() + FLOW_LIFE,
            )
        )
    response = RedirectResponse(address, 303)
    keep_visit(request, response)
    return response


@router.get(CALLBACK, dependencies=[open_to_anybody()])
def callback(request: Request, parts: PartsOf, state: str = "", code: str = "", iss: str = "") -> Response:
    """The browser comes back: fetch the ID token, check it, and let the person in with the role that the claims give."""
    provider = _provider(parts)
    with begin_write(parts.engine) as session:
        flow = _take(session, state, visit_secret(request))
    if flow is None or not code or (iss and iss != provider.issuer):
        logger.warning("an answer of a provider that nobody had asked for, or that refuses", code=bool(code))
        raise HTTPException(403, REFUSED)
    try:
        claims = _claims(parts, provider, flow, code)
    except (OAuthError, JoseError, httpx.HTTPError, KeyError, ValueError) as error:
        logger.warning("sign-in at the provider refused", issuer=provider.issuer, error=f"{type(error).__name__}: {error}")
        note_failure(request, "refused", how="oidc")
        raise HTTPException(403, REFUSED) from error
    role = highest(frozenset(provider.roles[one] for one in told(claims, provider.roles_claim) if one in provider.roles))
    name = next(iter(told(claims, provider.name_claim)), "") or str(claims["sub"])
    if role is None:
        note_failure(request, "refused", how="oidc")
        raise HTTPException(
            403, f"{name} has no role on this node: the provider's claim {provider.roles_claim!r} names none that the settings know"
        )
    with begin_write(parts.engine) as session:
        user = users.known_elsewhere(session, f"{provider.issuer}|{claims['sub']}", name, role, source="oidc", now=now())
        return let_in(session, request, user, how="oidc", next_path=flow.next_path)


def _take(session: Session, state: str, visit: str) -> LoginFlow | None:
    """The sign-in that this answer belongs to; it is taken away, so that an answer works once, and in the browser that asked."""
    flow = session.get(LoginFlow, kept(state), with_for_update=True)
    if flow is None:
        return None
    session.delete(flow)
    return flow if flow.expires_at > now() and visit and flow.visit_sha256 == kept(visit) else None


def _claims(parts: Parts, provider: Oidc, flow: LoginFlow, code: str) -> dict[str, Any]:
    """What the provider says of the person: the ID token's claims, and the user info's beside them."""
    described = _described(provider)
    with _client(parts, provider) as client:
        token = client.fetch_token(described["token_endpoint"], code=code, code_verifier=flow.code_verifier)
        claims = check_id_token(token["id_token"], _keys(described["jwks_uri"]), provider, nonce=flow.nonce)
        if "userinfo_endpoint" in described and not told(claims, provider.roles_claim):
            more = _object(client.get(described["userinfo_endpoint"]))
            if more.get("sub") != claims["sub"]:  # OpenID Connect Core 5.3.2
                raise ValueError("the user info is of somebody else")
            claims = more | claims
    return claims


def check_id_token(text: str, keys: KeySet, provider: Oidc, *, nonce: str) -> dict[str, Any]:
    """The claims of an ID token that is signed by the provider, for us, now, and for this sign-in (OpenID Connect Core 3.1.3.7).

    Raises:
        JoseError: signature, issuer, audience, time or nonce are not right.
        ValueError: it is for several parties, and was made for another of them.
    """
    claims = dict(jwt.decode(text, keys, algorithms=ALGORITHMS).claims)
    jwt.JWTClaimsRegistry(
        leeway=CLOCK_LEEWAY_S,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.client_id},
        sub={"essential": True},
        exp={"essential": True},
        nonce={"essential": True, "value": nonce},
    ).validate(claims)
    if claims.get("azp", provider.client_id) != provider.client_id:
        raise ValueError("the ID token was made for another party")
    return claims


def told(claims: dict[str, Any], path: str) -> list[str]:
    """The values of a claim as text; dots lead into objects."""
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return [str(one) for one in (found if isinstance(found, list) else [found]) if one not in (None, "")]


def _provider(parts: Parts) -> Oidc:
    if parts.terms.oidc is None:
        raise HTTPException(404, "this node has no OpenID provider: see dashboard.oidc")
    return parts.terms.oidc


def _client(parts: Parts, provider: Oidc) -> OAuth2Client:
    return OAuth2Client(
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        token_endpoint_auth_method="client_secret_basic" if provider.client_secret else "none",
        scope=" ".join(provider.scopes),
        redirect_uri=parts.terms.base_url + CALLBACK,
        code_challenge_method="S256",
        timeout=TIMEOUT_S,
    )


DESCRIPTION_LIFE_S = 600.0
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_kept_descriptions: dict[str, tuple[float, dict[str, Any]]] = {}


def _described(provider: Oidc) -> dict[str, Any]:
    """The provider's own description (OpenID Connect Discovery 4), kept for minutes."""
    at, kept_one = _kept_descriptions.get(provider.issuer, (0.0, {}))
    if kept_one and time.monotonic() - at < DESCRIPTION_LIFE_S:
        return kept_one
    address = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        described = _object(httpx.get(address, timeout=TIMEOUT_S))
    except (httpx.HTTPError, ValueError) as error:
        logger.warning("the OpenID provider does not answer", issuer=provider.issuer, error=str(error))
        raise HTTPException(503, "The OpenID provider does not answer. Local accounts can still sign in.") from error
    if described.get("issuer") != provider.issuer:
        raise HTTPException(
            503, f"The OpenID provider calls itself {described.get('issuer')!r}: set dashboard.oidc.issuer to exactly that."
        )
    if lacking := [one for one in NEEDED if not isinstance(described.get(one), str)]:
        raise HTTPException(503, f"The OpenID provider's description lacks {', '.join(lacking)}. Local accounts can still sign in.")
    _kept_descriptions[provider.issuer] = (time.monotonic(), described)
    return described


def _keys(address: str) -> KeySet:
    keys = _object(httpx.get(address, timeout=TIMEOUT_S))
    if not isinstance(keys.get("keys"), list):
        raise ValueError("the provider's keys are no key set")  # noqa: TRY004 - of a message, not of our own call
    return KeySet.import_key_set({"keys": keys["keys"]})


def _object(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object that a provider answers.

    Raises:
        httpx.HTTPError: it answers that it will not.
        ValueError: it is no JSON, or no object.
    """
    told = answer.raise_for_status().json()
    if not isinstance(told, dict):
        raise ValueError("the answer is no JSON object")  # noqa: TRY004 - of a message, not of our own call
    return told
