"""Truth of other kinds than the radiology report's: readers' labels and masks

Revision: 0009, follows 0008, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "truths",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("patient_authority", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("laterality", sa.Text(), nullable=True),
        sa.Column("size", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("read_at", UtcDateTime(), nullable=True),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("imported_by", sa.Text(), nullable=False),
        sa.Column("imported_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_truths")),
        sa.UniqueConstraint("content_sha256", name=op.f("uq_truths_content_sha256")),
    )
    op.create_index("ix_truths_name", "truths", ["name", "level"])
    op.create_table(
        "mask_figures",
        sa.Column("truth_id", ID, autoincrement=False, nullable=False),
        sa.Column("finding_id", ID, autoincrement=False, nullable=False),
        sa.Column("area_mm2", sa.Double(), nullable=True),
        sa.Column("area_reason", sa.Text(), nullable=True),
        sa.Column("dice", sa.Double(), nullable=True),
        sa.Column("dice_reason", sa.Text(), nullable=True),
        sa.Column("measured_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["truth_id"], ["truths.id"], name=op.f("fk_mask_figures_truth_id_truths")),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_mask_figures_finding_id_findings")),
        sa.PrimaryKeyConstraint("truth_id", "finding_id", name=op.f("pk_mask_figures")),
    )
    op.create_index(op.f("ix_mask_figures_finding_id"), "mask_figures", ["finding_id"])


def downgrade() -> None:
    for table in ("mask_figures", "truths"):
        op.drop_table(table)
