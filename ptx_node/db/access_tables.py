"""The tables of who may enter the dashboard and the doors: people, their sessions and links, tokens of programs.

Of every secret only a hash is here: who reads the database cannot come in with what it holds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ptx_node.db.tables import Id, Instance, Table


class User(Table):
    """Somebody who may come to the dashboard. `password_hash` is null until the one-time link is used, and of users from elsewhere.

    `source` is local, oidc or proxy; `subject` is who they are there (issuer and sub of OpenID Connect).
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    role: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text, unique=True)
    password_hash: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    password_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class LoginLink(Table):
    """A one-time link by which a user sets a password; without a user it makes the first administrator. Only its hash is kept."""

    __tablename__ = "login_links"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class WebSession(Table):
    """A browser that has signed in. The cookie is not kept, only its hash; a row that ended stays until housekeeping takes it."""

    __tablename__ = "web_sessions"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"), index=True)
    how: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]


class LoginFlow(Table):
    """A sign-in at an OpenID provider that has begun: what its answer must fit. Kept for minutes."""

    __tablename__ = "login_flows"

    state_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    visit_sha256: Mapped[str] = mapped_column(String(64))
    nonce: Mapped[str] = mapped_column(Text)
    code_verifier: Mapped[str] = mapped_column(Text)
    next_path: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LoginAttempts(Table):
    """Failed sign-ins of one account or one address, whether or not the account exists: `key` is a hash of either."""

    __tablename__ = "login_attempts"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None]


class ApiToken(Table):
    """A program that may come in, and for what (`ptx_node.domain.access.Permission`). Only the token's hash is kept."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[Any]]
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


# What the dashboard's first page and its search ask of the large tables.
Index("ix_instances_sender", Instance.calling_ae, Instance.source, Instance.received_at)
Index("ix_instances_accession_number", Instance.accession_number)
