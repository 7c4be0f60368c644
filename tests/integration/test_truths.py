"""Readers' labels and masks as truth, on both databases: whatever is wrong is said, whatever was taken is not taken twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from sqlalchemy import Engine, func, insert, select, update

from ptx_node.cli.app import main
from ptx_node.db import truths
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.db.tables import AuditEvent, FindingRow, Instance, MaskFigure, Result, Table, TruthRow
from ptx_node.domain.reading import Consensus, TruthKind
from ptx_node.errors import StorageFullError
from ptx_node.inbound.report_files import Problem
from ptx_node.inbound.tables import load_map
from ptx_node.inbound.truth_files import TruthCount, TruthImport, import_truths
from ptx_node.inbound.truth_table import TruthMap
from ptx_node.pipeline.report_intake import Merge
from ptx_node.pipeline.store import FileStore
from ptx_node.pipeline.truths import TruthIntake
from ptx_node.settings import load
from ptx_node.wiring.truths import measure
from tests.factories import ct_series, dx, header
from tests.radiology import MR1, SITE, arrival, instance_row, make_intake
from tests.read_images import finding
from tests.reader_masks import write_mask

READER, MASK = TruthKind.READER, TruthKind.MASK
HEADER = "sop_instance_uid,reader,label,side,size,confidence,date\n"
HOW = TruthImport(None, "", None, SITE, ZoneInfo("Europe/Paris"))


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store", watermark_bytes=0)


@pytest.fixture
def intake(engine: Engine, store: FileStore) -> TruthIntake:
    return TruthIntake(engine, store, who="user tester")


def take(intake: TruthIntake, path: Path, how: TruthImport = HOW) -> tuple[TruthCount, list[str]]:
    total, wrong = TruthCount(), []
    for one in import_truths(intake, path, how):
        if isinstance(one, Problem):
            wrong.append(str(one).removeprefix(f"{path}: "))
        else:
            total += one
    return total, wrong


def table(folder: Path, *lines: str, name: str = "readers.csv", head: str = HEADER) -> Path:
    path = folder / name
    path.write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def together(engine: Engine, number: int, kind: TruthKind = READER) -> Consensus | None:
    with begin_read(engine) as session:
        return truths.truths_of(session, [number]).get((number, kind))


def label(engine: Engine, number: int, kind: TruthKind = READER) -> str | None:
    found = together(engine, number, kind)
    return None if found is None else str(found.label)


def uid_of(engine: Engine, number: int) -> str:
    with begin_read(engine) as session:
        return str(session.get_one(FindingRow, number).sop_instance_uids[0])


def held(engine: Engine) -> int:
    with begin_read(engine) as session:
        return session.scalar(select(func.count()).select_from(TruthRow)) or 0


def test_several_readers_are_all_kept_and_the_majority_is_the_truth(engine: Engine, intake: TruthIntake, tmp_path: Path) -> None:
    number = finding(engine)
    uid = uid_of(engine, number)
    path = table(
        tmp_path,
        f"{uid},Ada,positive,left,Small ,0.9,2026-03-02",
        f"{uid},Bob,1,L,small,,2026-03-02T10:00",
        f"{uid},Cy,0,,,,",
        f"{uid},,positive,,,,",
        f"{uid},Dan,perhaps,,,,",
        f"{uid},Dan,negative,left,,,",
        f"{uid},Dan,positive,,,1.5,",
        f"{uid},Dan,positive,,,,yesterday",
        ",Dan,positive,,,,",
        f"{uid},Dan",
    )
    count, wrong = take(intake, path)
    assert TruthCount(3, 0) == count
    columns = ("reader", "label", "side", "confidence", "date")
    expected = [f"line {line}: column '{column}'" for line, column in enumerate(columns, start=5)]
    for start, said in zip((*expected, "line 10: it does not say what was read", "line 11: there are 2 fields"), wrong, strict=True):
        assert said.startswith(start), said
    found = together(engine, number)
    assert found is not None
    assert ("positive", 3, 2, "left", "small", 0.9) == (
        *(str(found.label), found.readers, found.agreeing, found.laterality, found.size, found.confidence),
    )
    assert TruthCount(0, 3) == take(intake, path)[0]
    assert 3 == held(engine)
    with begin_read(engine) as session:
        events = [json.loads(body)["detail"] for body in session.scalars(select(AuditEvent.body).where(AuditEvent.kind == "decision"))]
    assert [("truth import", 3, 3), ("truth import", 3, 0)] == [(one["what"], one["readings"], one["new"]) for one in events]


def test_a_correction_counts_from_then_on_and_a_late_older_reading_does_not(engine: Engine, intake: TruthIntake, tmp_path: Path) -> None:
    number = finding(engine)
    uid = uid_of(engine, number)
    for when, said, counts in (("2026-03-05", "1", "positive"), ("2026-03-07", "0", "negative"), ("2026-03-06", "uncertain", "negative")):
        take(intake, table(tmp_path, f"{uid},Ada,{said},,,,{when}"))
        assert counts == label(engine, number)
    assert 3 == held(engine)


def test_a_study_is_read_where_the_image_is_not(engine: Engine, intake: TruthIntake, tmp_path: Path) -> None:
    about = {"study_instance_uid": "1.9.77", "series_instance_uid": "1.7.77"}
    first, second, other = finding(engine, instance=about), finding(engine, instance=about), finding(engine)
    take(intake, table(tmp_path, "1.9.77,Ada,positive", head="study_instance_uid,reader,label\n"))
    take(intake, table(tmp_path, "1.7.77,Bob,positive", head="series_instance_uid,reader,label\n"))
    take(intake, table(tmp_path, f"{uid_of(engine, second)},Ada,0,,,,"))
    assert ["positive", "uncertain", None] == [label(engine, one) for one in (first, second, other)]


def test_an_accession_number_counts_with_any_number_of_its_patient(engine: Engine, intake: TruthIntake, tmp_path: Path) -> None:
    number = finding(engine, "1", instance={"accession_number": "A77"})
    finding(engine, "2")
    head = "accession,patient_id,reader,label\n"
    take(intake, table(tmp_path, "A77,2,Ada,positive", head=head))
    assert label(engine, number) is None
    one, two = (type(MR1)("hospital", "", value) for value in ("1", "2"))
    make_intake(engine, tmp_path).merge(arrival("9"), [Merge(two, one)])
    assert "positive" == label(engine, number)
    make_intake(engine, tmp_path).merge(arrival("10"), [Merge(two, one, undo=True)])
    assert label(engine, number) is None
    assert "patient_id" in take(intake, table(tmp_path, "A77,Ada,1", head="accession,reader,label\n"))[1][0]


def test_a_reading_waits_for_its_image(engine: Engine, intake: TruthIntake, tmp_path: Path) -> None:
    take(intake, table(tmp_path, "1.8.4711,Ada,positive,,,,"))
    with begin_read(engine) as session:
        assert ["1.8.4711"] == [row["name"] for row in truths.listed(session, parked=True, limit=9)]
    number = finding(engine, instance={"sop_instance_uid": "1.8.4711"})
    assert "positive" == label(engine, number)
    with begin_read(engine) as session:
        assert [] == truths.listed(session, parked=True, limit=9)
        assert [True] == [row["known"] for row in truths.listed(session, parked=False, limit=9)]


def test_a_mapping_names_other_columns_words_and_a_zone(engine: Engine, intake: TruthIntake, tmp_path: Path) -> None:
    number = finding(engine)
    (tmp_path / "map.toml").write_text(
        'delimiter = ";"\ntime_zone = "America/Montreal"\ndate_format = "%d/%m/%Y"\n[columns]\nsop_instance_uid = "image"\nlabel = "avis"\n'
        'side = "cote"\ndate = "le"\n[labels]\n"Présent" = "positive"\n[sides]\nG = "left"\n',
        encoding="utf-8",
    )
    how = TruthImport(load_map(tmp_path / "map.toml", TruthMap), "Ada", None, SITE, ZoneInfo("Europe/Paris"))
    path = table(tmp_path, f"{uid_of(engine, number)};Présent;G;05/03/2026", head="image;avis;cote;le\n")
    assert (TruthCount(1, 0), []) == take(intake, path, how)
    found = together(engine, number)
    assert found is not None
    assert ("positive", "left") == (found.label, found.laterality)
    assert "no column 'label'" in take(intake, path)[1][0]


# --- masks


def stored_finding(engine: Engine, store: FileStore, sources: list[Dataset], own: NDArray[np.bool_] | None, **changes: Any) -> int:
    """A finding of these images, which lie in the store, with the node's own SEG where it drew one."""
    paths = []
    for ds in sources:
        paths.append(f"instances/{ds.SOPInstanceUID}.dcm")
        store.path(paths[-1]).parent.mkdir(exist_ok=True)
        ds.save_as(store.path(paths[-1]), enforce_file_format=True)
    first = sources[0]
    about = {
        "sop_instance_uid": str(first.SOPInstanceUID),
        "series_instance_uid": str(first.SeriesInstanceUID),
        "study_instance_uid": str(first.StudyInstanceUID),
        "path": paths[0],
    }
    number = finding(engine, instance=about, outcome="negative" if own is None else "positive", **changes)
    with begin_write(engine) as session:
        session.execute(
            update(FindingRow).where(FindingRow.id == number).values(sop_instance_uids=[str(one.SOPInstanceUID) for one in sources])
        )
        if own is not None:
            path = f"results/{number}.dcm"
            store.path(path).parent.mkdir(exist_ok=True)
            write_mask(store.path(path), [header(one) for one in sources], own)
            texts = dict.fromkeys(("sop_class_uid", "series_instance_uid", "study_instance_uid", "sha256"), "x")
            session.add(
                Result(finding_id=number, kind="seg", sop_instance_uid=f"1.6.{number}", path=path, size_bytes=1, encoded_at=now(), **texts)
            )
    return number


