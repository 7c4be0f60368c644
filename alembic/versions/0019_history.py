"""Who had a study's jobs and deliveries done again, and how far deliveries had come before

Revision: 0019, follows 0018, 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "interventions",
        sa.Column("id", ID, nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("intervened_at", UtcDateTime(), nullable=False),
        sa.Column("intervened_by", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interventions")),
    )
    op.create_index(op.f("ix_interventions_study_instance_uid"), "interventions", ["study_instance_uid"])
    op.create_table(
        "earlier_sendings",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("accepted_at", UtcDateTime(), nullable=True),
        sa.Column("committed_at", UtcDateTime(), nullable=True),
        sa.Column("given_up_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_earlier_sendings_delivery_id_deliveries")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earlier_sendings")),
    )
    op.create_index(op.f("ix_earlier_sendings_delivery_id"), "earlier_sendings", ["delivery_id"])


def downgrade() -> None:
    op.drop_table("earlier_sendings")
    op.drop_table("interventions")
