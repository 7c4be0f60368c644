"""What a package holds of the counted cases beside their rows: de-identified images, or the texts of their reports where these stay."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from sqlalchemy import select

from ptx_node.db.report_review import text_of
from ptx_node.db.tables import FindingRow, Instance
from ptx_node.validation.case_export import CASES_CSV, PAGE
from ptx_node.validation.case_rows import Identified, Pseudonymous, identity_of
from ptx_node.validation.package_images import Original, write_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session

    from ptx_node.db.cases import Case
    from ptx_node.validation.case_rows import Naming
    from ptx_node.validation.samples import Sample

REPORTS = "reports.csv"


def write_case_images(
    session: Session, sample: Sample, folder: Path, place_of: Callable[[str], Path], naming: Pseudonymous
) -> tuple[int, int]:
    """Write the images of the counted cases below `folder`; how many, and how many were left out.

    Args:
        session: of the snapshot that the cases are of.
        sample: whose cases they are.
        folder: of the package's data, with the cases.
        place_of: a path of the `instances` table on disk.
        naming: of the cases.
    """
    return write_images(folder, _originals(session, sample, folder, place_of, naming), naming.pseudonyms)


def write_report_texts(session: Session, sample: Sample, folder: Path) -> int:
    """Write `reports.csv`: the text of each report that a counted case of an identified table is held against; how many."""
    known: set[int] = set()
    naming = Identified()
    with (folder / REPORTS).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("report", "text"))
        for case in _counted(sample, folder, naming):
            for report in sample.reports_of(case.finding_id):
                if report.id not in known:
                    known.add(report.id)
                    rows.writerow((naming.report(report.source, report.external_id), text_of(session, report)))
    return len(known)


def _originals(session: Session, sample: Sample, folder: Path, place_of: Callable[[str], Path], naming: Pseudonymous) -> Iterator[Original]:
    for case in _counted(sample, folder, naming):
        uids = session.scalar(select(FindingRow.sop_instance_uids).where(FindingRow.id == case.finding_id)) or []
        instances = session.execute(
            select(Instance.sop_instance_uid, Instance.path).where(Instance.sop_instance_uid.in_(uids)).order_by(Instance.sop_instance_uid)
        )
        for uid, path in instances:
            yield Original(naming.uid(case.image_uid), identity_of(case), uid, place_of(path))


def _counted(sample: Sample, folder: Path, naming: Naming) -> Iterator[Case]:
    """The cases that count, each image once, in the order of the findings."""
    with (folder / CASES_CSV).open(encoding="utf-8", newline="") as file:
        wanted = {row["case_id"] for row in csv.DictReader(file) if not row["exclusion"]}
    keys = sample.keys()
    for first in range(0, len(keys), PAGE):
        for case in sample.page(keys[first : first + PAGE]):
            name = naming.uid(case.image_uid)
            if name in wanted:
                wanted.remove(name)
                yield case
