"""What the network saw of each finding's images, for the watch over drift

Revision: 0018, follows 0017, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "finding_embeddings",
        sa.Column("finding_id", ID, autoincrement=False, nullable=False),
        sa.Column("weights_sha256", sa.String(64), nullable=False),
        sa.Column("inferred_at", UtcDateTime(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_finding_embeddings_finding_id_findings")),
        sa.PrimaryKeyConstraint("finding_id", name=op.f("pk_finding_embeddings")),
    )
    op.create_index(op.f("ix_finding_embeddings_inferred_at"), "finding_embeddings", ["inferred_at"])


def downgrade() -> None:
    op.drop_table("finding_embeddings")
