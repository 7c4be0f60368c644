"""The independent scan finds a planted identifier in every form that a file can hold it in, and never says it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import io
import json
import subprocess
import sys
import time
import tracemalloc
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ptx_node.dicom.deidentify import deidentify, deidentify_file
from ptx_node.domain.pseudonym import Pseudonyms
from ptx_node.validation.leak_needles import Identifier, Kind, Needles
from ptx_node.validation.leak_scan import Leak, identifiers_of, scan_bytes, scan_folder
from tests import factories as make

PSEUDONYMS = Pseudonyms(b"a secret of the site, 32 bytes..")
PERSON = [
    Identifier(Kind.NAME, "Grünwald-Ode^Jérôme"),
    Identifier(Kind.NUMBER, "0047110815"),
    Identifier(Kind.ACCESSION, "ACC20260301-77"),
    Identifier(Kind.UID, "1.2.826.0.1.3680043.10.1508.7"),
    Identifier(Kind.BIRTH_DATE, "19611107"),
    Identifier(Kind.INSTITUTION, "Hôpital Saint-Exemple"),
    Identifier(Kind.NAME, "Yamada^Tarou=山田^太郎"),
]
NEEDLES = Needles(PERSON)
DAYS = (date(2024, 1, 1), date(2026, 2, 28))


def part10(ds: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", data)
    return buffer.getvalue()


def parquet(text: str) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - only this test needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    buffer = io.BytesIO()
    pq.write_table(pa.table({"n": [1, 2], "note": ["", text]}), buffer, compression="zstd")
    return buffer.getvalue()


def deflated_object(text: str) -> bytes:
    ds = make.dx(StudyDescription=text, SpecificCharacterSet="ISO_IR 192")
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return part10(ds)


FORMS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: f"x;{text};y".encode(),
    "upper case": lambda text: text.upper().encode(),
    "utf-16": lambda text: f"x {text} y".encode("utf-16"),
    "utf-16-be": lambda text: f"x {text} y".encode("utf-16-be"),
    "json": lambda text: json.dumps({"a": f"é {text}"}).encode(),
    "html": lambda text: f"<p>{html.escape(text).encode('ascii', 'xmlcharrefreplace').decode()}</p>".encode(),
    "url": lambda text: urllib.parse.quote(text).encode(),
    "base64": lambda text: b"data:text/plain;base64," + base64.b64encode(f"a long enough line {text}".encode()),
    "zip": lambda text: zipped(text.encode()),
    "zip in zip": lambda text: zipped(zipped(text.encode())),
    "gzip": lambda text: gzip.compress(text.encode()),
    "pdf": lambda text: b"%PDF-1.7\n1 0 obj\nstream\n" + zlib.compress(text.encode()) + b"\nendstream",
    "parquet": parquet,
    "deflated DICOM": deflated_object,
    "sha256": lambda text: hashlib.sha256(text.encode()).hexdigest().encode(),
    "md5 in capitals": lambda text: hashlib.md5(text.encode()).hexdigest().upper().encode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", range(len(PERSON)))
def test_every_identifier_is_found_in_every_form(form: str, place: int) -> None:
    value = PERSON[place].value.split("=")[-1]
    needles = Needles([PERSON[place]])
    leaks = list(scan_bytes("x.html" if form == "html" else "x", FORMS[form](value), needles))
    assert [leak for leak in leaks if leak.what.startswith(PERSON[place].kind)], leaks
    assert list(scan_bytes("x", FORMS[form]("nothing of anybody"), needles)) == [] or form == "deflated DICOM"


@pytest.mark.parametrize(
    "written",
    [
        *(
            "Jérôme Grünwald-Ode",
            "GRUNWALD-ODE, JEROME",
            "grünwald-ode jérôme",
            "jerome.grunwald-ode",
            "47110815",
            "1961-11-07",
            "07.11.1961",
        ),
        *("11/07/1961", "7 rue X, HOPITAL SAINT-EXEMPLE", "yamada tarou", "(山田 太郎)"),
    ],
)
def test_the_ways_in_which_people_write_it(written: str) -> None:
    assert [leak for leak in scan_bytes("x.csv", f"a,b\n1,{written}\n".encode(), NEEDLES) if leak.certain]


def test_character_sets_of_dicom_hide_nothing() -> None:
    for encoding in ("iso2022_jp", "shift_jis", "euc_jp"):
        assert list(scan_bytes("x", "山田".encode(encoding), NEEDLES))
    for encoding in ("latin-1", "cp1252"):
        assert list(scan_bytes("x", "JÉRÔME".encode(encoding), NEEDLES))


@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from(PERSON[1:4]))
def test_what_stands_around_a_long_value_does_not_hide_it(before: bytes, after: bytes, who: Identifier) -> None:
    hits = list(NEEDLES.find(before + who.value.encode() + after))
    assert who.kind in {hit.kind for hit in hits}
    assert len(before) in {hit.offset for hit in hits}


def test_a_leak_says_where_and_what_but_never_the_value(tmp_path: Path) -> None:
    (tmp_path / "Jérôme Grünwald-Ode").mkdir()
    (tmp_path / "Jérôme Grünwald-Ode" / "cases.csv").write_text("a\nb\n0047110815\n", encoding="utf-8")
    leaks = list(scan_folder(tmp_path, NEEDLES))
    assert Leak("file 0", "line 3", "patient number (utf-8)") in leaks
    assert {leak.place for leak in leaks} == {"its own name", "line 3"}
    told = repr(leaks) + repr(PERSON)
    for identifier in PERSON:
        assert identifier.value not in told
    assert "Grünwald" not in told


def test_a_word_of_a_name_counts_only_alone_and_is_marked_uncertain() -> None:
    needles = Needles([Identifier(Kind.NAME, "Lee^Ann")])
    assert list(scan_bytes("x", b"sleeping, annual", needles)) == []
    assert {(leak.place, leak.certain) for leak in scan_bytes("x", b"a\nsaw Lee", needles)} == {("line 2", False)}
    assert [leak.certain for leak in scan_bytes("x", b"Lee^Ann", needles)].count(True) == 1


def test_a_short_number_counts_only_alone_and_what_is_too_short_is_counted() -> None:
    needles = Needles([Identifier(Kind.NUMBER, "12345"), Identifier(Kind.NUMBER, "7"), Identifier(Kind.ACCESSION, "42")])
    assert needles.too_short == 2
    assert list(needles.find(b"0.123456")) == []
    assert [hit.offset for hit in needles.find(b"id=12345;")] == [3]


def test_a_finished_object_of_this_patient_is_clean_and_the_original_is_not(tmp_path: Path) -> None:
    latin, japanese = dict[str, Any](make.LATIN1), dict[str, Any](make.JAPANESE)
    for name, ds in (("dx", make.dx(**latin)), ("cr", make.cr(**japanese)), ("ct", make.ct_series(1)[0])):
        ds.save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)
        needles = Needles(identifiers_of([tmp_path / f"{name}.dcm"]))
        made = deidentify_file(tmp_path / f"{name}.dcm", PSEUDONYMS).part10()
        assert list(scan_bytes("left.dcm", made, needles, days=DAYS)) == []
        kinds = {leak.what.partition(" (")[0] for leak in scan_bytes("x", (tmp_path / f"{name}.dcm").read_bytes(), needles, days=DAYS)}
        assert {"person name", "patient number", "accession number", "UID", "birth date", "date", "institution"} <= kinds


def test_real_files_are_clean_after_and_are_not_before(real_files: Path) -> None:
    """What a maker's model name may share with an institution's is not counted: these files give none."""
    for path in sorted(real_files.rglob("*.dcm")):
        needles = Needles(identifiers_of([path]))
        made = deidentify_file(path, PSEUDONYMS, pixels_reviewed=True).part10()
        assert [leak for leak in scan_bytes(path.name, made, needles) if leak.certain] == [], path.name
        assert list(scan_bytes(path.name, path.read_bytes(), needles)), path.name


@pytest.mark.parametrize(
    ("keyword", "value", "what"),
    [
        *(("PatientComments", "x", "text of VR LT"), ("OperatorsName", "A^B", "text of VR PN"), ("StudyDate", "20260301", "date outside")),
        *(("PatientBirthDate", "20250101", "birth date"), ("PatientAge", "091Y", "above 89"), ("PatientName", "Doe^Jane", "text of VR PN")),
        *(
            ("StudyDescription", "CHEST 4711", "text of VR LO"),
            ("SOPInstanceUID", "1.2.3", "UID"),
            ("PatientIdentityRemoved", "NO", "is not YES"),
        ),
        *(("BurnedInAnnotation", "YES", "burned"), ("InstitutionName", "x", "text of VR LO"), ("EthnicGroup", "x", "text of VR SH")),
        *(("PregnancyStatus", 4, "outside the allow-list"), ("EncapsulatedDocument", b"x\0", "VR OB")),
    ],
)
def test_an_element_that_need_not_be_there_is_named(keyword: str, value: object, what: str) -> None:
    ds = deidentify(make.dx(), PSEUDONYMS).dataset
    setattr(ds, keyword, value)
    leaks = list(scan_bytes("x", part10(ds), Needles([]), days=DAYS))
    assert [leak for leak in leaks if what in leak.what], leaks


def test_private_nested_and_preamble_are_looked_at() -> None:
    ds = deidentify(make.dx(), PSEUDONYMS).dataset
    ds.AnatomicRegionSequence[0].private_block(0x0009, "ACME", create=True).add_new(1, "LO", "x")
    ds.add_new(0x60003000, "OW", b"xx")
    ds.preamble = b"TIFF".ljust(128, b"\0")
    ds.file_meta.SourceApplicationEntityTitle = "ROOM4"
    leaks = {(leak.place, leak.what) for leak in scan_bytes("x", part10(ds), Needles([]))}
    assert ("(0008,2218)[0].(0009,1001)", "private element") in leaks
    assert ("(6000,3000)", "overlay or curve") in leaks
    assert ("preamble", "bytes that are not zero") in leaks
    assert ("(0002,0016)", "file meta information that need not be there") in leaks


def test_what_cannot_be_opened_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not looked into" in next(scan_bytes("x", b"PK\x03\x04 broken", NEEDLES)).what
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert "pyarrow" in next(scan_bytes("x", b"PAR1" + b"\0" * 8, NEEDLES)).what


def test_chance_in_pixels_is_no_leak_but_a_long_value_there_is() -> None:
    ds = deidentify(make.dx(), PSEUDONYMS).dataset
    pixels = bytearray(ds.PixelData)
    pixels[1000:1008] = b"\0 DOE \0\0"
    pixels[2000:2010] = b"0047110815"
    ds.PixelData = bytes(pixels)
    leaks = list(scan_bytes("x", part10(ds), Needles([*PERSON, Identifier(Kind.NAME, "Doe")])))
    assert {leak.what for leak in leaks} == {"patient number (utf-8)"}
    assert leaks[0].place.endswith("in the pixels")


def test_many_identifiers_are_looked_for_at_once() -> None:
    """Ten thousand patients against half a megabyte of pixels: a second, not a second a patient."""
    needles = Needles(Identifier(Kind.NUMBER, f"MRN{number:07d}") for number in range(10_000))
    data = np.random.default_rng(1).integers(0, 256, 500_000, dtype=np.uint8).tobytes() + b"MRN0009999"
    begun = time.process_time()
    assert [hit.offset for hit in needles.find(data)] == [500_000]
    assert time.process_time() - begun < 2


def test_what_is_made_ready_takes_little_for_each_identifier() -> None:
    """An export looks for forty thousand at once, within its bound of memory."""
    some = [Identifier(Kind.UID, f"1.2.840.113619.2.{number * 7919 + 10**10}.{number}") for number in range(5000)]
    Needles(some[:10])  # what is loaded once is loaded
    tracemalloc.start()
    ready = Needles(some)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ready.too_short == 0
    assert kept / len(some) < 200
    assert peak / len(some) < 400


def test_it_shares_no_code_with_what_it_checks() -> None:
    code = (
        "import sys, ptx_node.validation.leak_scan; "
        "print(*[name for name in sys.modules if 'deidentify' in name or 'pseudonym' in name or name.startswith('ptx_node.dicom')])"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert outcome.stdout.strip() == ""
