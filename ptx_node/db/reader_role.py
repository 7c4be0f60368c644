"""The PostgreSQL role of a site's dashboards: it may read the views and nothing else."""

from __future__ import annotations

from ptx_node.db import views

LONGEST_ANSWER_S = 30
CONNECTIONS = 20


def statements(role: str) -> list[str]:
    r"""What an administrator runs in the node's database to make `role`, and again after an upgrade that brought new views.

    Args:
        role: lower-case letters, digits and underscores, so that it needs no quotes.

    It gets no password here: `\password` of psql gives it one that stands in no file and no history. That the answers are limited in
    time keeps a careless dashboard from slowing the node; the role itself could lift that limit, not what it may read.
    """
    granted = ", ".join(views.names())
    return [
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} LOGIN; END IF; END $$",
        f"ALTER ROLE {role} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT {CONNECTIONS}",
        f"ALTER ROLE {role} SET default_transaction_read_only = on",
        f"ALTER ROLE {role} SET statement_timeout = '{LONGEST_ANSWER_S}s'",
        f"ALTER ROLE {role} SET timezone = 'UTC'",
        "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO {role}', current_database()); END $$",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT ON {granted} TO {role}",
    ]