def block(shape: tuple[int, ...], rows: int, columns: int) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[..., :rows, :columns] = True
    return mask


def figures(engine: Engine) -> list[tuple[float | None, str | None, float | None, str | None]]:
    with begin_read(engine) as session:
        rows = session.scalars(select(MaskFigure).order_by(MaskFigure.truth_id, MaskFigure.finding_id))
        return [(row.area_mm2, row.area_reason, row.dice, row.dice_reason) for row in rows]


def test_a_mask_is_a_truth_with_its_area_and_its_overlap(engine: Engine, intake: TruthIntake, store: FileStore, tmp_path: Path) -> None:
    image = dx(PixelSpacing=[0.5, 0.2], ImagerPixelSpacing=[0.6, 0.3])
    shape = (int(image.Rows), int(image.Columns))
    number = stored_finding(engine, store, [image], block(shape, 10, 20))
    drawn = write_mask(tmp_path / "seg.dcm", [header(image)], block(shape, 10, 10))
    assert (TruthCount(1, 0), []) == take(intake, drawn)
    assert 1 == measure(engine, store)
    assert [(pytest.approx(10.0), None, pytest.approx(2 / 3), None)] == figures(engine)
    found = together(engine, number, MASK)
    assert found is not None
    assert ("positive", 1, pytest.approx(10.0)) == (found.label, found.readers, found.area_mm2)
    assert (TruthCount(0, 1), 0) == (take(intake, drawn)[0], measure(engine, store))
    empty = write_mask(tmp_path / "empty.dcm", [header(image)], block(shape, 0, 0), reader="Other^Otto")
    take(intake, empty)
    measure(engine, store)
    assert (pytest.approx(0.0), None, pytest.approx(0.0), None) == figures(engine)[1]
    assert "uncertain" == label(engine, number, MASK)
    assert label(engine, number, READER) is None


