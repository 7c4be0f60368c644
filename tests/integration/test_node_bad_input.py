"""What goes wrong is answered clearly, is seen by its coded reason, and costs nothing else: one node gets it all."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, SegmentationStorage

from ptx_node.simulator.processes import wait_until
from tests.factories import ABSENT, Place, as_file, cr, ct_series, dx
from tests.node import CT, CXR, Node, data_set_bytes, folder_destination, stow
from tests.raw_peer import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, associate_rq, associated, p_data, read_pdu, store_command

VERIFICATION = "1.2.840.10008.1.1"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
RULES = f"""
[[rules]]
name = "all but CT"
model = "{CXR}"
trigger = "instance"
match = {{ not = {{ keyword = "Modality", any_of = ["CT"] }} }}
destinations = [{{ name = "out" }}]

[[rules]]
name = "chest CT"
model = "{CT}"
trigger = "series"
quiet_s = 1
match = {{ keyword = "Modality", any_of = ["CT"] }}
destinations = [{{ name = "out" }}]
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, tiny_bundles: Path) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("bad")
    given = Node(
        folder / "node",
        tiny_bundles,
        [folder_destination(folder / "out", name="out")],
        settings={"dicom": {"idle_timeout_s": 1.5, "max_associations": 60}},
        rules=RULES,
    )
    with given.up():
        yield given


