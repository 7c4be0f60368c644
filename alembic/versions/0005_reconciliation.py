"""Examinations of findings, and what they are held against

Revision: 0005, follows 0004, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "examinations",
        sa.Column("finding_id", ID, autoincrement=False, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("examined_at", UtcDateTime(), nullable=True),
        sa.Column("examined_on", sa.Date(), nullable=True),
        sa.Column("patient_sex", sa.Text(), nullable=False),
        sa.Column("patient_age_years", sa.Double(), nullable=True),
        sa.Column("view_position", sa.Text(), nullable=False),
        sa.Column("manufacturer", sa.Text(), nullable=False),
        sa.Column("manufacturer_model_name", sa.Text(), nullable=False),
        sa.Column("station_name", sa.Text(), nullable=False),
        sa.Column("reconcile_needed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_examinations_finding_id_findings")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_examinations_instance_id_instances")),
        sa.PrimaryKeyConstraint("finding_id", name=op.f("pk_examinations")),
    )
    op.create_index(op.f("ix_examinations_instance_id"), "examinations", ["instance_id"])
    op.create_index(op.f("ix_examinations_examined_on"), "examinations", ["examined_on"])
    op.create_index(
        "ix_examinations_unreconciled",
        "examinations",
        ["finding_id"],
        sqlite_where=sa.text("reconcile_needed"),
        postgresql_where=sa.text("reconcile_needed"),
    )
    op.create_table(
        "pairs",
        sa.Column("id", ID, nullable=False),
        sa.Column("finding_id", ID, nullable=False),
        sa.Column("report_id", ID, nullable=False),
        sa.Column("label_id", ID, nullable=False),
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.Column("interval_s", sa.Double(), nullable=True),
        sa.Column("secondary_reason", sa.Text(), nullable=True),
        sa.Column("reconciled_at", UtcDateTime(), nullable=False),
        sa.Column("superseded_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_pairs_finding_id_findings")),
        sa.ForeignKeyConstraint(["report_id"], ["radiology_reports.id"], name=op.f("fk_pairs_report_id_radiology_reports")),
        sa.ForeignKeyConstraint(["label_id"], ["report_labels.id"], name=op.f("fk_pairs_label_id_report_labels")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pairs")),
    )
    op.create_index(op.f("ix_pairs_finding_id"), "pairs", ["finding_id"])
    op.create_index(op.f("ix_pairs_report_id"), "pairs", ["report_id"])
    op.create_index(
        "uq_pairs_standing",
        "pairs",
        ["finding_id", "report_id"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "unmatched",
        sa.Column("id", ID, nullable=False),
        sa.Column("finding_id", ID, nullable=True),
        sa.Column("report_id", ID, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reconciled_at", UtcDateTime(), nullable=False),
        sa.Column("superseded_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_unmatched_finding_id_findings")),
        sa.ForeignKeyConstraint(["report_id"], ["radiology_reports.id"], name=op.f("fk_unmatched_report_id_radiology_reports")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unmatched")),
    )
    op.create_index(op.f("ix_unmatched_finding_id"), "unmatched", ["finding_id"])
    op.create_index(op.f("ix_unmatched_report_id"), "unmatched", ["report_id"])


def downgrade() -> None:
    for table in ("unmatched", "pairs", "examinations"):
        op.drop_table(table)
