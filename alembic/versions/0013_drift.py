"""The watch over drift: looks, alarms, and two more words of the header

Revision: 0013, follows 0012, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("examinations", sa.Column("bits_stored", sa.Integer(), nullable=True))
    op.add_column("examinations", sa.Column("exposure_index", sa.Double(), nullable=True))
    op.create_table(
        "drift_looks",
        sa.Column("id", ID, nullable=False),
        sa.Column("weights_sha256", sa.String(64), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("figure", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("reference_count", sa.Integer(), nullable=False),
        sa.Column("window_count", sa.Integer(), nullable=False),
        sa.Column("statistic", sa.Double(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("effect", sa.Double(), nullable=True),
        sa.Column("crossed", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("looked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_looks")),
        sa.UniqueConstraint("weights_sha256", "figure", "day", name=op.f("uq_drift_looks_weights_sha256")),
    )
    op.create_index("ix_drift_looks_day", "drift_looks", ["day"])
    op.create_table(
        "watch_alarms",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("weights_sha256", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.Column("acknowledged_at", UtcDateTime(), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watch_alarms")),
    )
    still = sa.text("acknowledged_at IS NULL")
    op.create_index(
        "uq_watch_alarms_open",
        "watch_alarms",
        ["kind", "name", "weights_sha256"],
        unique=True,
        sqlite_where=still,
        postgresql_where=still,
    )


def downgrade() -> None:
    op.drop_table("watch_alarms")
    op.drop_table("drift_looks")
    op.drop_column("examinations", "exposure_index")
    op.drop_column("examinations", "bits_stored")
