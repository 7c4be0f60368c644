"""Loaders on files in the exact real formats, wrong ones among them."""

from __future__ import annotations

import contextlib
import gzip
import shutil

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest

from ptx_node.dicom.pixels import read_radiograph
from ptx_node.errors import InputError, UsageError
from tests.factories import Place, Size, as_file, cr, dx, siim_like
from tests.training.real_formats import SHAPE, blob, grey, siim_uid, slow_decode, write_ct, write_png, write_siim, write_table
from training.datasets import open_data_set, read, run_lengths
from training.datasets.nifti import Plane
from training.datasets.writing import save_nifti, save_seg

NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
CHEXPERT = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,"
    "Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
PADCHEST = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,MethodProjection,"
    "Pediatric,Modality_DICOM,Manufacturer_DICOM,PhotometricInterpretation_DICOM,PixelRepresentation_DICOM,PixelAspectRatio_DICOM,"
    "SpatialResolution_DICOM,BitsStored_DICOM,WindowCenter_DICOM,WindowWidth_DICOM,Rows_DICOM,Columns_DICOM,XRayTubeCurrent_DICOM,"
    "Exposure_DICOM,ExposureInuAs_DICOM,ExposureTime,RelativeXRayExposure_DICOM,ReportID,Report,MethodLabel,Labels,Localizations,"
    "LabelsLocalizationsBySentence,labelCUIS,LocalizationsCUIS"
)


def reasons(data_set, path_name: str | None = None) -> list[tuple[int | None, str]]:
    return [(one.line, one.reason) for one in data_set.problems if path_name in (None, one.path.name)]


# --- run lengths


@pytest.mark.parametrize("seed", range(6))
def test_run_lengths_come_back_as_the_slow_definition_reads_them(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 40)), int(rng.integers(1, 40)))
    mask = rng.random(shape) < rng.choice([0.05, 0.5, 0.97])
    mask[0, 0] |= seed == 0
    text = run_lengths.encode(mask)
    expected = np.zeros(shape, bool) if text == "-1" else slow_decode(text, shape)
    np.testing.assert_array_equal(mask, expected)
    if mask.any():
        np.testing.assert_array_equal(mask, run_lengths.decode(text, shape))


def test_runs_go_down_the_columns_and_start_from_the_end_of_the_last_one():
    expected = np.zeros((4, 3), bool)
    expected[2:, 0] = expected[1, 1] = True
    np.testing.assert_array_equal(expected, run_lengths.decode("2 2 1 1", (4, 3)))
    assert run_lengths.encode(expected) == "2 2 1 1"
    assert run_lengths.encode(~expected[:0]) == run_lengths.EMPTY


# --- SIIM-ACR


@pytest.mark.parametrize("heading", ["ImageId, EncodedPixels", "ImageId,EncodedPixels"])
def test_siim_gives_labels_patients_and_the_union_of_several_masks(tmp_path, heading):
    write_siim(tmp_path, [(2, "-1"), (3, "45 5 35 6"), (3, "805 10")], files=[2, 3], heading=heading)
    data_set = open_data_set("siim", tmp_path)
    assert not data_set.problems
    empty, drawn = data_set.records
    assert (0, 1) == (empty.label, drawn.label)
    assert empty.patient_id == drawn.patient_id == "16d7f894-55d7-4d95-0001"
    assert ("PA", "M", 23.0, "CR") == (drawn.view, drawn.sex, drawn.age_years, drawn.modality)
    image, mask = read(drawn)
    np.testing.assert_array_equal(read_radiograph(drawn.path).image_HW, image)
    np.testing.assert_array_equal(slow_decode("45 5 35 6", SHAPE) | slow_decode("805 10", SHAPE), mask)
    nothing = read(empty)[1]
    assert nothing.shape == SHAPE
    assert not nothing.any()


