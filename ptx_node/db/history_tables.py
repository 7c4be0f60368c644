"""What a study's row no longer holds once somebody has stepped in: who asked for it and why, and how its results had been sent before."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ptx_node.db.tables import Id, Table


class Intervention(Table):
    """What a person had done again to a job or a delivery of a study. Only ever added, beside the audit trail, which is the proof of it.

    `what` is the decision's words in the trail, `subject` the job or the delivery in words without anything of the patient.
    """

    __tablename__ = "interventions"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    intervened_at: Mapped[datetime]
    intervened_by: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)


class EarlierSending(Table):
    """How far a delivery had come when it was made due again: its row begins anew. Only of one that had arrived, or was given up."""

    __tablename__ = "earlier_sendings"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(Id, ForeignKey("deliveries.id"), index=True)
    attempts: Mapped[int]
    status: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    proof: Mapped[str | None] = mapped_column(Text)
    accepted_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
