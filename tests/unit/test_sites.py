"""Simulated sites: a reader that follows the standard sees the picture as shown; files are valid, the same for ever, and tell the truth."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless

from ptx_node.dicom.decode import read_dataset, stored_values
from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.domain.finding import Laterality
from ptx_node.errors import UsageError
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.encoding import DCMTK
from ptx_node.simulator.hand import hand_attenuation
from ptx_node.simulator.lateral import project_lateral
from ptx_node.simulator.patient import ANYBODY, NOBODY, Confounder, Posture, Size, Wishes, draw_patient
from ptx_node.simulator.people import person_of
from ptx_node.simulator.sites import SITES, Grey, Site, Spacing, site_of
from ptx_node.simulator.studies import Study, picture, simulate, simulate_ct, simulate_hand, simulate_lateral, simulate_radiograph
from tests.conformance.validators import dciodvfy_errors

SEED, SIZE = 5, (176, 160)
PROTOCOL = Protocol(columns=64, slices=4)
LEFT = Wishes(laterality=Laterality.LEFT, size=Size.LARGE, confounders=frozenset())
RADIOGRAPHS = {
    f"{site.name} {number}": replace(site, systems=(system,))
    for site in SITES.values()
    if not site.ct
    for number, system in enumerate(site.systems, start=1)
}
CTS = {f"ct64 {number}": replace(SITES["ct64"], systems=(system,)) for number, system in enumerate(SITES["ct64"].systems, start=1)}
WITH_TABLES = [name for name, site in RADIOGRAPHS.items() if site.systems[0].grey is not Grey.NONE]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Study]:
    """One study of each system, lateral and hand, each written once."""
    folder = tmp_path_factory.mktemp("sites")

    @cache
    def study(name: str) -> Study:
        if name in RADIOGRAPHS:
            site = RADIOGRAPHS[name]
            return simulate_radiograph(folder / name, draw_patient(SEED, site.wishes(SEED, LEFT)), site, SIZE)
        if name in CTS:
            return simulate_ct(folder / name, draw_patient(SEED, LEFT), CTS[name], PROTOCOL)
        kind, of = name.split()
        return (simulate_lateral if kind == "lateral" else simulate_hand)(folder / name, SEED, of, size=SIZE)

    return study


def as_shown(site: Site) -> NDArray[np.float32]:
    return picture(draw_patient(SEED, site.wishes(SEED, LEFT)), site, SIZE)[1]


def likeness(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("name", WITH_TABLES)
def test_the_node_reads_the_picture_as_the_system_shows_it(studies: Callable[[str], Study], name: str) -> None:
    """Window, sigmoid, VOI LUT and MONOCHROME1 bring it back to the step of a stored value; what the cut-off curve clips is allowed."""
    site = RADIOGRAPHS[name]
    read = read_radiograph(studies(name).paths[0]).image_HW
    assert SIZE == read.shape
    assert 2 / (1 << site.systems[0].bits) + 0.005 > np.abs(read - as_shown(site)).max()


@pytest.mark.parametrize("name", [name for name in WITH_TABLES if RADIOGRAPHS[name].systems[0].transfer_syntax != JPEG2000Lossless])
def test_a_reader_that_is_not_ours_sees_it_too(studies: Callable[[str], Study], tmp_path: Path, name: str) -> None:
    """The renderer of dcmtk, told to use the first window or VOI LUT, to 8 bits."""
    system = RADIOGRAPHS[name].systems[0]
    program = Path("/usr/bin/dcml2pnm" if system.transfer_syntax == JPEGLSLossless else "/usr/bin/dcmj2pnm")
    if not program.exists():
        pytest.skip("dcmtk is not installed")
    table = "+Wl" if system.grey is Grey.VOI_LUT else "+Wi"
    subprocess.run([program, "+op", table, "1", studies(name).paths[0], tmp_path / "shown.pgm"], check=True, timeout=60)
    shown = np.asarray(Image.open(tmp_path / "shown.pgm")) / 255
    assert 1.5 / 255 + 2 / (1 << system.bits) > np.abs(shown - as_shown(RADIOGRAPHS[name])).max()


@pytest.mark.parametrize("name", [name for name in RADIOGRAPHS if name not in WITH_TABLES])
def test_an_export_without_a_window_keeps_the_picture_but_for_its_contrast(studies: Callable[[str], Study], name: str) -> None:
    assert 0.98 < likeness(read_radiograph(studies(name).paths[0]).image_HW, as_shown(RADIOGRAPHS[name]))


@pytest.mark.parametrize("name", [name for name, site in RADIOGRAPHS.items() if site.systems[0].grey in {Grey.VOI_LUT, Grey.SIGMOID}])
def test_a_reader_that_ignores_the_curve_sees_a_flatter_picture(studies: Callable[[str], Study], name: str) -> None:
    """Stored values stretched from their lowest to their highest are far from the picture, even turned the right way up."""
    site = RADIOGRAPHS[name]
    stored = stored_values(read_dataset(studies(name).paths[0])).astype(np.float64)
    stretched = (stored - stored.min()) / (stored.max() - stored.min())
    upright = 1 - stretched if site.systems[0].inverted else stretched
    assert 0.04 < np.abs(upright - as_shown(site)).mean()


@pytest.mark.parametrize("name", [name for name, site in RADIOGRAPHS.items() if site.systems[0].inverted])
def test_a_reader_that_ignores_monochrome1_sees_the_negative(studies: Callable[[str], Study], name: str) -> None:
    stored = stored_values(read_dataset(studies(name).paths[0]))
    assert -0.9 > likeness(stored, as_shown(RADIOGRAPHS[name]))


@pytest.mark.parametrize("name", [*RADIOGRAPHS, *CTS, "lateral toulouse", "lateral bedside", "hand toulouse", "hand siim"])
def test_every_instance_is_valid(studies: Callable[[str], Study], name: str) -> None:
    if not shutil.which("dciodvfy"):
        pytest.skip("dicom3tools is not installed")
    assert [] == dciodvfy_errors(studies(name).paths[0])


@pytest.mark.parametrize("name", [*RADIOGRAPHS, *CTS])
def test_a_system_stores_as_its_profile_says(studies: Callable[[str], Study], name: str) -> None:
    site = (RADIOGRAPHS | CTS)[name]
    system, ds = site.systems[0], pydicom.dcmread(studies(name).paths[0])
    assert system.sop_class == ds.SOPClassUID
    assert (system.modality, system.photometric) == (ds.Modality, ds.PhotometricInterpretation)
    assert sent_as(system.transfer_syntax) == ds.file_meta.TransferSyntaxUID
    if system.modality != "CT":
        assert system.bits == ds.BitsStored
        assert (system.spacing is Spacing.PIXEL) == ("PixelSpacing" in ds)
        assert (system.spacing in {Spacing.IMAGER, Spacing.MAGNIFIED}) == ("ImagerPixelSpacing" in ds)
    assert int(stored_values(read_dataset(studies(name).paths[0])).max()) < 1 << ds.BitsStored


def sent_as(wanted: UID) -> UID:
    """What this machine can write: dcmtk's encoders may be missing."""
    if wanted in {JPEGBaseline8Bit, JPEG2000Lossless, ImplicitVRLittleEndian, ExplicitVRLittleEndian}:
        return wanted
    return wanted if shutil.which(DCMTK[wanted][0]) else ExplicitVRLittleEndian


