"""Conditions, and notices of them to people; how far the audit trail was verified

Revision: 0015, follows 0014, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("ended_at IS NULL")
UNTOLD = sa.text("state IN ('waiting', 'sending')")


def upgrade() -> None:
    op.create_table(
        "notice_conditions",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("began_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_conditions")),
        sa.UniqueConstraint("uuid", name=op.f("uq_notice_conditions_uuid")),
    )
    op.create_index(
        "uq_notice_conditions_open", "notice_conditions", ["kind", "subject"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_table(
        "notices",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("condition_id", ID, nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("studies", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=False),
        sa.Column("deadline_at", UtcDateTime(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("queued_at", UtcDateTime(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["condition_id"], ["notice_conditions.id"], name=op.f("fk_notices_condition_id_notice_conditions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("uuid", name=op.f("uq_notices_uuid")),
        sa.UniqueConstraint("condition_id", "receiver", "recipient", "step", "number", name=op.f("uq_notices_condition_id")),
    )
    op.create_index("ix_notices_queued_at", "notices", ["queued_at"])
    op.create_index("ix_notices_untold", "notices", ["receiver", "id"], sqlite_where=UNTOLD, postgresql_where=UNTOLD)
    op.create_table(
        "audit_checks",
        sa.Column("id", ID, nullable=False),
        sa.Column("head_sequence", sa.BigInteger(), nullable=False),
        sa.Column("head_sha256", sa.String(64), nullable=False),
        sa.Column("pass_sequence", sa.BigInteger(), nullable=False),
        sa.Column("pass_sha256", sa.String(64), nullable=False),
        sa.Column("pass_began_at", UtcDateTime(), nullable=False),
        sa.Column("passed_at", UtcDateTime(), nullable=True),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
        sa.Column("broken_sequence", sa.BigInteger(), nullable=True),
        sa.Column("broken_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_checks")),
    )


def downgrade() -> None:
    op.drop_table("audit_checks")
    op.drop_table("notices")
    op.drop_table("notice_conditions")