def test_what_is_wrong_in_siim_is_named_with_file_line_and_reason_and_the_rest_is_read(tmp_path):
    rows = [(1, "-1"), (2, "10 5 7"), (3, "10 x"), (4, "0 1281"), (5, "3 4 -2 1"), (6, "10 20"), (6, "25 3"), (7, "-1"), (7, "5 5")]
    table = write_siim(tmp_path, [*rows, (8, "-1"), (9, "4 0"), (12, "1278 2")], files=[1, 2, 3, 4, 5, 6, 7, 9, 10, 12])
    (tmp_path / "dicom-images-train" / "broken.dcm").write_bytes(b"this is no DICOM file")
    data_set = open_data_set("siim", tmp_path)
    assert [1, 6, 12] == sorted(int(record.image_id.split(".")[-3]) for record in data_set.records)
    found = dict(reasons(data_set, table.name))
    assert "3 numbers cannot be pairs" in found[3]
    assert "'x'" in found[4]
    assert "end at pixel 1281" in found[5]
    assert "run 2 is '-2 1'" in found[6]
    assert "overlaps the mask of line 7; both are taken together" in found[8]
    assert "has a mask in line 10 and none (-1) in this one" in found[9]
    assert found[11] == f"no DICOM file for {siim_uid(8)}"
    assert "a length 1 or more" in found[12]
    assert 8 == len(found)
    assert "has no row" in reasons(data_set, f"{siim_uid(10)}.dcm")[0][1]
    assert "cannot be read as DICOM" in reasons(data_set, "broken.dcm")[0][1]
    assert 10 == len(data_set.problems)


def test_a_mapping_gives_siim_its_patients_and_names_the_images_that_it_lacks(tmp_path):
    write_siim(tmp_path, [(number, "-1") for number in (2, 3, 4)], files=[2, 3, 4])
    mapping = tmp_path.parent / f"{tmp_path.name}-patients.csv"
    mapping.write_text(f"ImageId,PatientId\n{siim_uid(2)},A\n{siim_uid(4)},A\n")
    data_set = open_data_set("siim", tmp_path, patients=mapping)
    assert ["A", "A"] == [record.patient_id for record in data_set.records]
    assert siim_uid(3) in data_set.problems[0].reason
    mapping.write_text(f"ImageId,PatientId\n{siim_uid(2)},A\n{siim_uid(2)},B\n")
    with pytest.raises(UsageError, match=r":3: .* belongs to A and to B"):
        open_data_set("siim", tmp_path, patients=mapping)


def test_a_file_that_hides_its_patient_is_its_own_patient_and_says_so(tmp_path):
    (tmp_path / "ID_0011fe81e.dcm").write_bytes(as_file(siim_like(PatientID="", size=Size(*SHAPE))))
    (tmp_path / "train-rle.csv").write_text("ImageId, EncodedPixels\nID_0011fe81e, -1\n")
    record = open_data_set("siim", tmp_path).records[0]
    assert "image:ID_0011fe81e" == record.patient_id
    assert record.extra["patient_unknown"]


def test_a_folder_without_table_or_a_table_without_columns_is_refused_in_one_line(tmp_path):
    with pytest.raises(UsageError, match="holds no table"):
        open_data_set("siim", tmp_path)
    (tmp_path / "train-rle.csv").write_text("image;mask\n1;2\n")
    with pytest.raises(UsageError, match=r"train-rle.csv:1: no column ImageId, EncodedPixels"):
        open_data_set("siim", tmp_path)
    with pytest.raises(UsageError, match="no data set format 'sim'"):
        open_data_set("sim", tmp_path)


def test_the_real_siim_file_is_read_as_the_node_reads_it(tmp_path, real_files):
    path = shutil.copy(real_files / "cxr-jpeg-baseline-8bit.dcm", tmp_path / "one.dcm")
    uid = pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
    (tmp_path / "train-rle.csv").write_text(f"ImageId, EncodedPixels\n{uid}, -1\n")
    record = open_data_set("siim", tmp_path).records[0]
    assert ("PA", "M", 62.0, False) == (record.view, record.sex, record.age_years, record.simulated)
    assert (1024, 1024) == read(record)[0].shape == read(record)[1].shape


# --- tables with pictures


