"""What people say of findings: accept, modify, reject; and an index for the findings that the truth contradicts

Revision: 0012, follows 0011, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.append_only import statements, undo
from ptx_node.db.tables import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DISAGREES = sa.text("superseded_at IS NULL AND secondary_reason IS NULL AND agreement IN ('false_positive', 'false_negative')")


def upgrade() -> None:
    op.create_table(
        "finding_assessments",
        sa.Column("id", ID, nullable=False),
        sa.Column("finding_id", ID, nullable=False),
        sa.Column("pair_id", ID, nullable=True),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("laterality", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("assessed_by", sa.Text(), nullable=False),
        sa.Column("assessed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_finding_assessments_finding_id_findings")),
        sa.ForeignKeyConstraint(["pair_id"], ["pairs.id"], name=op.f("fk_finding_assessments_pair_id_pairs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding_assessments")),
    )
    op.create_index(op.f("ix_finding_assessments_finding_id"), "finding_assessments", ["finding_id"])
    op.create_index(op.f("ix_finding_assessments_pair_id"), "finding_assessments", ["pair_id"])
    op.create_index("ix_pairs_disagreeing", "pairs", ["id"], sqlite_where=DISAGREES, postgresql_where=DISAGREES)
    for statement in statements("finding_assessments", "id", op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    op.drop_index("ix_pairs_disagreeing", "pairs")
    op.drop_table("finding_assessments")
    for statement in undo("finding_assessments", op.get_bind().dialect.name):
        op.execute(statement)
