"""When a package was removed that the site kept long enough

Revision: 0016, follows 0015, 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from ptx_node.db.tables import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("exports", sa.Column("removed_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("exports", "removed_at")