@pytest.mark.parametrize("name", [name for name, site in RADIOGRAPHS.items() if site.systems[0].spacing is not Spacing.NONE])
def test_the_area_of_the_mask_is_what_the_stored_spacing_makes_of_it(studies: Callable[[str], Study], name: str) -> None:
    """At the detector everything is larger; only some systems say by how much."""
    study, site = studies(name), RADIOGRAPHS[name]
    assert study.mask is not None
    spacing = read_radiograph(study.paths[0]).pixel_spacing_mm
    assert spacing is not None
    larger = 1.1**2 if site.systems[0].spacing is Spacing.IMAGER else 1
    assert study.area_mm2 * larger == pytest.approx(int(study.mask.sum()) * spacing[0] * spacing[1], rel=1e-3)


def test_ct_slices_come_back_as_the_volume_that_was_written(studies: Callable[[str], Study]) -> None:
    """In the order from the feet, on the mask's grid: pleural air is air, the body beside it is not."""
    study = studies("ct64 1")
    volume = read_volume(list(study.paths))
    assert study.mask is not None
    assert study.mask.shape == volume.hu_ZHW.shape
    assert list(study.sop_instance_uids) == list(volume.sop_instance_uids)
    assert np.median(volume.hu_ZHW[study.mask]) < -900


