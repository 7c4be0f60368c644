"""Studies wanted from archives

Revision: 0004, follows 0003, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retrievals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("modalities", sa.JSON(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("issuer_of_patient_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", UtcDateTime(), nullable=True),
        sa.Column("not_before_at", UtcDateTime(), nullable=True),
        sa.Column("expected_count", sa.Integer(), nullable=True),
        sa.Column("received_count", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("wanted_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrievals")),
        sa.UniqueConstraint("archive", "study_instance_uid", "why", name=op.f("uq_retrievals_archive")),
    )
    op.create_index(op.f("ix_retrievals_study_instance_uid"), "retrievals", ["study_instance_uid"], unique=False)
    op.create_index("ix_retrievals_archive_state", "retrievals", ["archive", "state"], unique=False)
    op.create_index("ix_retrievals_archive_started_at", "retrievals", ["archive", "started_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_retrievals_archive_started_at", table_name="retrievals")
    op.drop_index("ix_retrievals_archive_state", table_name="retrievals")
    op.drop_index(op.f("ix_retrievals_study_instance_uid"), table_name="retrievals")
    op.drop_table("retrievals")
