"""Views for dashboards, version 1, and the indexes that they and the exporter are limited by

Revision: 0007, follows 0006, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db import views

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES: dict[str, tuple[str, list[str], str | None]] = {
    "ix_instances_source_received_at": ("instances", ["source", "received_at"], None),
    "ix_report_messages_sender_received_at": ("report_messages", ["sender", "received_at"], None),
    "ix_jobs_queued_at": ("jobs", ["queued_at"], None),
    "ix_jobs_inferred_at": ("jobs", ["inferred_at"], None),
    "ix_jobs_accepted_at": ("jobs", ["accepted_at"], None),
    "ix_jobs_committed_at": ("jobs", ["committed_at"], None),
    "ix_findings_inferred_at": ("findings", ["inferred_at"], None),
    "ix_deliveries_queued_at": ("deliveries", ["queued_at"], None),
    "ix_deliveries_open": ("deliveries", ["destination", "queued_at"], "state IN ('waiting', 'sending')"),
    "ix_job_inputs_not_eligible": ("job_inputs", ["job_id"], "NOT eligible"),
    "ix_collections_open": ("collections", ["first_instance_at"], "closed_at IS NULL"),
    "ix_radiology_reports_parked": ("radiology_reports", ["created_at"], "parked IS NOT NULL"),
    "ix_unmatched_standing": ("unmatched", ["reconciled_at"], "superseded_at IS NULL"),
}


def upgrade() -> None:
    for name, (table, columns, condition) in INDEXES.items():
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
    for statement in views.create(op.get_context().dialect.name):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for statement in views.drop():
        op.get_bind().exec_driver_sql(statement)
    for name, (table, _columns, _condition) in INDEXES.items():
        op.drop_index(name, table_name=table)