def test_nih_reads_its_table_and_grey_pictures_saved_in_colour(tmp_path):
    write_png(tmp_path / "images_001" / "images" / "00000001_000.png", grey())
    write_png(tmp_path / "images_002" / "images" / "00000002_000.png", grey(), "RGBA")
    write_png(tmp_path / "images_002" / "images" / "00000003_000.png", grey())
    write_png(tmp_path / "images_002" / "images" / "00000009_000.png", grey())
    colour = np.zeros((8, 8, 3), np.uint8)
    colour[..., 0] = 200
    write_png(tmp_path / "images_002" / "images" / "00000004_000.png", colour)
    lines = [
        "00000001_000.png,Cardiomegaly|Pneumothorax,000,1,058,M,PA,2682,2749,0.143,0.143,",
        "00000002_000.png,No Finding,000,2,411,F,AP,2500,2048,0.168,0.168,",
        "00000003_000.png,No Finding|Mass,000,3,081,F,PA,2500,2048,0.168,0.168,",
        "00000005_000.png,No Finding,000,3,081,F,PA,2500,2048,0.168,0.168,",
        "00000001_000.png,No Finding,001,1,058,M,PA,2682,2749,0.143,0.143,",
        "00000004_000.png,Pneumothorax,000,4,060Y,M,AP,2682,2749,0.143,0.143,",
    ]
    (tmp_path / "Data_Entry_2017.csv").write_text("\n".join([NIH, *lines]) + "\n")
    data_set = open_data_set("nih", tmp_path)
    first, second, third = data_set.records
    assert (1, "nih:1", 58.0, "M", "PA") == (first.label, first.patient_id, first.age_years, first.sex, first.view)
    assert (0, None, "AP") == (second.label, second.age_years, second.view)
    assert 60.0 == third.age_years
    image, mask = read(first)
    assert mask is None
    np.testing.assert_array_equal(image, read(second)[0])
    assert np.corrcoef(grey().ravel(), image.ravel())[0, 1] > 0.999
    with pytest.raises(InputError, match="picture in colour"):
        read(third)
    found = {line: reason for line, reason in reasons(data_set) if line}
    assert {3, 4, 5, 6} == set(found)
    assert "'411' is not believed" in found[3]
    assert "contradiction" in found[4]
    assert "no picture 00000005_000.png" in found[5]
    assert "also in line 2" in found[6]
    assert "has no row" in reasons(data_set, "00000009_000.png")[0][1]


def chexpert(folder, values: list[tuple[str, str]]) -> None:
    rows = []
    for number, (view, value) in enumerate(values):
        path = f"CheXpert-v1.0-small/train/patient{number:05d}/study1/view1_{view.lower()}.jpg"
        write_png(folder / path.split("/", 1)[1], grey(number))
        rows.append([path, "Female", "68", view, "AP" if view == "Frontal" else "", *[""] * 9, value, "", "", "", "1.0"])
    write_table(folder / "train.csv", CHEXPERT, rows)


@pytest.mark.parametrize(("policy", "label"), [("ignore", None), ("zeros", 0), ("ones", 1)])
def test_chexpert_uncertain_labels_follow_the_policy(tmp_path, policy, label):
    chexpert(
        tmp_path, [("Frontal", "1.0"), ("Frontal", "0.0"), ("Frontal", "-1.0"), ("Frontal", ""), ("Lateral", "1.0"), ("Frontal", "yes")]
    )
    (tmp_path / "train" / "patient00001" / "study1" / "view1_frontal.jpg").unlink()
    data_set = open_data_set("chexpert", tmp_path, uncertain=policy)
    assert [1, label, 0] == [record.label for record in data_set.records]
    assert ("chexpert:patient00000", "F", 68.0, "AP") == tuple(
        getattr(data_set.records[0], name) for name in ("patient_id", "sex", "age_years", "view")
    )
    assert [3, 7] == [line for line, _ in reasons(data_set)]
    assert "'yes'" in data_set.problems[1].reason
    assert (48, 40) == read(data_set.records[0])[0].shape


