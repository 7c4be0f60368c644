"""Who may do what: roles of people, permissions, and the scopes of tokens. What one table does not name is not allowed."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,62}[a-z0-9]|[a-z0-9]")
TOKEN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Permission(StrEnum):
    """What a page, a button or a door asks for.

    status: the node as a whole, without patients. find: studies and their way through the node. patients: their numbers, UIDs
    and times, which are replaced for whoever lacks it. operate: retry, send again, suspend. review: decide on labels and
    findings. rules: try rules. models: a site's own thresholds. export: build and fetch packages for auditors. audit: the audit
    trail. users: people and tokens. metrics: figures for a monitoring program. stow, fhir: bring instances or reports in.
    """

    STATUS = "status"
    FIND = "find"
    PATIENTS = "patients"
    OPERATE = "operate"
    REVIEW = "review"
    RULES = "rules"
    MODELS = "models"
    EXPORT = "export"
    AUDIT = "audit"
    USERS = "users"
    METRICS = "metrics"
    STOW = "stow"
    FHIR = "fhir"


class Role(StrEnum):
    """What a person is here for. An auditor sees everything, and no patient."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    REVIEWER = "reviewer"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


DOORS = frozenset({Permission.STOW, Permission.FHIR})
"""Permissions of programs only: no person has them."""

_SEE = frozenset({Permission.STATUS, Permission.FIND, Permission.PATIENTS})

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _SEE,
    Role.OPERATOR: _SEE | {Permission.OPERATE, Permission.RULES, Permission.METRICS},
    Role.REVIEWER: _SEE | {Permission.REVIEW},
    Role.AUDITOR: frozenset({Permission.STATUS, Permission.FIND, Permission.AUDIT, Permission.EXPORT, Permission.METRICS}),
    Role.ADMINISTRATOR: frozenset(Permission) - DOORS,
}


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who has shown who they are.

    Attributes:
        actor: as the audit trail names them: `user anna`, `token grafana`.
        name: without that word.
        role: None of a token.
        permissions: of the role, or the scopes of the token.
        user_id: None of a token.
    """

    actor: str
    name: str
    role: Role | None
    permissions: frozenset[Permission]
    user_id: int | None = None

    def may(self, permission: Permission) -> bool:
        """Whether they have this permission."""
        return permission in self.permissions


def person(user_id: int, name: str, role: Role) -> Who:
    """A user, with the permissions of the role."""
    return Who(f"user {name}", name, role, PERMISSIONS[role], user_id)


def program(name: str, scopes: frozenset[Permission]) -> Who:
    """Whoever holds a token."""
    return Who(f"token {name}", name, None, scopes)


def folded(name: str) -> str:
    """A user's name as it is kept and compared: one spelling of each character, lower case, no space around."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def name_problem(name: str) -> str | None:
    """What is wrong with a folded name of a user; None when nothing is."""
    if NAME.fullmatch(name):
        return None
    return "a name has 1 to 64 letters a to z, digits and . _ @ + - and begins and ends with a letter or digit"


def highest(roles: frozenset[Role]) -> Role | None:
    """Of several roles that claims give, the one that counts: an auditor's never adds to another, it stands alone.

    Who is an auditor and something else is the something else: that a person sees patients is decided by the other role.
    """
    for role in (Role.ADMINISTRATOR, Role.OPERATOR, Role.REVIEWER, Role.VIEWER, Role.AUDITOR):
        if role in roles:
            return role
    return None
