"""The data set report finds what was planted, finds nothing in a clean set, and says what it cannot know."""

from __future__ import annotations

import csv
import html
import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage
from scipy import ndimage

from training.__main__ import main
from training.datasets.run_lengths import encode
from training.records import DataSet, Problem, Record
from training.splits import Split
from training.stats.alike import near_pairs
from training.stats.checks import findings
from training.stats.counts import summary
from training.stats.fingerprint import fingerprint, pixel_digest, small_picture
from training.stats.gather import gather

ROWS = 96
UID = "1.2.826.0.1.3680043.8.498.1."


def chest(seed: int, rows: int = ROWS) -> Any:
    """A frontal chest in rough shapes with a patient's own details; 8 bits."""
    rng = np.random.default_rng([seed, 3])
    y, x = np.mgrid[0:rows, 0:rows] / rows
    lungs = sum(np.exp(-((((x - side) / 0.16) ** 2 + ((y - 0.45) / 0.3) ** 2) ** 2)) for side in (0.29, 0.71))
    fine = ndimage.gaussian_filter(rng.standard_normal((rows, rows)), rows / 40)
    image = 0.85 - 0.6 * lungs - 0.6 * (np.abs(x - 0.5) > 0.47) + 0.05 * fine / fine.std()
    return np.asarray(np.clip(image, 0, 1) * 255, dtype=np.uint8)


def lateral(seed: int) -> Any:
    """One dark field in the middle, bright in front and behind."""
    y, x = np.mgrid[0:ROWS, 0:ROWS] / ROWS
    lung = np.exp(-((((x - 0.5) / 0.2) ** 2 + ((y - 0.42) / 0.3) ** 2) ** 2))
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((ROWS, ROWS)), 2)
    return np.asarray(np.clip(0.85 - 0.6 * lung + 0.05 * noise / noise.std(), 0, 1) * 255, dtype=np.uint8)


def square(row: int = 20, column: int = 20, edge: int = 10) -> str:
    mask = np.zeros((ROWS, ROWS), dtype=bool)
    mask[row : row + edge, column : column + edge] = True
    return "rle:" + encode(mask)


