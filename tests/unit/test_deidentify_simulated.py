"""The simulated hospital's own files leave without their patients: each site, each transfer syntax, and the node's segmentations."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pydicom
import pytest

from ptx_node.dicom.deidentify import deidentify, deidentify_file
from ptx_node.domain.finding import Outcome, ResultKind
from ptx_node.domain.pseudonym import Pseudonyms
from ptx_node.errors import InputError
from ptx_node.pipeline.results import encode_results
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.patient import draw_patient
from ptx_node.simulator.sites import SITES
from ptx_node.simulator.studies import simulate_ct, simulate_radiograph
from ptx_node.validation.leak_needles import Identifier, Kind, Needles
from ptx_node.validation.leak_scan import identifiers_of, scan_bytes
from tests import factories as make
from tests.conformance.validators import dciodvfy_errors
from tests.findings import CONTEXT, finding, picture

PSEUDONYMS = Pseudonyms(b"a secret of the site, 32 bytes..")
SYSTEMS = {
    f"{site.name} {number}": replace(site, systems=(system,))
    for site in SITES.values()
    for number, system in enumerate(site.systems, start=1)
}


def simulated(name: str, folder: Path) -> Path:
    site = SYSTEMS[name]
    patient = draw_patient(5)
    study = (
        simulate_ct(folder, patient, site, Protocol(columns=64, slices=2))
        if site.ct
        else simulate_radiograph(folder, patient, site, (96, 80))
    )
    return study.paths[0]


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_simulated_object_leaves_clean_valid_and_with_its_pixels(name: str, tmp_path: Path) -> None:
    path = simulated(name, tmp_path)
    made = deidentify_file(path, PSEUDONYMS, pixels_reviewed=True).part10()
    original, back = pydicom.dcmread(path), pydicom.dcmread(io.BytesIO(made))
    assert back.PixelData == original.PixelData
    assert back.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
    known = identifiers_of([path])
    if original.StationName in original.ManufacturerModelName:  # the simulator calls some stations as the model is called
        known -= {Identifier(Kind.DEVICE, original.StationName)}
    assert [leak for leak in scan_bytes("left.dcm", made, Needles(known)) if leak.certain] == []
    if shutil.which("dciodvfy"):
        (tmp_path / "left.dcm").write_bytes(made)
        assert set(dciodvfy_errors(tmp_path / "left.dcm")) <= set(dciodvfy_errors(path))


def test_a_radiograph_and_the_ct_of_the_same_person_stay_together() -> None:
    """What the validation rests on: the same patient, as many days apart as before."""
    radiograph = deidentify(make.dx(make.Place(study=1), StudyDate="20260228"), PSEUDONYMS).dataset
    ct = deidentify(make.ct_series(1, make.Place(study=2), StudyDate="20260301")[0], PSEUDONYMS).dataset
    assert radiograph.PatientID == ct.PatientID
    assert radiograph.StudyInstanceUID != ct.StudyInstanceUID
    days = [date(int(one[:4]), int(one[4:6]), int(one[6:])) for one in (radiograph.StudyDate, ct.StudyDate)]
    assert (days[1] - days[0]).days == 1


@pytest.mark.parametrize("name", ["dx", "ct", "enhanced_ct"])
def test_the_nodes_segmentation_leaves_with_its_references_and_its_report_does_not(name: str, tmp_path: Path) -> None:
    sources = {"dx": [make.dx()], "ct": make.ct_series(4), "enhanced_ct": [make.enhanced_ct(4)]}[name]
    headers = [make.header(ds) for ds in sources]
    answer = finding(headers, Outcome.POSITIVE)
    results = {
        one.kind: one.dataset for one in encode_results(answer, headers, kinds=ResultKind, context=CONTEXT, picture=picture(headers))
    }
    made = deidentify(results[ResultKind.SEG], PSEUDONYMS)
    left = {deidentify(ds, PSEUDONYMS).dataset.SOPInstanceUID for ds in sources}
    named = {element.value for element in made.dataset.iterall() if element.keyword == "ReferencedSOPInstanceUID"}
    assert named
    assert named <= left
    assert made.dataset.PixelData == results[ResultKind.SEG].PixelData
    for kind in (ResultKind.SR, ResultKind.SC):
        with pytest.raises(InputError):
            deidentify(results[kind], PSEUDONYMS)
    if shutil.which("dciodvfy"):
        (tmp_path / "seg.dcm").write_bytes(made.part10())
        assert dciodvfy_errors(tmp_path / "seg.dcm") == []