@pytest.mark.parametrize("name", ["siim", "toulouse", "bedside", "ct64"])
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    """What is sent again is the same instance; another site, size or wish is another one."""
    once, again, other = (
        simulate(tmp_path / str(number), seed, site=name, wishes=LEFT, size=SIZE, protocol=PROTOCOL)
        for number, seed in enumerate((7, 7, 8))
    )
    assert [path.read_bytes() for path in once.paths] == [path.read_bytes() for path in again.paths]
    assert once.sop_instance_uids == again.sop_instance_uids
    assert not {*once.sop_instance_uids} & {*other.sop_instance_uids}
    assert len({once.study_instance_uid, once.series_instance_uid, *once.sop_instance_uids}) == 2 + len(once.paths)
    wished = simulate(tmp_path / "wish", 7, site=name, wishes=replace(LEFT, age_years=30), size=SIZE, protocol=PROTOCOL)
    assert not {*once.sop_instance_uids} & {*wished.sop_instance_uids}


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever order it has its sets in: with chest tube, lines, electrodes and more."""
    program = (
        "import sys; from pathlib import Path; from ptx_node.simulator.studies import simulate; from ptx_node.simulator.patient import *;"
        "from ptx_node.simulator.ct_protocol import Protocol; everything = Wishes(confounders=frozenset(Confounder));"
        "[simulate(Path(sys.argv[1]), 9, site=name, wishes=everything, size=(96, 96), protocol=Protocol(columns=64, slices=4))"
        " for name in ('bedside', 'ct64')]"
    )
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-c", program, tmp_path / hash_seed]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed}, timeout=120)
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / hash_seed).iterdir()} for hash_seed in ("1", "2"))
    assert 5 == len(one)
    assert one == other


@pytest.mark.parametrize("seed", [3, 4])
def test_a_radiograph_and_the_ct_of_the_day_are_of_one_person(tmp_path: Path, seed: int) -> None:
    radiograph = simulate(tmp_path, seed, site="toulouse", size=SIZE)
    ct = simulate(tmp_path, seed, site="ct64", protocol=PROTOCOL)
    first, second = (pydicom.dcmread(study.paths[0], stop_before_pixels=True) for study in (radiograph, ct))
    for keyword in ("PatientID", "PatientName", "PatientSex", "PatientBirthDate", "StudyDate", "IssuerOfPatientID"):
        assert first[keyword].value == second[keyword].value, keyword
    assert first.StudyTime < second.StudyTime
    assert first.StudyInstanceUID != second.StudyInstanceUID
    assert radiograph.patient.airs == ct.patient.airs


def test_the_side_of_the_air_is_the_same_in_whatever_posture_it_is_seen() -> None:
    """Seeds 0 to 200 under the postures of every site: a CT stays the truth of the day's radiograph."""
    for seed in range(200):
        seen = {draw_patient(seed, site.wishes(seed, ANYBODY)).airs for site in SITES.values()}
        assert 1 == len(seen), seed


def test_local_days_and_ages_fit() -> None:
    for seed in range(60):
        patient = draw_patient(seed)
        person = person_of(patient)
        years = (person.arrives_at.date() - person.birth_date).days / 365.25
        assert patient.age_years <= years < patient.age_years + 1.01
        assert person.ct_at.date() == person.arrives_at.date()
        assert person.ct_at > person.arrives_at


def test_names_in_every_character_set_are_read_as_written(studies: Callable[[str], Study]) -> None:
    """Latin-1, code extensions and UTF-8; the name says SIMULATED in each."""
    sets = set()
    for name in ("toulouse 1", "bedside 1", "ct64 1"):
        ds = pydicom.dcmread(studies(name).paths[0], stop_before_pixels=True)
        assert person_of(studies(name).patient).name == str(ds.PatientName)
        assert "SIMULATED" in str(ds.PatientName)
        sets.add(str(ds.get("SpecificCharacterSet")))
        assert (RADIOGRAPHS | CTS)[name].institution == ds.InstitutionName
    assert 3 == len(sets)


