"""Audit trail

Revision: 0002, follows 0001, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.append_only import statements, undo
from ptx_node.db.tables import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_events")),
    )
    op.create_index(op.f("ix_audit_events_recorded_at"), "audit_events", ["recorded_at"], unique=False)
    for statement in statements("audit_events", "sequence", op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    op.drop_index(op.f("ix_audit_events_recorded_at"), table_name="audit_events")
    op.drop_table("audit_events")
    for statement in undo("audit_events", op.get_bind().dialect.name):
        op.execute(statement)
