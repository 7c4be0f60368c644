"""Structured reports that arrive as instances: stored like any other, then read; a device's and our own are no radiologist's."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, ComprehensiveSRStorage, EnhancedSRStorage
from sqlalchemy import Engine, insert

from ptx_node.db.session import begin_write
from ptx_node.db.tables import Instance, RadiologyReport, RadiologyReportVersion, ReportMessage
from ptx_node.dicom import content_tree as tree
from ptx_node.dicom.codes import FINDING, PNEUMOTHORAX, PRESENT, code_item
from ptx_node.dicom.report_text import Said, read_report
from ptx_node.errors import InputError
from ptx_node.pipeline.patients import register_new
from ptx_node.pipeline.report_sr import take_waiting
from ptx_node.pipeline.store import FileStore
from tests.radiology import SITE, counted, image, instance_row, label_of, make_intake, rows, the_report
from tests.structured_reports import DEVICE, FINDINGS, text_report, write

PARIS = ZoneInfo("Europe/Paris")


def arrive(engine: Engine, folder: Path, ds: Dataset, **changes: Any) -> int:
    """The document is received, routed, registered, and read."""
    store = FileStore(folder / "store", watermark_bytes=0)
    path = f"instances/abc/{ds.SOPInstanceUID}.dcm"
    store.path(path).parent.mkdir(parents=True, exist_ok=True)
    write(ds, store.path(path))
    row = instance_row(
        sop_instance_uid=ds.SOPInstanceUID,
        sop_class_uid=ds.SOPClassUID,
        study_instance_uid=ds.StudyInstanceUID,
        modality="SR",
        patient_id=ds.PatientID,
        issuer_of_patient_id=ds.IssuerOfPatientID,
        calling_ae="WORKSTATION",
        path=path,
        **changes,
    )
    with begin_write(engine) as session:
        session.execute(insert(Instance).values(row))
    while register_new(engine, SITE):
        pass
    taken = 0
    while count := take_waiting(engine, store, make_intake(engine, folder), PARIS):
        taken += count
    return taken


def test_a_verified_document_becomes_a_labelled_report_of_its_patient(engine: Engine, tmp_path: Path) -> None:
    image(engine, "1", study_instance_uid="1.2.840.1", modality="CT")
    assert 1 == arrive(engine, tmp_path, text_report("Décollement pleural. Pneumothorax.", impression="Pneumothorax."))
    report = the_report(engine)
    assert ("WORKSTATION", "A1 18748-4", "final", "CT", "2026-03-01", None) == (
        report.source,
        report.external_id,
        report.status,
        report.modality,
        str(report.examined_on),
        report.parked,
    )
    (row,) = rows(engine, RadiologyReportVersion)
    assert "FINDINGS:\nDécollement pleural. Pneumothorax.\n\nIMPRESSIONS:\nPneumothorax." == row.text
    assert "positive" == label_of(engine, report)
    before = counted(engine)
    assert 0 == take_waiting(engine, FileStore(tmp_path / "store", watermark_bytes=0), make_intake(engine, tmp_path), PARIS)
    assert before == counted(engine)


@pytest.mark.parametrize(
    "sop_class", [BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage], ids=["Basic", "Enhanced", "Comprehensive"]
)
def test_each_class_of_report_is_read(sqlite_engine: Engine, tmp_path: Path, sop_class: str) -> None:
    image(sqlite_engine, "1", study_instance_uid="1.2.840.1", modality="CT")
    assert 1 == arrive(sqlite_engine, tmp_path, text_report("Left pneumothorax.", SOPClassUID=sop_class))
    assert "positive" == label_of(sqlite_engine, the_report(sqlite_engine))


def test_preliminary_verified_and_corrected_documents_are_versions_of_one_report(engine: Engine, tmp_path: Path) -> None:
    steps: list[dict[str, Any]] = [
        {"VerificationFlag": "UNVERIFIED"},
        {"ContentTime": "121000"},
        {"ContentTime": "122000", "PredecessorDocumentsSequence": [Dataset()]},
        {"ContentTime": "123000", "PreliminaryFlag": "PRELIMINARY"},
    ]
    statuses = []
    for number, changes in enumerate(steps):
        arrive(engine, tmp_path, text_report(f"Text {number}", SOPInstanceUID=f"1.2.840.9.{number}", **changes))
        statuses.append(the_report(engine).status)
    assert ["preliminary", "final", "corrected", "corrected"] == statuses


@pytest.mark.parametrize(
    ("ds", "reason"),
    [(text_report("Pneumothorax.", observer=DEVICE), "device"), (text_report(""), "no_text")],
    ids=["a device", "no text"],
)
def test_what_no_person_wrote_is_put_aside_with_its_reason(engine: Engine, tmp_path: Path, ds: Dataset, reason: str) -> None:
    arrive(engine, tmp_path, ds)
    (message,) = rows(engine, ReportMessage)
    assert ("ignored", reason) == (message.verdict, message.reason)
    assert not rows(engine, RadiologyReport)


def test_what_the_node_wrote_and_other_classes_are_not_even_looked_at(engine: Engine, tmp_path: Path) -> None:
    assert 0 == arrive(engine, tmp_path, text_report("ours"), route_outcome="own_result")
    assert 0 == arrive(engine, tmp_path, text_report("CAD", SOPInstanceUID="1.2.3", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.65"))
    assert not rows(engine, ReportMessage)


def test_codes_and_nested_items_are_told_in_words(tmp_path: Path) -> None:
    ds = text_report("x")
    finding = tree.coded("CONTAINS", FINDING, PNEUMOTHORAX, [tree.coded("HAS PROPERTIES", FINDING, PRESENT)])
    deeper = tree.container(FINDINGS, [tree.text("CONTAINS", FINDING, "Right apex.")])
    ds.ContentSequence = [tree.container(FINDINGS, [finding, deeper]), tree.text("CONTAINS", FINDING, "At the root.")]
    version = read_report(write(ds, tmp_path / "sr.dcm"), Said("x"), PARIS)
    assert "FINDINGS:\nFinding: Pneumothorax\nFinding: Present\n\nFINDINGS:\nRight apex.\n\nFINDING:\nAt the root." == version.text


def test_a_file_that_is_none_is_one_error(tmp_path: Path) -> None:
    deep = text_report("x")
    item = tree.container(FINDINGS, [])
    for _ in range(60):
        item = tree.container(FINDINGS, [item])
    deep.ContentSequence = [item]
    deep.ConceptNameCodeSequence = [code_item(FINDINGS)]
    cases = {"unreadable": [b"", b"nonsense" * 100], "sop_class": [b"\0" * 128 + b"DICM"]}
    for contents in cases.values():
        for content in contents:
            (tmp_path / "f.dcm").write_bytes(content)
            with pytest.raises(InputError):
                read_report(tmp_path / "f.dcm", Said("x"), PARIS)
    with pytest.raises(InputError, match="unreadable"):
        read_report(write(deep, tmp_path / "deep.dcm"), Said("x"), PARIS)