@pytest.fixture(autouse=True)
def answers_a_good_study_right_after(node: Node, request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever the test did to the node, the next good radiograph is read and its results are delivered."""
    yield
    ds = dx(Place(study=9000 + abs(hash(request.node.name)) % 10**6))
    assert stow(node, as_file(ds)).status_code == 200
    assert node.wait_for_jobs([ds.StudyInstanceUID])[ds.StudyInstanceUID]["state"] == "done"
    wait_until(
        lambda: [one["state"] for one in node.deliveries() if one["study_instance_uid"] == ds.StudyInstanceUID] == ["committed"] * 2,
        what="results of the good study to be delivered",
    )


def refusal_reasons(node: Node) -> dict[str, int]:
    reasons: dict[str, int] = node.status()["refusals"]
    return reasons


def failure_reason(answer: Any) -> int:
    """Failure Reason (0008,1197) of the one instance of a STOW-RS response; one without UIDs is an other failure (0008,119A)."""
    module = answer.json()
    (failed,) = (module.get("00081198") or module["0008119A"])["Value"]
    return int(failed["00081197"]["Value"][0])


def truncated() -> bytes:
    return as_file(dx(Place(study=201)))[:-5001]


def without_sop_class() -> bytes:
    ds = dx(Place(study=202))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    del ds.SOPClassUID
    ds.file_meta = meta
    buffer = pydicom.filebase.DicomBytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=False)
    return buffer.getvalue()


def nonsense() -> bytes:
    return bytes(128) + b"DICM" + b"%PDF-1.7 " * 400


@pytest.mark.parametrize(
    ("make", "reason", "status"),
    [(truncated, "truncated", 0xC000), (without_sop_class, "uid_missing", 0xA900), (nonsense, "cannot_understand", 0xC000)],
)
def test_what_cannot_be_stored_is_refused_and_the_reason_is_counted(
    node: Node, make: Callable[[], bytes], reason: str, status: int
) -> None:
    before = refusal_reasons(node).get(reason, 0)
    answer = stow(node, make())
    assert answer.status_code == 409
    assert failure_reason(answer) & 0xF000 == status & 0xF000
    assert refusal_reasons(node)[reason] == before + 1
    assert node.ptx("status")["refusals"][reason] == before + 1


def test_a_data_set_without_preamble_is_read_over_stow_rs(node: Node, tmp_path: Path) -> None:
    ds = dx(Place(study=210))
    path = tmp_path / "whole.dcm"
    path.write_bytes(as_file(ds))
    bare = data_set_bytes(path)
    assert stow(node, bare).status_code == 200
    assert node.wait_for_jobs([ds.StudyInstanceUID])[ds.StudyInstanceUID]["state"] == "done"
    assert data_set_bytes(node.store / node.instances()[ds.SOPInstanceUID].path) == bare


def short_pixel_data() -> Dataset:
    ds = dx(Place(study=221))
    ds.PixelData = ds.PixelData[: len(ds.PixelData) // 2]
    return ds


def retired_codec() -> Dataset:
    ds = dx(Place(study=222))
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.53"
    ds.PixelData = encapsulate([b"\xff\xd8" + bytes(100) + b"\xff\xd9"])
    ds["PixelData"].VR = "OB"
    return ds


def corrupt_jpeg() -> Dataset:
    ds = dx(Place(study=223))
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    ds.PixelData = encapsulate([b"\xff\xd8" + bytes(100) + b"\xff\xd9"])
    ds["PixelData"].VR = "OB"
    return ds


def several_frames() -> Dataset:
    ds = dx(Place(study=224))
    ds.NumberOfFrames = 2
    ds.PixelData = ds.PixelData * 2
    return ds


def palette() -> Dataset:
    ds = cr(Place(study=225), bits=8, photometric="MONOCHROME2")
    ds.PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"{colour}PaletteColorLookupTableData", np.arange(256, dtype="<u2").tobytes())
    return ds


def rgb() -> Dataset:
    ds = cr(Place(study=226), bits=8, photometric="MONOCHROME2")
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.PixelData = np.repeat(np.frombuffer(ds.PixelData, dtype=np.uint8), 3).tobytes()
    return ds


def without_pixels() -> Dataset:
    ds = dx(Place(study=227))
    del ds.PixelData
    return ds


def foreign(sop_class_uid: str, modality: str, study: int) -> Dataset:
    """An object that is no image of ours to read, with the identifying attributes only."""
    ds = dx(Place(study=study))
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"):
        del ds[keyword]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class_uid
    ds.Modality = modality
    return ds


def foreign_segmentation() -> Dataset:
    return foreign(SegmentationStorage, "SEG", 228)


def foreign_report() -> Dataset:
    return foreign(COMPREHENSIVE_3D_SR, "SR", 229)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (short_pixel_data, "pixel_data_truncated"),
        (retired_codec, "unsupported_transfer_syntax"),
        (corrupt_jpeg, "pixel_data_corrupt"),
        (several_frames, "multi_frame"),
        (palette, "unsupported_photometric"),
        (rgb, "unsupported_photometric"),
        (without_pixels, "no_pixel_data"),
        (foreign_segmentation, "not_an_image"),
        (foreign_report, "not_an_image"),
    ],
)
def test_what_cannot_be_read_is_stored_and_not_eligible_for_a_coded_reason(node: Node, make: Callable[[], Dataset], reason: str) -> None:
    ds = make()
    assert stow(node, as_file(ds)).status_code == 200
    job = node.wait_for_jobs([ds.StudyInstanceUID])[ds.StudyInstanceUID]
    assert (job["state"], job["reason"]) == ("not_eligible", reason)
    assert job["detail"]
    (shown,) = node.ptx("jobs", "--study", ds.StudyInstanceUID)
    assert (shown["state"], shown["reason"]) == ("not_eligible", reason)


def window_of_width_zero(place: Place) -> Dataset:
    return dx(place, WindowCenter=2048, WindowWidth=0)


def several_windows(place: Place) -> Dataset:
    return dx(place, WindowCenter=[2048, 1000], WindowWidth=[4096, 500])


def rescale_slope_zero(place: Place) -> Dataset:
    return dx(place, RescaleSlope=0)


def rescale_without_intercept(place: Place) -> Dataset:
    return dx(place, RescaleIntercept=ABSENT, RescaleSlope="0.5")


def no_window(place: Place) -> Dataset:
    return dx(place, WindowCenter=ABSENT, WindowWidth=ABSENT)


def voi_lut(place: Place) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 16]
    item.LUTData = (np.arange(4096, dtype="<u2") * 16).tobytes()
    item["LUTData"].VR = "OW"
    return dx(place, WindowCenter=ABSENT, WindowWidth=ABSENT, VOILUTSequence=[item])


def voi_lut_too_short(place: Place) -> Dataset:
    ds = voi_lut(place)
    ds.VOILUTSequence[0].LUTData = bytes(64)
    return ds


@pytest.mark.parametrize(
    "make",
    [
        *(lambda place, bits=bits: dx(place, bits=bits) for bits in (8, 10, 12, 16)),
        lambda place: cr(place, photometric="MONOCHROME1"),
        several_windows,
        no_window,
        voi_lut,
        rescale_without_intercept,
    ],
    ids=["8 bits", "10 bits", "12 bits", "16 bits", "MONOCHROME1", "two windows", "no window", "VOI LUT", "no intercept"],
)
def test_every_grey_scale_of_the_standard_is_read(node: Node, make: Callable[[Place], Dataset], request: pytest.FixtureRequest) -> None:
    ds = make(Place(study=3000 + abs(hash(request.node.name)) % 10**6))
    assert stow(node, as_file(ds)).status_code == 200
    assert node.wait_for_jobs([ds.StudyInstanceUID])[ds.StudyInstanceUID]["state"] == "done"


@pytest.mark.parametrize("make", [window_of_width_zero, rescale_slope_zero, voi_lut_too_short])
def test_a_grey_scale_that_the_standard_forbids_is_read_or_refused_but_never_fails(node: Node, make: Callable[[Place], Dataset]) -> None:
    ds = make(Place(study=4000 + abs(hash(make.__name__)) % 10**6))
    assert stow(node, as_file(ds)).status_code == 200
    job = node.wait_for_jobs([ds.StudyInstanceUID])[ds.StudyInstanceUID]
    assert job["attempts"] <= 1
    assert job["state"] == "done" or (job["state"] == "not_eligible" and job["reason"] and job["detail"])


def uneven_spacing() -> list[Dataset]:
    series = ct_series(8, Place(study=501))
    for index, ds in enumerate(series):
        ds.ImagePositionPatient = [-175, -180, -300 + 1.25 * index + (0.6 if index % 2 else 0.0)]
    return series


def gap() -> list[Dataset]:
    series = ct_series(10, Place(study=502))
    return series[:4] + series[6:]


def two_sizes() -> list[Dataset]:
    series = ct_series(6, Place(study=503))
    series[3].Rows = 64
    series[3].PixelData = series[3].PixelData[: len(series[3].PixelData) // 2]
    return series


def same_place() -> list[Dataset]:
    series = ct_series(6, Place(study=504))
    for ds in series:
        ds.ImagePositionPatient = [-175, -180, -300]
    return series


@pytest.mark.parametrize(
    ("make", "state", "reason"),
    [
        (two_sizes, "not_eligible", "inconsistent_sizes"),
        (same_place, "not_eligible", "duplicate_slices"),
        (uneven_spacing, "done", "inconsistent_spacing"),
        (gap, "done", "missing_slices"),
    ],
)
def test_a_broken_ct_series_is_refused_or_read_without_a_volume_for_a_coded_reason(
    node: Node, make: Callable[[], list[Dataset]], state: str, reason: str
) -> None:
    """Where only the distances are in doubt the pixels are read, and the finding says why it has no volume."""
    series = make()
    assert stow(node, *map(as_file, series)).status_code == 200
    study = series[0].StudyInstanceUID
    node.wait_for_jobs([study])
    (job,) = node.ptx("jobs", "--study", study)
    assert job["state"] == state
    if state == "not_eligible":
        assert job["reason"] == reason
    else:
        (finding,) = job["findings"]
        assert (finding["volume_ml"], finding["spacing_reason"]) == (None, reason)


def half_an_instance(node: Node, uid: str) -> socket.socket:
    data = bytes(200_000)
    sock = socket.create_connection(("127.0.0.1", node.port), timeout=30)
    sock.sendall(associate_rq(ComputedRadiographyImageStorage))
    assert read_pdu(sock)[0] == ASSOCIATE_AC
    sock.sendall(store_command(ComputedRadiographyImageStorage, uid))
    for start in range(0, len(data), 10_000):
        sock.sendall(p_data(data[start : start + 10_000], control=0))
    wait_until(lambda: any((node.store / "incoming").iterdir()), what="the receiver to be in the middle of the instance")
    return sock


@pytest.mark.parametrize("how", ["abort", "close"])
def test_an_association_that_ends_half_way_leaves_nothing_but_its_reason(node: Node, how: str) -> None:
    before = refusal_reasons(node).get("association_aborted", 0)
    uid = f"1.2.3.4.{how == 'abort':d}"
    with half_an_instance(node, uid) as sock:
        if how == "abort":
            sock.sendall(bytes((ABORT, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
    wait_until(lambda: refusal_reasons(node).get("association_aborted", 0) == before + 1, what="the reason to be counted")
    assert not list((node.store / "incoming").iterdir())
    assert uid not in node.instances()


def test_a_peer_that_never_sends_is_sent_away(node: Node) -> None:
    before = refusal_reasons(node).get("association_idle", 0)
    with associated(node.port, VERIFICATION) as sock:
        assert read_pdu(sock)[0] == ABORT
    wait_until(lambda: refusal_reasons(node).get("association_idle", 0) == before + 1, what="the reason to be counted")


def test_two_hundred_associations_at_once_are_each_accepted_or_turned_away_for_now(node: Node) -> None:
    """The limit is 60 a process here: all are answered at once, those over it with "local limit exceeded" (PS3.8 table 9-21)."""
    sockets = [socket.create_connection(("127.0.0.1", node.port), timeout=30) for _ in range(200)]
    try:
        for sock in sockets:
            sock.sendall(associate_rq(VERIFICATION))
        answers = [read_pdu(sock) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
    kinds = [kind for kind, _ in answers]
    rejected = {body[1:] for kind, body in answers if kind == ASSOCIATE_RJ}
    assert kinds.count(ASSOCIATE_AC) >= 60
    assert kinds.count(ASSOCIATE_AC) + kinds.count(ASSOCIATE_RJ) == 200
    assert rejected <= {bytes((2, 3, 2))}
    wait_until(lambda: refusal_reasons(node).get("association_rejected", 0) > 0, what="the reason to be counted")
