"""The table of packages that people asked for on the dashboard."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ptx_node.db.tables import Id, Table


class ExportRow(Table):
    """One auditors' package: what was asked for, how far it is, and where it lies. See `ptx_node.db.exports`.

    `task` is what is done with it now or next: `build` or `verify`; `state` is `queued`, `running`, `done` or `failed`; `step` is for
    people. A row that runs has a lease; when that ends, its process is gone and another one begins anew. `problems` is what the last
    verification found: empty when every byte was right, null when there was none. `removed_at`: the site keeps packages for some time; what
    they were stays.
    """

    __tablename__ = "exports"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    request: Mapped[dict[str, Any]]
    task: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    step: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None]
    package_sha256: Mapped[str | None] = mapped_column(String(64))
    counts: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)
    verified_at: Mapped[datetime | None]
    problems: Mapped[list[Any] | None]
    removed_at: Mapped[datetime | None]


_RUNS = text("state = 'running'")
Index("uq_exports_running", ExportRow.state, unique=True, sqlite_where=_RUNS, postgresql_where=_RUNS)
