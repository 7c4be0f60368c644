"""Alembic's entry: runs revisions on the connection that ptx_node.db.schema hands over, or on an address from `-x url=…`."""

from typing import Any, Literal

from alembic import context

from ptx_node.db.session import open_engine
from ptx_node.db.tables import Table, UtcDateTime


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Write our UTC time by its short name in new revisions."""
    if kind == "type" and isinstance(item, UtcDateTime):
        autogen_context.imports.add("from ptx_node.db.tables import UtcDateTime")
        return "UtcDateTime()"
    return False


connection = context.config.attributes.get("connection")
if connection is None:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        raise SystemExit("Use `ptx db upgrade`, or give an address: alembic -x url=sqlite:///ptx.db …")
    connection = open_engine(url).connect()

context.configure(
    connection=connection,
    target_metadata=Table.metadata,
    render_item=render_item,
    compare_type=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