class Set:
    """A data set of hand-made records in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.records: list[Record] = []

    def add(self, pixels: Any, *, jpeg: bool = False, label: int = 0, patient: str | None = None, **attributes: Any) -> Record:
        """A DICOM file as it should be, but for what `attributes` change, and its record."""
        number = len(self.records)
        uid = f"{UID}{number}"
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = SecondaryCaptureImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = uid
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{uid}.1", f"{uid}.2"
        ds.PatientName, ds.PatientID, ds.PatientSex = "Secret^Name", patient or f"P{number}", "F"
        ds.PatientAge, ds.PatientBirthDate, ds.StudyDate = "050Y", "19700601", "20200701"
        ds.Modality, ds.ViewPosition, ds.PatientOrientation = "CR", "PA", ["L", "F"]
        ds.PixelSpacing = [3.5, 3.5]
        ds.Rows, ds.Columns = pixels.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
        bits = 8 * pixels.dtype.itemsize
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
        ds.PixelData = self._jpeg(pixels) if jpeg else pixels.tobytes()
        if jpeg:
            ds["PixelData"].is_undefined_length = True
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        path = self.folder / f"{number}.dcm"
        ds.save_as(path, enforce_file_format=True)
        return self._record(path, uid, label, ds.PatientID, sex=ds.PatientSex, view=ds.ViewPosition, modality=ds.Modality)

    def add_png(self, pixels: Any, *, label: int = 0, patient: str | None = None) -> Record:
        path = self.folder / f"{len(self.records)}.png"
        Picture.fromarray(pixels).save(path)
        return self._record(path, path.name, label, patient or f"P{len(self.records)}")

    def _record(self, path: Path, image_id: str, label: int, patient: str, **known: Any) -> Record:
        masks = (square(),) if label else ()
        record = Record(image_id, patient, path, label, masks=masks, masked=True, age_years=50.0, **known)
        self.records.append(record)
        return record

    @staticmethod
    def _jpeg(pixels: Any) -> bytes:
        stream = BytesIO()
        Picture.fromarray(pixels).save(stream, "JPEG", quality=60)
        return encapsulate([stream.getvalue()])

    def change(self, record: Record, **values: Any) -> Record:
        changed = replace(record, **values)
        self.records[self.records.index(record)] = changed
        return changed

    def gathered(self, problems: tuple[Problem, ...] = ()) -> Any:
        return gather({"set": DataSet("hand", tuple(self.records), problems)}, processes=1)

    def found(self, **options: Any) -> dict[str, list[tuple[str, ...]]]:
        """Kind -> image ids of each finding."""
        kinds: dict[str, list[tuple[str, ...]]] = {}
        for finding in findings(self.gathered(), **options):
            kinds.setdefault(finding.kind, []).append(tuple(image.record.image_id for image in finding.images))
        return kinds


@pytest.fixture
def made(tmp_path: Path) -> Set:
    """Eight clean images of eight patients."""
    made = Set(tmp_path / "set")
    for seed in range(8):
        made.add(chest(seed), label=seed % 2)
    return made


def test_a_clean_set_has_no_finding(made: Set) -> None:
    assert made.found() == {}


def test_the_same_pixels_are_found_across_compression_and_format(made: Set) -> None:
    first = made.add(chest(50))
    again = made.add_png(chest(50))
    assert {"same_pixels": [(first.image_id, again.image_id)]} == made.found()


def test_values_of_8_bits_in_16_have_the_same_digest() -> None:
    assert pixel_digest(chest(1)) == pixel_digest(chest(1).astype(np.uint16))
    assert pixel_digest(chest(1)) != pixel_digest(chest(1).reshape(ROWS // 2, -1))


@pytest.mark.parametrize(
    ("copy", "how"),
    [
        (lambda image: np.asarray(Picture.fromarray(image).resize((64, 80), Picture.Resampling.BILINEAR)), "same"),
        (lambda image: (np.clip(image / 255 * 1.2 - 0.05, 0, 1) ** 1.4 * 255).astype(np.uint8), "same"),
        (lambda image: np.clip(image + np.random.default_rng(0).normal(0, 4, image.shape), 0, 255).astype(np.uint8), "same"),
        (lambda image: np.ascontiguousarray(image[:, ::-1]), "mirrored"),
        (lambda image: 255 - image, "inverted"),
        (lambda image: np.ascontiguousarray(255 - image[:, ::-1]), "mirrored and inverted"),
    ],
    ids=["resized", "windowed", "noisy", "mirrored", "inverted", "both"],
)
def test_a_copy_is_found_among_other_patients(copy: Any, how: str) -> None:
    pictures = [chest(seed) for seed in range(20)]
    prints = [fingerprint(picture / 255) for picture in [*pictures, copy(pictures[7])]]
    rows = np.arange(21)
    pairs = near_pairs(np.array([one.code for one in prints]), np.array([one.details for one in prints]), rows)
    assert [(7, 20, how)] == [(pair.first, pair.second, pair.how) for pair in pairs]


def test_a_recompressed_copy_with_another_label_is_a_conflict(made: Set) -> None:
    first = made.add(chest(50), label=1)
    again = made.add(chest(50), jpeg=True, label=0)
    pair = [(first.image_id, again.image_id)]
    assert {"near_duplicate": pair, "label_conflict": pair} == made.found()


def test_slices_of_one_series_are_no_duplicates(made: Set) -> None:
    for index in range(2):
        slice_ = made.add(chest(60), jpeg=bool(index), Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
        made.change(slice_, series_id="one", slice_index=index)
    assert "near_duplicate" not in made.found()


def test_an_empty_picture_is_told_as_such_and_is_nobodys_copy(made: Set) -> None:
    empty = [made.add(np.full((ROWS, ROWS), 7, dtype=np.uint8)).image_id for _ in range(2)]
    assert {"flat": [(one,) for one in empty]} == made.found()


def test_laterals_are_found_by_attribute_and_by_picture(made: Set) -> None:
    stated = made.add(chest(50), ViewPosition="LL", PatientOrientation=["A", "F"])
    seen = made.add(lateral(1))
    turned = made.add(np.ascontiguousarray(np.rot90(chest(51))))
    assert {"other_view": [(stated.image_id,)], "may_be_lateral": [(seen.image_id,), (turned.image_id,)]} == made.found()


def test_a_negative_is_found_where_the_set_has_a_mean_picture(made: Set) -> None:
    for seed in range(20, 34):
        made.add(chest(seed))
    negative = made.add(255 - chest(60))
    assert {"may_be_inverted": [(negative.image_id,)]} == made.found()


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("uid", {"StudyInstanceUID": "ID_0011fe81e"}),
        ("sex", {"PatientSex": "W"}),
        ("age", {"PatientAge": "020Y"}),
        ("age", {"PatientAge": "old"}),
        ("age", {"PatientBirthDate": "20210101"}),
        ("orientation", {"PatientOrientation": ["A", "F"]}),
        ("orientation", {"PatientOrientation": ["R", "F"]}),
        ("orientation", {"PatientOrientation": ["L", "H"]}),
        ("modality", {"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1"}),
        ("modality", {"Modality": ""}),
        ("bits", {"HighBit": 6}),
        ("spacing", {"PixelSpacing": [35, 35]}),
        ("spacing", {"PixelSpacing": [3.5, 3.0]}),
        ("spacing", {"PixelSpacing": [0.139, 0.139]}),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_what_contradicts_itself_in_a_header_is_named(made: Set, kind: str, attributes: dict[str, Any]) -> None:
    wrong = made.add(chest(50), **attributes)
    assert {kind: [(wrong.image_id,)]} == made.found()


def test_values_that_do_not_fit_the_bits_are_named(made: Set) -> None:
    overlaid = chest(50).astype(np.uint16) * 16
    overlaid[40, 40] = 1 << 13
    wide = made.add(overlaid, BitsStored=12, HighBit=11)
    narrow = made.add(chest(51).astype(np.uint16), BitsStored=12, HighBit=11)
    right = made.add(chest(52).astype(np.uint16) * 16, BitsStored=12, HighBit=11)
    assert {"bits": [(wide.image_id,), (narrow.image_id,)]} == made.found(), right


def test_one_patient_of_two_sexes_and_birth_dates_is_named(made: Set) -> None:
    pair = tuple(
        made.add(chest(50 + place), patient="X", PatientSex=sex, PatientBirthDate=born).image_id
        for place, (sex, born) in enumerate((("F", "19700601"), ("M", "19700602")))
    )
    assert {"sex": [pair], "age": [pair]} == made.found()


def test_an_unknown_patient_is_named(made: Set) -> None:
    unknown = made.add_png(chest(50))
    made.change(unknown, extra={"patient_unknown": True})
    assert {"no_patient": [(unknown.image_id,)]} == made.found()


def test_masks_and_labels_that_contradict_each_other_are_named(made: Set) -> None:
    no_mask = made.change(made.add(chest(50), label=1), masks=())
    no_label = made.change(made.add(chest(51), label=0), masks=(square(),))
    uncertain = made.change(made.add(chest(52), label=0), label=None, masks=(square(),))
    undrawn = made.change(made.add(chest(53), label=1), masks=(), masked=False)
    expected = {"label_without_mask": [(no_mask.image_id,)], "mask_without_label": [(no_label.image_id,), (uncertain.image_id,)]}
    assert expected == made.found(), undrawn


def test_two_masks_of_one_picture_that_overlap_little_are_told(made: Set) -> None:
    first, again, third = (made.add(chest(50), jpeg=bool(place), label=1) for place in range(3))
    made.change(again, masks=(square(column=26),))
    made.change(third, masks=(square(column=27),))
    assert [(first.image_id, again.image_id), (first.image_id, third.image_id)] == made.found()["mask_conflict"]


def test_one_study_with_two_labels_is_told(made: Set) -> None:
    pair = tuple(made.add(chest(50 + label), label=label, patient="X", StudyInstanceUID="1.2.3").image_id for label in (0, 1))
    assert {"study_conflict": [pair]} == made.found()


def test_a_file_with_the_uid_of_another_is_told(made: Set) -> None:
    pair = [made.add(chest(50 + place), SOPInstanceUID="1.2.3").image_id for place in range(2)]
    assert {"same_sop_instance_uid": [tuple(pair)]} == made.found()


def test_leaks_of_a_split_are_found_by_patient_study_and_picture(made: Set) -> None:
    patient = [made.add(chest(50 + place), patient="X").image_id for place in range(2)]
    study = [made.add(chest(60 + place), StudyInstanceUID="1.2.3").image_id for place in range(2)]
    picture = [made.add(chest(70), jpeg=bool(place)).image_id for place in range(2)]
    part_of = dict.fromkeys((record.image_id for record in made.records), "train")
    part_of |= {patient[1]: "test", study[1]: "test", picture[1]: "test"}
    unknown = made.records[0].image_id
    del part_of[unknown]
    found = made.found(part_of=lambda image: part_of.get(image.record.image_id))
    assert [tuple(patient), tuple(study), tuple(picture)] == found["leak"]
    assert [(unknown,)] == found["not_in_split"]
    same = dict.fromkeys(part_of, "train") | {unknown: "train"}
    assert "leak" not in made.found(part_of=lambda image: same[image.record.image_id])


def test_a_file_without_pixels_is_named_and_the_rest_is_counted(made: Set) -> None:
    broken = made.add(chest(50))
    broken.path.write_bytes(broken.path.read_bytes()[:-500])
    gathered = made.gathered((Problem(made.folder / "train.csv", 17, "no such image"),))
    found = findings(gathered)
    assert [("problem", 17), ("unreadable", None)] == [(finding.kind, finding.line) for finding in found]
    assert 9 == summary(gathered, found)["data_sets"]["set"]["images"]
    assert 8 == summary(gathered, found)["data_sets"]["set"]["readable"]


def test_counts_and_mask_sizes_are_those_of_the_files(made: Set) -> None:
    gathered = made.gathered()
    numbers = summary(gathered, [])
    assert {"pneumothorax": {"set": {"images": 4, "positive": 4}}, "none": {"set": {"images": 4, "positive": 0}}} == numbers["counts"][
        "label"
    ]
    assert {"images": 8, "positive": 4} == numbers["counts"]["age_band"]["adult (40-64)"]["set"]
    assert {"0": 4, "1": 4} == {value: of["set"]["images"] for value, of in numbers["counts"]["masks"].items()}
    masks = numbers["masks"]["set"]
    assert (4, 100.0, 100 * 3.5**2) == (masks["images"], masks["pixels"]["median"], masks["mm2"]["median"])
    assert pytest.approx(100 * 100 / ROWS**2, abs=1e-4) == masks["percent"]["median"]
    assert 1.0 == numbers["completeness"]["set"]["view"]


def test_small_pictures_do_not_depend_on_brightness_and_contrast() -> None:
    dim, _ = small_picture(chest(1) / 255 * 0.4 + 0.2)
    assert np.abs(dim.astype(int) - small_picture(chest(1) / 255)[0]).max() <= 1


def test_the_command_writes_a_page_of_one_file_with_everything_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sets side by side through two processes, a split, SIMULATED at the top, no patient's name and no link to the outside."""
    siim = Set(tmp_path / "siim")
    rows = [("ImageId", "EncodedPixels")]
    for seed in range(17):
        record = siim.add(chest(seed), label=seed % 2, jpeg=True, Manufacturer="SIMULATED")
        rows.append((record.image_id, record.masks[0].removeprefix("rle:") if record.masks else "-1"))
    leak = siim.add(chest(3), label=1)
    rows += [(leak.image_id, square().removeprefix("rle:")), ("1.2.3", "-1")]
    with (siim.folder / "train-rle.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    split = Split("s", {f"P{number}": "test" if number == 17 else "train" for number in range(18)})
    split.save(tmp_path / "split.json")
    other = ["--data", f"siim:{siim.folder}", f"second=siim:{siim.folder}"]
    assert 0 == main(["stats", *other, "--out", str(tmp_path / "out"), "--split", str(tmp_path / "split.json")])
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.index("SIMULATED") < page.index("Overview</h2>")
    assert "Secret" not in page
    assert "19700601" not in page
    assert not re.search(r"(?:src|href)=\"(?!data:image/|#)", page)
    assert 10 < page.count("<img ") == page.count('src="data:image/')
    assert "no DICOM file for 1.2.3" in html.unescape(page)
    numbers = json.loads((tmp_path / "out" / "stats.json").read_text())
    assert (18, 18) == tuple(numbers["data_sets"][name]["images"] for name in ("siim", "second"))
    assert 1 <= numbers["findings"]["leak"]["siim"]
    with (tmp_path / "out" / "images.csv").open() as file:
        assert 36 == len(list(csv.DictReader(file)))
    assert any(leak.image_id in group for group in json.loads((tmp_path / "out" / "together.json").read_text()))
    assert "Same pixels" in capsys.readouterr().out


def test_a_set_of_png_files_says_what_is_missing(tmp_path: Path) -> None:
    pictures = Set(tmp_path / "png")
    for seed in range(3):
        pictures.add_png(chest(seed))
    gathered = pictures.gathered()
    numbers = summary(gathered, findings(gathered))
    assert 0.0 == numbers["completeness"]["set"]["manufacturer"]
    assert "manufacturer" not in numbers["counts"]
    assert None is numbers["masks"]["set"]["percent"]


def test_words_that_name_no_set_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["stats", "--data", "siim", "--out", str(tmp_path)])
    assert "KIND:FOLDER" in capsys.readouterr().err


def test_the_real_radiograph_is_read_as_a_frontal_one(real_files: Path, tmp_path: Path) -> None:
    path = real_files / "cxr-jpeg-baseline-8bit.dcm"
    gathered = gather({"real": DataSet("real", (Record("real", "p", path, 0),))}, processes=1)
    kinds = {finding.kind for finding in findings(gathered)}
    assert not kinds & {"unreadable", "may_be_lateral", "flat", "bits", "spacing"}
