"""The parts of an auditors' package, each against another's reader of its format, and against folders that somebody made to harm."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import bagit
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from rocrate.rocrate import ROCrate

from ptx_node.domain.audit import START, AuditKind, Entry, Event, chain
from ptx_node.errors import PermanentError, UsageError
from ptx_node.validation import bag, bill_of_materials, checklists, dictionary
from ptx_node.validation.audit_segment import ROWS, broken, read_about, write_segment
from ptx_node.validation.case_columns import COLUMNS
from ptx_node.validation.configuration import WITHHELD, rules_told, settings_told
from ptx_node.validation.crate import METADATA, Subject, crate
from ptx_node.validation.leak_needles import Identifier, Kind
from ptx_node.validation.package_scan import leaks
from ptx_node.validation.partial_folder import SUFFIX, whole_or_nothing

FILES = {"cases.csv": b"case_id\n1\n", "figures/roc.svg": b"<svg/>", "é.txt": b"", "é\nline.txt": b"x"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    for name, data in FILES.items():
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    bag.write_bag(folder, {"Bag-Software-Agent": "ptx-node", "External-Description": "two\nlines"})
    return folder


def said(folder: Path) -> str:
    return "\n".join(f"{one.path}: {one.what}" for one in bag.problems(folder))


def test_a_bag_is_one_to_another_reader_too(package: Path) -> None:
    read = bagit.Bag(str(package))
    assert read.is_valid()
    assert "two lines" == read.info["External-Description"] == bag.info_of(package)["External-Description"]
    assert {f"data/{name}" for name in FILES} == set(read.payload_entries())
    assert [] == bag.problems(package)


def test_any_flipped_byte_is_found_wherever_it_lies(package: Path) -> None:
    for path in [one for one in package.rglob("*") if one.is_file()]:
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
            assert bag.problems(package), f"{path.name}, byte {place}"
        path.write_bytes(whole)
    assert [] == bag.problems(package)


def test_missing_and_added_files_are_named(package: Path) -> None:
    (package / "data" / "cases.csv").unlink()
    (package / "data" / "figures" / "new.png").write_bytes(b"1")
    (package / "data" / "empty").mkdir()
    Path(os.fsdecode(os.fsencode(package) + b"/data/\xff.txt")).write_bytes(b"no UTF-8")
    text = said(package)
    assert "data/cases.csv: is missing" in text
    assert "data/figures/new.png: is in no manifest" in text
    assert "data/empty: an empty folder" in text
    assert "udcff.txt: is in no manifest" in text
    text.encode("ascii")


def test_a_hostile_folder_opens_nothing_outside(package: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not to be read")
    (package / "data" / "cases.csv").unlink()
    (package / "data" / "cases.csv").symlink_to(secret)
    (package / "data" / "out").symlink_to(tmp_path)
    os.mkfifo(package / "data" / "pipe")
    digest = "0" * 64
    with (package / bag.MANIFEST).open("a") as file:
        file.write(f"{digest}  data/../../secret\n{digest}  /etc/passwd\n{digest}  data/out/secret\n{digest}  data/{'x' * 5000}\n")
    text = said(package)
    assert "data/cases.csv: is, or lies below, a link" in text
    assert "data/pipe: is no ordinary file" in text
    assert "data/out: is no ordinary file" in text
    assert text.count("names a file outside") >= 3


def test_a_huge_manifest_is_not_followed_to_its_end(package: Path) -> None:
    with (package / bag.MANIFEST).open("w") as file:
        file.writelines(f"{'0' * 64}  data/{number:08}\n" for number in range(200_000))
    assert bag.MOST_PROBLEMS == len(bag.problems(package))
    (package / bag.MANIFEST).write_bytes(b"a" * 20_000_000)
    assert len(bag.problems(package)) < 20


def test_what_is_no_bag_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no package"):
        bag.problems(tmp_path)


def test_a_folder_is_there_as_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out" / "package"
    with pytest.raises(ZeroDivisionError), whole_or_nothing(target):
        raise ZeroDivisionError
    assert [] == list((tmp_path / "out").iterdir())
    left = target.with_name(target.name + SUFFIX)
    (left / "data").mkdir(parents=True)
    (left / "bagit.txt").write_text("of a killed run")
    with whole_or_nothing(target) as folder:
        assert ["bagit.txt"] == [one.name for one in folder.iterdir()]
        with pytest.raises(UsageError, match="another export"), whole_or_nothing(target):
            pass
    assert ["package"] == [one.name for one in (tmp_path / "out").iterdir()]
    with pytest.raises(UsageError, match="not empty"), whole_or_nothing(target):
        pass
    other = tmp_path / "out" / "other"
    foreign = other.with_name(other.name + SUFFIX)
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("ten years of work")
    with pytest.raises(UsageError, match="no export has left it"), whole_or_nothing(other):
        pass
    assert (foreign / "thesis.txt").is_file()


def trail(count: int = 5) -> list[Entry]:
    model = {"name": "m", "version": "1", "weights_sha256": "ab", "device_uid": "2.25.1", "manufacturer": "x"}
    detail = {"sop_instance_uid": "1.2.3", "outcome": "positive", "probability": 0.75, "threshold": 0.5, "model": model, "source": "ER"}
    event = Event(AuditKind.INFERENCE, "user alice", detail)
    return chain(START, [event] * count, datetime(2026, 3, 1, tzinfo=UTC))


def test_a_reduced_segment_tells_of_nobody_and_is_held_against_the_trail(tmp_path: Path) -> None:
    rows = trail()
    write_segment(tmp_path, rows[1:4], rows[0].link, reduced=True)
    text = (tmp_path / ROWS).read_text()
    assert not [one for one in ("1.2.3", "alice", "0.75", "ER", "2.25", "03-01") if one in text]
    assert all(one.sha256 in text for one in rows[1:4])
    assert "0.5" in text
    assert "" == broken(tmp_path)
    assert "" == broken(tmp_path, lambda first, last: iter(rows[first - 1 : last]))
    (tmp_path / ROWS).write_text(text.replace('"outcome":"positive"', '"outcome":"negative"', 1))
    assert "what the package tells of row 2" in broken(tmp_path, lambda first, last: iter(rows[first - 1 : last]))
    others = chain(START, [Event(AuditKind.LOGIN, "node", {})] * 5, datetime(2026, 3, 1, tzinfo=UTC))
    assert "row 2 is not in the trail of this node" == broken(tmp_path, lambda first, last: iter(others[first - 1 : last]))


def test_a_full_segment_is_the_lines_that_are_hashed(tmp_path: Path) -> None:
    rows = trail()
    about = write_segment(tmp_path, rows, START, reduced=False)
    assert (START, rows[-1].link, 5, False) == (about.after, about.head, about.rows, about.reduced)
    assert read_about(tmp_path) == about
    lines = (tmp_path / ROWS).read_text().splitlines()
    assert [one.body for one in rows] == lines
    assert "" == broken(tmp_path)
    for damaged, problem in (
        ([*lines[:2], lines[2].replace("alice", "bob"), *lines[3:]], "row 4 does not follow"),
        ([*lines[:2], *lines[3:]], "row 3 does not follow"),
        (lines[:-1], "the segment ends with row 4"),
        ([*lines[:2], "[1]", *lines[3:]], "row 3 is not one"),
    ):
        (tmp_path / ROWS).write_text("\n".join(damaged) + "\n")
        assert problem in broken(tmp_path)


def test_a_broken_trail_is_not_exported(tmp_path: Path) -> None:
    rows = trail()
    with pytest.raises(PermanentError, match="row 4 of the audit trail is broken"):
        write_segment(tmp_path, [rows[1], rows[3]], rows[0].link, reduced=True)


def test_the_bill_of_materials_is_valid_cyclonedx_and_the_same_again() -> None:
    text = bill_of_materials.as_text(bill_of_materials.bill_of_materials())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == bill_of_materials.as_text(bill_of_materials.bill_of_materials())
    found = {one["name"]: one for one in json.loads(text)["components"]}
    assert {"pydicom", "sqlalchemy", "numpy"} <= set(found)
    assert found["pydicom"]["licenses"]


def test_the_crate_is_one_to_another_reader_too(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("1\n")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.dcm").write_text("1")
    subject = Subject("A validation", "of nobody", "2026-03-01", "none", "a site", "0.1")
    content = crate(subject, [("cases.csv", 2), ("images/1.dcm", 1)], {"cases.csv": "the cases", "images/": "images"})
    (tmp_path / METADATA).write_text(json.dumps(content))
    read = ROCrate(tmp_path)
    assert "A validation" == read.name
    assert {"cases.csv", "images/"} == {one.id for one in read.data_entities}
    assert "the cases" == read.dereference("cases.csv")["name"]


def test_settings_and_rules_tell_no_place_and_no_secret() -> None:
    told = settings_told(
        {
            "node": {"site": "Hospital", "time_zone": "UTC"},
            "dicom": {"peers": [{"ae_title": "CT1"}], "ae_title": "PTX"},
            "hl7": {"senders": [{"name": "ris", "addresses": ["10.0.0.1"], "charset": "8859/1"}]},
            "destinations": [{"name": "pacs", "host": "10.1.1.1", "type": "dimse", "password": "x"}],
            "database": {"url": "secret"},
            "a group of tomorrow": {"token": "x"},
        }
    )
    text = json.dumps(told)
    assert not [one for one in ("Hospital", "CT1", "ris", "10.", "secret", "token", "password") if one in text]
    assert 1 == told["dicom"]["peers"]
    rule = {
        "name": "r",
        "match": {"all": [{"keyword": "StationName", "equals": "ER1"}, {"keyword": "Modality", "equals": "DX"}, {"calling_ae": "X"}]},
        "destinations": [{"name": "pacs", "kinds": ["sr"]}],
    }
    (reduced,) = rules_told((rule,), in_full=False)
    assert {"all": [{"keyword": "StationName", "equals": WITHHELD}, {"keyword": "Modality", "equals": "DX"}, {"calling_ae": WITHHELD}]} == (
        reduced["match"]
    )
    assert [{"kinds": ["sr"]}] == reduced["destinations"]
    assert [rule] == rules_told((rule,), in_full=True)


@pytest.mark.parametrize("name", checklists.NAMES)
def test_a_checklist_names_every_point_once(name: str) -> None:
    listed = checklists.load(name)
    numbers = [one.number for one in listed.items]
    assert len(numbers) == len(set(numbers)) >= 40
    assert all(one.topic for one in listed.items)
    assert checklists.TO_FILL in checklists.as_markdown(listed)
    assert 1 + len(numbers) == checklists.as_csv(listed).count("\n")


def test_the_mapping_names_columns_that_there_are() -> None:
    rows = [line.split(",") for line in checklists.assess_ai_mapping().splitlines()[1:]]
    assert {row[1] for row in rows} <= {"", *(column.name for column in COLUMNS)}
    assert len(COLUMNS) == dictionary.as_csv().count("\n") - 1
    assert all(f"| `{column.name}` |" in dictionary.as_markdown() for column in COLUMNS)


def test_the_scan_finds_numbers_in_texts_and_not_in_measurements(tmp_path: Path) -> None:
    """A patient number of eight digits stands in some digest or measurement by chance; as a word of a text it is a leak."""
    identifiers = [
        Identifier(Kind.NUMBER, "12345678"),
        Identifier(Kind.NUMBER, "4711"),
        Identifier(Kind.UID, "1.2.840.99.1"),
        Identifier(Kind.ACCESSION, "ACC0001"),
    ]
    row = f"2.25.{'12345678' * 4},P{'A' * 16},0.12345678,{'12345678' * 8},4711,12345678"
    (tmp_path / "cases.csv").write_text(f"case_id,patient,probability,span_sha256,interval_min,area\n{row}\n")
    (tmp_path / "metrics.json").write_text('{"n": 12345678, "note": "x", "contentSize": "12345678"}')
    (tmp_path / "images.csv").write_text(f"case_id,file\n2.25.{'12345678' * 4},images/2.25.{'12345678' * 4}/2.25.{'12345678' * 4}.dcm\n")
    (tmp_path / "segment.json").write_text(f'{{"head": "12345678:{"0" * 64}"}}')
    assert [] == list(leaks(tmp_path, identifiers))
    (tmp_path / "rows.jsonl").write_text('{"a": [{"b": "study 1.2.840.99.1"}]}\n{"b": "of acc0001"}\n')
    (tmp_path / "more.csv").write_text("a\nroom 4711\npatient 12345678\n")
    found = list(leaks(tmp_path, identifiers))
    assert {("rows.jsonl", "UID (utf-8)", True), ("rows.jsonl", "accession number (utf-8)", True)} <= {
        (one.file, one.what, one.certain) for one in found
    }
    assert {("more.csv", True), ("more.csv", False)} == {(one.file, one.certain) for one in found if one.file == "more.csv"}
    assert not [one for one in found if "4711" in repr(one) or "12345678" in repr(one)]
