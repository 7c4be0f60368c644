"""What waits for a reconciliation is looked at by day of examination

Revision: 0006, follows 0005, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WAITING = {"examinations": "finding_id", "radiology_reports": "id"}


def upgrade() -> None:
    for table, number in WAITING.items():
        _index(table, ["examined_on", number])


def downgrade() -> None:
    for table, number in WAITING.items():
        _index(table, [number])


def _index(table: str, columns: list[str]) -> None:
    name = f"ix_{table}_unreconciled"
    op.drop_index(name, table_name=table)
    waiting = sa.text("reconcile_needed")
    op.create_index(name, table, columns, sqlite_where=waiting, postgresql_where=waiting)