def test_chexpert_can_leave_out_what_is_uncertain_or_not_mentioned(tmp_path):
    chexpert(tmp_path, [("Frontal", "1.0"), ("Frontal", "-1.0"), ("Frontal", "")])
    assert [1] == [one.label for one in open_data_set("chexpert", tmp_path, uncertain="leave_out", blank="leave_out").records]
    with pytest.raises(UsageError, match="there are ignore, zeros, ones, leave_out"):
        open_data_set("chexpert", tmp_path, uncertain="maybe")


def padchest_row(name: str, labels: str, projection: str = "PA") -> list[str]:
    values = dict.fromkeys(PADCHEST.split(","), "")
    values |= {
        "ImageID": name,
        "ImageDir": "0",
        "StudyID": "S1",
        "PatientID": "8410",
        "PatientBirth": "1934.0",
        "StudyDate_DICOM": "20140915",
    }
    values |= {"PatientSex_DICOM": "M", "Projection": projection, "Labels": labels, "MethodLabel": "Physician", "Modality_DICOM": "CR"}
    return list(values.values())


def test_padchest_reads_lists_of_labels_and_sixteen_bit_pictures(tmp_path):
    for number in range(6):
        write_png(tmp_path / "0" / f"{number}.png", grey(number, bits=16))
    rows = [
        padchest_row("0.png", "['pneumothorax', 'chest drain tube']"),
        padchest_row("1.png", "['normal ']"),
        padchest_row("2.png", "['suboptimal study']", "AP_horizontal"),
        padchest_row("3.png", "nan"),
        padchest_row("4.png", "['pneumothorax']", "L"),
        padchest_row("5.png", "['exclude']"),
        padchest_row("6.png", "['normal']"),
    ]
    write_table(tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", PADCHEST, rows)
    data_set = open_data_set("padchest", tmp_path)
    assert [1, 0, None] == [record.label for record in data_set.records]
    assert [80.0, "M", "PA", "padchest:8410"] == [getattr(data_set.records[0], name) for name in ("age_years", "sex", "view", "patient_id")]
    assert [
        (5, "labels 'nan' are no Python list: left out"),
        (7, "5.png is marked 'exclude': left out"),
        (8, "no picture 6.png: left out"),
    ] == reasons(data_set)
    image, _ = read(data_set.records[0])
    assert np.corrcoef(grey(0, bits=16).ravel(), image.ravel())[0, 1] > 0.999
    assert 0.0 == image.min() < image.max() == 1.0
    assert [1, 0, 0] == [record.label for record in open_data_set("padchest", tmp_path, suboptimal=True).records]


# --- DICOM with SEG


def test_seg_masks_find_their_radiographs_by_sop_instance_uid(tmp_path):
    mask = np.zeros((1, 256, 224), bool)
    mask[0, 30:60, 40:70] = True
    first, second, third = dx(Place(study=1)), cr(Place(study=2)), dx(Place(study=3))
    for ds in (first, second, third):
        (tmp_path / f"{ds.StudyID}.dcm").write_bytes(as_file(ds))
    save_seg(tmp_path / "mask.dcm", [second], mask)
    save_seg(tmp_path / "stray.dcm", [dx(Place(study=9))], mask)
    (tmp_path / "labels.csv").write_text(f"SOPInstanceUID,label\n{third.SOPInstanceUID},\n{first.SOPInstanceUID},perhaps\n")
    data_set = open_data_set("dicom_seg", tmp_path)
    assert {"1": 0, "2": 1, "3": None} == {record.path.stem: record.label for record in data_set.records}
    by_name = {record.path.stem: record for record in data_set.records}
    image, drawn = read(by_name["2"])
    np.testing.assert_array_equal(mask[0], drawn)
    assert (256, 224) == image.shape
    assert not read(by_name["1"])[1].any()
    assert read(by_name["3"])[1] is None
    assert {(3, "label is 'perhaps', not 1, 0 or blank: ignored")} < set(reasons(data_set))
    assert "refers to an image that is not here" in reasons(data_set, "stray.dcm")[0][1]


def test_a_seg_of_another_size_is_an_error_with_its_reason(tmp_path):
    ds = dx(Place(study=1))
    save_seg(tmp_path / "mask.dcm", [ds], np.ones((1, 256, 224), bool))
    (tmp_path / "1.dcm").write_bytes(as_file(dx(Place(study=1), size=Size(128, 112))))
    with pytest.raises(InputError, match=r"mask.dcm is \(256, 224\), the image \(128, 112\)"):
        read(open_data_set("dicom_seg", tmp_path).records[0])


# --- CT

TILTED = [0.96, 0.28, 0.0, -0.168, 0.576, 0.8]
FEET_FIRST = [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def masks_of(data_set) -> tuple[list[float], np.ndarray, np.ndarray]:
    places = [record.extra["position_mm"][2] for record in data_set.records]
    pixels = [read(record) for record in data_set.records]
    return places, np.stack([hu for hu, _ in pixels]), np.stack([mask for _, mask in pixels])


@pytest.mark.parametrize("orientation", [[1, 0, 0, 0, 1, 0], TILTED, FEET_FIRST], ids=["axial", "oblique", "normal to the feet"])
def test_seg_and_nifti_masks_lie_on_the_same_ct_pixels(tmp_path, orientation):
    slices = write_ct(tmp_path / "seg", orientation)
    write_ct(tmp_path / "nifti", orientation)
    planes = [Plane(tuple(ds.ImagePositionPatient), tuple(orientation), (0.9, 0.7)) for ds in slices]
    save_seg(tmp_path / "seg" / "mask.dcm", slices, blob())
    save_nifti(tmp_path / "nifti" / "mask.nii.gz", planes, blob())
    by_seg, by_nifti = (open_data_set("ct_folder", tmp_path / name) for name in ("seg", "nifti"))
    assert () == by_seg.problems == by_nifti.problems
    feet_up = blob() if slices[-1].ImagePositionPatient[2] > slices[0].ImagePositionPatient[2] else blob()[::-1]
    for data_set in (by_seg, by_nifti):
        places, hu, masks = masks_of(data_set)
        assert sorted(places) == places
        np.testing.assert_array_equal(feet_up, masks)
        assert feet_up.any(axis=(1, 2)).astype(int).tolist() == [record.label for record in data_set.records]
        assert list(range(6)) == [record.slice_index for record in data_set.records]
        assert np.int16 == hu.dtype
    assert -1024 <= hu.min() < hu.max() <= 3071


@pytest.mark.parametrize(("axes", "flips"), [((0, 1, 2), ()), ((2, 0, 1), (0,)), ((1, 0, 2), (1, 2)), ((0, 2, 1), (0, 1, 2))])
def test_a_nifti_mask_means_the_same_however_its_voxels_are_ordered(tmp_path, axes, flips):
    slices = write_ct(tmp_path / "s", TILTED)
    planes = [Plane(tuple(ds.ImagePositionPatient), tuple(TILTED), (0.9, 0.7)) for ds in slices]
    save_nifti(tmp_path / "plain.nii", planes, blob())
    plain = nibabel.load(tmp_path / "plain.nii")
    orientation = np.array([[axis, -1 if axis in flips else 1] for axis in axes])
    turned = plain.as_reoriented(orientation)
    assert not np.allclose(turned.affine, plain.affine) or axes == (0, 1, 2)
    nibabel.save(turned, tmp_path / "s" / "mask.nii.gz")
    (tmp_path / "plain.nii").unlink()
    np.testing.assert_array_equal(blob(), masks_of(open_data_set("ct_folder", tmp_path))[2])


def test_a_nifti_mask_of_another_place_or_without_one_leaves_its_series_out(tmp_path):
    slices = write_ct(tmp_path / "s")
    planes = [Plane((400.0, 0.0, float(ds.ImagePositionPatient[2])), (1, 0, 0, 0, 1, 0), (0.9, 0.7)) for ds in slices]
    save_nifti(tmp_path / "s" / "mask.nii.gz", planes, blob())
    data_set = open_data_set("ct_folder", tmp_path)
    assert () == data_set.records
    assert "lies beside series" in data_set.problems[0].reason
    image = nibabel.Nifti1Image(blob().astype(np.uint8), np.eye(4))
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nibabel.save(image, tmp_path / "s" / "mask.nii.gz")
    assert "nowhere where it lies in space" in open_data_set("ct_folder", tmp_path).problems[0].reason
    (tmp_path / "s" / "mask.nii.gz").write_bytes(gzip.compress(b"no NIfTI"))
    assert "cannot be read as NIfTI" in open_data_set("ct_folder", tmp_path).problems[0].reason


def test_a_series_without_a_mask_is_unlabelled_and_a_mask_without_a_series_is_named(tmp_path):
    slices = write_ct(tmp_path / "s")
    planes = [Plane(tuple(ds.ImagePositionPatient), (1, 0, 0, 0, 1, 0), (0.9, 0.7)) for ds in slices]
    (tmp_path / "masks").mkdir()
    save_nifti(tmp_path / "masks" / "other.nii.gz", planes, blob())
    data_set = open_data_set("ct_folder", tmp_path)
    assert {None} == {record.label for record in data_set.records}
    assert "belongs to no series" in data_set.problems[0].reason
    (tmp_path / "masks" / "other.nii.gz").rename(tmp_path / "masks" / f"{slices[0].SeriesInstanceUID}_mask.nii.gz")
    assert 3 == sum(record.label for record in open_data_set("ct_folder", tmp_path).records)


def test_the_seg_that_is_written_is_one_that_highdicom_reads(tmp_path):
    slices = write_ct(tmp_path / "s")
    save_seg(tmp_path / "mask.dcm", slices, blob())
    opened = highdicom.seg.segread(tmp_path / "mask.dcm")
    assert 3 == opened.number_of_segments * opened.NumberOfFrames
    assert "SIMULATED" == opened.ContentLabel


# --- damage


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["siim", "dicom_seg", "ct_folder"])
def test_damaged_bytes_become_problems_or_coded_errors_and_never_stop_the_rest(tmp_path, kind):
    """One file at a time gets a few wrong bytes; the untouched image is always among the records."""
    rng = np.random.default_rng(11)
    if kind == "siim":
        write_siim(tmp_path, [(2, "-1"), (3, "45 5 35 6")], files=[2, 3])
    elif kind == "dicom_seg":
        ds = dx(Place(study=1), size=Size(*SHAPE))
        (tmp_path / "1.dcm").write_bytes(as_file(ds))
        (tmp_path / "2.dcm").write_bytes(as_file(dx(Place(study=2), size=Size(*SHAPE))))
        save_seg(tmp_path / "mask.dcm", [ds], np.ones((1, *SHAPE), bool))
    else:
        slices = write_ct(tmp_path / "s")
        planes = [Plane(tuple(ds.ImagePositionPatient), (1, 0, 0, 0, 1, 0), (0.9, 0.7)) for ds in slices]
        save_nifti(tmp_path / "s" / "mask.nii", planes, blob())
        other = write_ct(tmp_path / "t", series=8)
        save_seg(tmp_path / "t" / "mask.dcm", other, blob())
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".csv")
    whole = open_data_set(kind, tmp_path)
    assert () == whole.problems
    for _ in range(60):
        path = files[int(rng.integers(len(files)))]
        before = path.read_bytes()
        damaged = bytearray(before)
        for place in rng.integers(0, min(len(before), 2500), int(rng.integers(1, 6))):
            damaged[place] = int(rng.integers(256))
        path.write_bytes(bytes(damaged) if rng.random() < 0.8 else before[: int(rng.integers(len(before)))])
        data_set = open_data_set(kind, tmp_path)
        assert data_set.records
        for record in data_set.records:
            with contextlib.suppress(InputError):
                read(record)
        path.write_bytes(before)
    assert whole == open_data_set(kind, tmp_path)
