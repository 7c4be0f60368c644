"""Indexes for the dashboard's pages: studies by their last image, rare outcomes, the audit trail by kind, doubtful labels

Revision: 0017, follows 0016, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

DOUBTFUL, BY_A_PERSON = sa.text("needs_review"), sa.text("reviewer IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_instances_study_instance_uid", "instances")
    op.create_index("ix_instances_study_instance_uid", "instances", ["study_instance_uid", "received_at"])
    op.create_index("ix_findings_outcome", "findings", ["outcome"])
    op.create_index("ix_audit_events_kind", "audit_events", ["kind", "sequence"])
    op.create_index("ix_report_labels_doubtful", "report_labels", ["report_id"], sqlite_where=DOUBTFUL, postgresql_where=DOUBTFUL)
    op.create_index("ix_report_labels_by_a_person", "report_labels", ["report_id"], sqlite_where=BY_A_PERSON, postgresql_where=BY_A_PERSON)


def downgrade() -> None:
    op.drop_index("ix_report_labels_by_a_person", "report_labels")
    op.drop_index("ix_report_labels_doubtful", "report_labels")
    op.drop_index("ix_audit_events_kind", "audit_events")
    op.drop_index("ix_findings_outcome", "findings")
    op.drop_index("ix_instances_study_instance_uid", "instances")
    op.create_index("ix_instances_study_instance_uid", "instances", ["study_instance_uid"])
