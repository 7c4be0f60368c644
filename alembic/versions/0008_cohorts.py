"""Retrospective cohorts and their members

Revision: 0008, follows 0007, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IN_WORK = sa.text("state IN ('fetching', 'reading', 'counted')")


def upgrade() -> None:
    op.create_table(
        "cohorts",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("weights_sha256", sa.String(64), nullable=False),
        sa.Column("device_uid", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("interval_s", sa.Double(), nullable=True),
        sa.Column("after_too", sa.Boolean(), nullable=False),
        sa.Column("settings_sha256", sa.String(64), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cohorts")),
        sa.UniqueConstraint("name", name=op.f("uq_cohorts_name")),
    )
    op.create_table(
        "cohort_members",
        sa.Column("id", ID, nullable=False),
        sa.Column("cohort_id", ID, nullable=False),
        sa.Column("report_id", ID, nullable=False),
        sa.Column("label_id", ID, nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("positive", sa.Boolean(), nullable=True),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("examined_on", sa.Date(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("exclusion", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("study_instance_uids", sa.JSON(), nullable=False),
        sa.Column("instance_id", ID, nullable=True),
        sa.Column("interval_s", sa.Double(), nullable=True),
        sa.Column("job_id", ID, nullable=True),
        sa.Column("finding_id", ID, nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["cohort_id"], ["cohorts.id"], name=op.f("fk_cohort_members_cohort_id_cohorts")),
        sa.ForeignKeyConstraint(["report_id"], ["radiology_reports.id"], name=op.f("fk_cohort_members_report_id_radiology_reports")),
        sa.ForeignKeyConstraint(["label_id"], ["report_labels.id"], name=op.f("fk_cohort_members_label_id_report_labels")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_cohort_members_person_id_people")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_cohort_members_instance_id_instances")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_cohort_members_job_id_jobs")),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_cohort_members_finding_id_findings")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cohort_members")),
        sa.UniqueConstraint("cohort_id", "report_id", name=op.f("uq_cohort_members_cohort_id")),
    )
    op.create_index(op.f("ix_cohort_members_report_id"), "cohort_members", ["report_id"])
    op.create_index(op.f("ix_cohort_members_finding_id"), "cohort_members", ["finding_id"])
    op.create_index("ix_cohort_members_state", "cohort_members", ["cohort_id", "state"])
    op.create_index(
        "uq_cohort_members_patient",
        "cohort_members",
        ["cohort_id", "person_id"],
        unique=True,
        sqlite_where=IN_WORK,
        postgresql_where=IN_WORK,
    )


def downgrade() -> None:
    for table in ("cohort_members", "cohorts"):
        op.drop_table(table)