def test_a_mask_that_came_first_is_measured_when_its_image_comes(
    engine: Engine, intake: TruthIntake, store: FileStore, tmp_path: Path
) -> None:
    image = dx()
    shape = (int(image.Rows), int(image.Columns))
    take(intake, write_mask(tmp_path / "seg.dcm", [header(image)], block(shape, 0, 0)))
    assert 0 == measure(engine, store)
    number = stored_finding(engine, store, [image], None)
    assert 1 == measure(engine, store)
    assert ("both_empty", "negative") == (figures(engine)[0][3], label(engine, number, MASK))
    stored_finding_of_another_size(engine, store, image)


def stored_finding_of_another_size(engine: Engine, store: FileStore, image: Dataset) -> None:
    """The image changed under its mask: no figure is better than a wrong one."""
    with begin_write(engine) as session:
        path = session.scalar(select(Instance.path))
        session.execute(MaskFigure.__table__.delete())  # type: ignore[attr-defined]
    image.Rows = image.Rows // 2
    image.PixelData = image.PixelData[: len(image.PixelData) // 2]
    image.save_as(store.path(str(path)), enforce_file_format=True)
    assert 1 == measure(engine, store)
    assert [(None, "other_size", None, "other_size")] == figures(engine)


def test_a_mask_of_ct_slices_is_of_their_series(engine: Engine, intake: TruthIntake, store: FileStore, tmp_path: Path) -> None:
    slices = ct_series(4)
    shape = (4, int(slices[0].Rows), int(slices[0].Columns))
    number = stored_finding(engine, store, slices, block(shape, 8, 8), modality="CT")
    drawn = block(shape, 8, 8)
    drawn[2:] = False
    take(intake, write_mask(tmp_path / "seg.dcm", [header(one) for one in slices], drawn))
    assert 1 == measure(engine, store)
    assert [(None, "of_a_series", pytest.approx(2 / 3), None)] == figures(engine)
    assert "positive" == label(engine, number, MASK)


def test_what_is_no_mask_is_said_and_changes_nothing(engine: Engine, intake: TruthIntake, tmp_path: Path) -> None:
    image = dx()
    image.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    nobody = write_mask(tmp_path / "nobody.dcm", [header(image)], block((int(image.Rows), int(image.Columns)), 2, 2), reader=None)
    whole = nobody.read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    expected = {"image.dcm": "is no segmentation", "nobody.dcm": "--reader", "cut.dcm": "cut.dcm", "none.dcm": "cannot be read"}
    for path, words in expected.items():
        count, wrong = take(intake, tmp_path / path)
        assert (TruthCount(), True) == (count, words in wrong[0]), (path, wrong)
    as_table = TruthImport(None, "Ada", MASK, SITE, HOW.zone)
    assert "leave --kind out" in take(intake, table(tmp_path, "1.2,Ada,1,,,,"), as_table)[1][0]
    assert 0 == held(engine)
    by_label = TruthImport(None, "Ada", READER, SITE, HOW.zone)
    assert (TruthCount(1, 0), []) == take(intake, nobody, by_label)
    number = finding(engine, instance={"sop_instance_uid": str(image.SOPInstanceUID)})
    assert ("positive", None) == (label(engine, number, READER), label(engine, number, MASK))


def test_without_room_for_a_mask_nothing_of_it_is_taken(sqlite_engine: Engine, tmp_path: Path) -> None:
    image = dx()
    drawn = write_mask(tmp_path / "seg.dcm", [header(image)], block((int(image.Rows), int(image.Columns)), 2, 2))
    full = TruthIntake(sqlite_engine, FileStore(tmp_path / "full", watermark_bytes=1 << 60), who="user tester")
    with pytest.raises(StorageFullError):
        list(import_truths(full, drawn, HOW))
    assert 0 == held(sqlite_engine)


# --- killed, and by command

KILLED = """
import sys
from pathlib import Path
from zoneinfo import ZoneInfo
from ptx_node.db.session import open_engine
from ptx_node.domain.radiology_report import Authorities
from ptx_node.inbound import truth_files
from ptx_node.pipeline.truths import TruthIntake

truth_files.BATCH = 20
how = truth_files.TruthImport(None, "", None, Authorities(), ZoneInfo("UTC"))
for _ in truth_files.import_truths(TruthIntake(open_engine(sys.argv[1]), None, who="user tester"), Path(sys.argv[2]), how):
    print("a portion", flush=True)
"""


def test_killed_in_the_middle_the_same_command_does_the_rest(database_url: str, tmp_path: Path, store: FileStore) -> None:
    engine = open_engine(database_url)
    Table.metadata.create_all(engine)
    path = table(tmp_path, *(f"1.8.{number},Ada,{number % 2},,,," for number in range(400)))
    command = [sys.executable, "-c", KILLED, database_url, str(path)]
    with subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "a portion\n" == process.stdout.readline()
        process.kill()
    there = held(engine)
    assert 0 < there < 400
    assert (TruthCount(400 - there, there), []) == take(TruthIntake(engine, store, who="user tester"), path)
    assert 400 == held(engine)
    engine.dispose()


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "ptx.toml"
    path.write_text('[node]\ntime_zone = "Europe/Paris"\n', encoding="utf-8")
    assert 0 == main(["db", "upgrade", "-c", str(path)])
    return str(path)


def test_import_list_and_show_by_command(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = open_engine(load(Path(config)).database_url)
    number = finding(engine)
    uid = uid_of(engine, number)
    path = table(tmp_path, f"{uid},Ada,1,left,,,", f"{uid},Bob,1,,,,", "1.8.999,Ada,0,,,,", "1.8.999,Ada,2,,,,")
    capsys.readouterr()
    assert 1 == main(["truth", "import", str(path), "-c", config])
    told = capsys.readouterr()
    assert "3 new, 0 already here; 1 wrong" in told.out
    assert "line 5: column 'label': '2' is none of" in told.err
    assert 0 == main(["truth", "list", "--parked", "--json", "-c", config])
    assert ["1.8.999"] == [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert 0 == main(["truth", "show", uid, "-c", config])
    assert "reader: positive left, by 2 of 2" in capsys.readouterr().out
    assert 0 == main(["truth", "show", uid, "--json", "-c", config])
    shown = json.loads(capsys.readouterr().out)
    assert [True, True] == [row["counts"] for row in shown["findings"][0]["readings"]]
    assert 0 == main(["truth", "show", "1.8.999", "-c", config])
    assert "no finding of it is here" in capsys.readouterr().out
    assert 2 == main(["truth", "show", "1.2.3.4", "-c", config])
    engine.dispose()


def test_rows_of_instances_without_a_finding_make_no_truth(engine: Engine, intake: TruthIntake, tmp_path: Path) -> None:
    with begin_write(engine) as session:
        session.execute(insert(Instance).values({**instance_row(patient_id="1"), "sop_instance_uid": "1.8.55"}))
    take(intake, table(tmp_path, "1.8.55,Ada,1,,,,"))
    with begin_read(engine) as session:
        assert [True] == [row["known"] for row in truths.listed(session, parked=False, limit=9)]
        assert {} == truths.truths_of(session, [1])