def test_a_public_set_names_nobody(studies: Callable[[str], Study]) -> None:
    ds = pydicom.dcmread(studies("siim 1").paths[0], stop_before_pixels=True)
    assert "" == ds.PatientBirthDate == ds.AccessionNumber
    assert ds.PatientID == str(ds.PatientName)
    assert "SIM0" not in ds.PatientID


def test_everything_says_simulated(studies: Callable[[str], Study]) -> None:
    for name in (*RADIOGRAPHS, *CTS, "lateral toulouse", "hand toulouse"):
        ds = pydicom.dcmread(studies(name).paths[0], stop_before_pixels=True)
        for keyword in ("Manufacturer", "ManufacturerModelName", "ImageComments", "StudyDescription", "InstitutionName"):
            assert "SIMULATED" in str(ds[keyword].value), (name, keyword)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_report_of_a_study_tells_the_truth_about_its_patient(language: str) -> None:
    """Without chance to be unsure, present is positive on the right side and absent is not positive."""
    for seed in range(12):
        wishes = replace(LEFT, laterality=Laterality.RIGHT) if seed % 2 else Wishes(laterality=NOBODY)
        study = Study("ct", "ct64", draw_patient(seed, wishes), (), "1.2", "1.3", (), "SIM", "")
        report = study.report("fr" if language == "fr" else "en")
        assert bool(seed % 2) is report.truth
        assert (report.label == "positive") is report.truth
        assert report.laterality in ({Laterality.RIGHT} if report.label == "positive" else {None, Laterality.LEFT, Laterality.RIGHT})


def test_wishes_are_honoured(tmp_path: Path) -> None:
    wishes = Wishes(
        laterality=Laterality.RIGHT,
        size=Size.MEDIUM,
        posture=Posture.SUPINE,
        sex="F",
        age_years=71,
        confounders=frozenset({Confounder.CHEST_TUBE}),
    )
    study = simulate(tmp_path, 11, site="toulouse", wishes=wishes, size=SIZE)
    ds = pydicom.dcmread(study.paths[0], stop_before_pixels=True)
    assert (Laterality.RIGHT, Size.MEDIUM, Posture.SUPINE) == (study.laterality, study.patient.size, study.patient.posture)
    assert ("F", "071Y", "AP") == (ds.PatientSex, ds.PatientAge, ds.ViewPosition)
    assert frozenset({Confounder.CHEST_TUBE}) == study.patient.confounders
    assert study.mask is not None
    columns = np.nonzero(study.mask)[1]
    assert columns.mean() < SIZE[1] / 2  # the patient's right is on the picture's left
    nobody = simulate(tmp_path, 11, site="toulouse", wishes=Wishes(laterality=NOBODY), size=SIZE)
    assert (None, None, None) == (nobody.mask, nobody.laterality, nobody.area_mm2)


def test_columns_of_a_lateral_grow_to_the_back() -> None:
    """As Patient Orientation says: a pacemaker, which lies in front, changes the picture before its middle."""
    plain, paced = (
        project_lateral(draw_patient(6, Wishes(laterality=NOBODY, confounders=frozenset(what))), 200, 168)
        for what in ((), (Confounder.PACEMAKER,))
    )
    changed = np.abs(paced.attenuation_HW - plain.attenuation_HW).sum(axis=0)
    assert 0.1 < changed.max()
    assert 168 / 2 > np.average(np.arange(168), weights=changed)
    assert plain.attenuation_HW[plain.lung_HW].mean() < 0.7 * plain.attenuation_HW[-40:, 70:100].mean()


def test_a_hand_has_fingers_of_bone_in_soft_tissue() -> None:
    """Four beside each other, the thumb beside the palm."""
    hand = hand_attenuation(4, 450, 350)
    beside = {row: int((np.diff((hand[row] > 0.2).astype(int)) == 1).sum()) for row in (115, 225)}
    assert {115: 4, 225: 2} == beside
    assert hand[115].max() > 1.3 * np.median(hand[115][hand[115] > 0.2])


def test_a_site_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no simulated site 'lyon'.*siim, toulouse, bedside, ct64"):
        site_of("lyon")
