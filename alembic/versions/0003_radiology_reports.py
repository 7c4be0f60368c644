"""Radiology reports, the patients they are of, and what came to their doors

Revision: 0003, follows 0002, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_table(
        "report_messages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("control_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("acknowledgement", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("peer_address", sa.Text(), nullable=False),
        sa.Column("times_received", sa.Integer(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_messages")),
        sa.UniqueConstraint("via", "sender", "control_id", "sha256", name=op.f("uq_report_messages_via")),
    )
    op.create_index(op.f("ix_report_messages_received_at"), "report_messages", ["received_at"], unique=False)
    op.create_index(
        "ix_report_messages_waiting",
        "report_messages",
        ["id"],
        unique=False,
        sqlite_where=sa.text("verdict = 'waiting'"),
        postgresql_where=sa.text("verdict = 'waiting'"),
    )
    op.create_table(
        "patient_identifiers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("origin_person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("imaged_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["origin_person_id"], ["people.id"], name=op.f("fk_patient_identifiers_origin_person_id_people")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_patient_identifiers_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_identifiers")),
        sa.UniqueConstraint("value", "authority", "type", name=op.f("uq_patient_identifiers_value")),
    )
    op.create_index(op.f("ix_patient_identifiers_origin_person_id"), "patient_identifiers", ["origin_person_id"], unique=False)
    op.create_index(op.f("ix_patient_identifiers_person_id"), "patient_identifiers", ["person_id"], unique=False)
    op.create_table(
        "patient_merges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prior_person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("surviving_person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("merged_at", UtcDateTime(), nullable=False),
        sa.Column("undone_at", UtcDateTime(), nullable=True),
        sa.Column("undone_by_message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["report_messages.id"], name=op.f("fk_patient_merges_message_id_report_messages")),
        sa.ForeignKeyConstraint(["prior_person_id"], ["people.id"], name=op.f("fk_patient_merges_prior_person_id_people")),
        sa.ForeignKeyConstraint(["surviving_person_id"], ["people.id"], name=op.f("fk_patient_merges_surviving_person_id_people")),
        sa.ForeignKeyConstraint(
            ["undone_by_message_id"], ["report_messages.id"], name=op.f("fk_patient_merges_undone_by_message_id_report_messages")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_merges")),
    )
    op.create_index(op.f("ix_patient_merges_prior_person_id"), "patient_merges", ["prior_person_id"], unique=False)
    op.create_index(op.f("ix_patient_merges_surviving_person_id"), "patient_merges", ["surviving_person_id"], unique=False)
    op.create_table(
        "radiology_reports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version_ids", sa.JSON(), nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=False),
        sa.Column("readable", sa.Boolean(), nullable=False),
        sa.Column("examined_at", UtcDateTime(), nullable=True),
        sa.Column("examined_on", sa.Date(), nullable=True),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("procedure_code", sa.Text(), nullable=False),
        sa.Column("procedure_text", sa.Text(), nullable=False),
        sa.Column("identifier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("parked", sa.Text(), nullable=True),
        sa.Column("label_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reconcile_needed", sa.Boolean(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["identifier_id"], ["patient_identifiers.id"], name=op.f("fk_radiology_reports_identifier_id_patient_identifiers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radiology_reports")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_radiology_reports_source")),
    )
    op.create_index(op.f("ix_radiology_reports_accession_number"), "radiology_reports", ["accession_number"], unique=False)
    op.create_index(op.f("ix_radiology_reports_examined_on"), "radiology_reports", ["examined_on"], unique=False)
    op.create_index(op.f("ix_radiology_reports_identifier_id"), "radiology_reports", ["identifier_id"], unique=False)
    op.create_index(op.f("ix_radiology_reports_study_instance_uid"), "radiology_reports", ["study_instance_uid"], unique=False)
    op.create_index(
        "ix_radiology_reports_unreconciled",
        "radiology_reports",
        ["id"],
        unique=False,
        sqlite_where=sa.text("reconcile_needed"),
        postgresql_where=sa.text("reconcile_needed"),
    )
    op.create_table(
        "parked_patients",
        sa.Column("report_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identifier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["identifier_id"], ["patient_identifiers.id"], name=op.f("fk_parked_patients_identifier_id_patient_identifiers")
        ),
        sa.ForeignKeyConstraint(["report_id"], ["radiology_reports.id"], name=op.f("fk_parked_patients_report_id_radiology_reports")),
        sa.PrimaryKeyConstraint("report_id", "identifier_id", name=op.f("pk_parked_patients")),
    )
    op.create_index(op.f("ix_parked_patients_identifier_id"), "parked_patients", ["identifier_id"], unique=False)
    op.create_table(
        "radiology_report_versions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("report_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("patients", sa.JSON(), nullable=False),
        sa.Column("issued_at", UtcDateTime(), nullable=True),
        sa.Column("examined_at", UtcDateTime(), nullable=True),
        sa.Column("examined_on", sa.Date(), nullable=True),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("procedure_code", sa.Text(), nullable=False),
        sa.Column("procedure_text", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["report_messages.id"], name=op.f("fk_radiology_report_versions_message_id_report_messages")
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["radiology_reports.id"], name=op.f("fk_radiology_report_versions_report_id_radiology_reports")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radiology_report_versions")),
        sa.UniqueConstraint("report_id", "content_sha256", name=op.f("uq_radiology_report_versions_report_id")),
        sa.UniqueConstraint("report_id", "number", name="uq_report_number"),
    )
    op.create_table(
        "report_labels",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("report_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("laterality", sa.Text(), nullable=True),
        sa.Column("size", sa.Text(), nullable=False),
        sa.Column("depth_mm", sa.Double(), nullable=True),
        sa.Column("drain", sa.Boolean(), nullable=False),
        sa.Column("sentence_start", sa.Integer(), nullable=True),
        sa.Column("sentence_end", sa.Integer(), nullable=True),
        sa.Column("evidence_start", sa.Integer(), nullable=True),
        sa.Column("evidence_end", sa.Integer(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("labeller", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("needs_review", sa.Boolean(), nullable=False),
        sa.Column("review", sa.JSON(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["radiology_reports.id"], name=op.f("fk_report_labels_report_id_radiology_reports")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["radiology_report_versions.id"], name=op.f("fk_report_labels_version_id_radiology_report_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_labels")),
    )
    op.create_index(op.f("ix_report_labels_report_id"), "report_labels", ["report_id"], unique=False)
    op.add_column("instances", sa.Column("registered_at", UtcDateTime(), nullable=True))
    op.add_column("instances", sa.Column("patient_identifier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
    op.create_index(op.f("ix_instances_patient_identifier_id"), "instances", ["patient_identifier_id"], unique=False)
    op.create_index(
        "ix_instances_unregistered",
        "instances",
        ["id"],
        unique=False,
        sqlite_where=sa.text("registered_at IS NULL"),
        postgresql_where=sa.text("registered_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_instances_unregistered",
        table_name="instances",
        sqlite_where=sa.text("registered_at IS NULL"),
        postgresql_where=sa.text("registered_at IS NULL"),
    )
    op.drop_index(op.f("ix_instances_patient_identifier_id"), table_name="instances")
    op.drop_column("instances", "patient_identifier_id")
    op.drop_column("instances", "registered_at")
    op.drop_index(op.f("ix_report_labels_report_id"), table_name="report_labels")
    op.drop_table("report_labels")
    op.drop_table("radiology_report_versions")
    op.drop_index(op.f("ix_parked_patients_identifier_id"), table_name="parked_patients")
    op.drop_table("parked_patients")
    op.drop_index(
        "ix_radiology_reports_unreconciled",
        table_name="radiology_reports",
        sqlite_where=sa.text("reconcile_needed"),
        postgresql_where=sa.text("reconcile_needed"),
    )
    op.drop_index(op.f("ix_radiology_reports_study_instance_uid"), table_name="radiology_reports")
    op.drop_index(op.f("ix_radiology_reports_identifier_id"), table_name="radiology_reports")
    op.drop_index(op.f("ix_radiology_reports_examined_on"), table_name="radiology_reports")
    op.drop_index(op.f("ix_radiology_reports_accession_number"), table_name="radiology_reports")
    op.drop_table("radiology_reports")
    op.drop_index(op.f("ix_patient_merges_surviving_person_id"), table_name="patient_merges")
    op.drop_index(op.f("ix_patient_merges_prior_person_id"), table_name="patient_merges")
    op.drop_table("patient_merges")
    op.drop_index(op.f("ix_patient_identifiers_person_id"), table_name="patient_identifiers")
    op.drop_index(op.f("ix_patient_identifiers_origin_person_id"), table_name="patient_identifiers")
    op.drop_table("patient_identifiers")
    op.drop_index(
        "ix_report_messages_waiting",
        table_name="report_messages",
        sqlite_where=sa.text("verdict = 'waiting'"),
        postgresql_where=sa.text("verdict = 'waiting'"),
    )
    op.drop_index(op.f("ix_report_messages_received_at"), table_name="report_messages")
    op.drop_table("report_messages")
    op.drop_table("people")
