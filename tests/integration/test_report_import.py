"""Reports from files: CSV and Parquet by a mapping, FHIR, DICOM SR; each wrong place said, the rest taken, nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from ptx_node.db.session import open_engine
from ptx_node.db.tables import RadiologyReport, RadiologyReportVersion, Table
from ptx_node.errors import UsageError
from ptx_node.inbound.report_files import Count, Import, Problem, import_file
from ptx_node.inbound.report_table import ColumnMap
from ptx_node.inbound.tables import load_map
from ptx_node.pipeline.report_intake import ReportIntake
from tests.fhir_resources import bundle, diagnostic_report
from tests.radiology import counted, make_intake, rows
from tests.structured_reports import text_report, write

MAP = """
source = "archive"
authority = "hospital"
time_zone = "Europe/Paris"
delimiter = ";"
modality = "CT"

[columns]
report = "id"
patient_id = "ipp"
accession = "acc"
examined_at = "date"
status = "etat"
text = "texte"

[statuses]
"Validé" = "final"
"Provisoire" = "preliminary"
"""
HEADER = "id;ipp;acc;date;etat;texte\n"
GOOD = [
    'R1;1;A1;2026-03-01 11:30;Validé;"Pas de pneumothorax.\nConclusion: normal."\n',
    "R2;2;A2;20260301113000;Provisoire;Pneumothorax gauche.\n",
    "R3;3;A3;2026-03-01;Validé;Fin\n",
]


@pytest.fixture
def intake(engine: Engine, tmp_path: Path) -> ReportIntake:
    return make_intake(engine, tmp_path)


def table(folder: Path, *lines: str, mapping: str = MAP, encoding: str = "utf-8") -> tuple[Path, Import]:
    (folder / "map.toml").write_text(mapping, encoding="utf-8")
    path = folder / "reports.csv"
    path.write_bytes((HEADER + "".join(lines)).encode(encoding))
    return path, Import(load_map(folder / "map.toml", ColumnMap), "import", ZoneInfo("Europe/Paris"))


def run(intake: ReportIntake, path: Path, how: Import) -> tuple[Count, list[str]]:
    total, problems = Count(), []
    for one in import_file(intake, path, how):
        if isinstance(one, Problem):
            problems.append(str(one).removeprefix(f"{path}: "))
        else:
            total += one
    return total, problems


def test_rows_become_versions_and_a_second_run_takes_nothing_twice(engine: Engine, intake: ReportIntake, tmp_path: Path) -> None:
    path, how = table(tmp_path, *GOOD)
    assert (Count(3, 0, 3), []) == run(intake, path, how)
    before = counted(engine)
    assert (Count(0, 3, 3), []) == run(intake, path, how)
    assert before == counted(engine) == (1, 3, 3, 3)
    first, second, third = rows(engine, RadiologyReport)
    assert ("archive", "R1", "final", "A1", "CT") == (first.source, first.external_id, first.status, first.accession_number, first.modality)
    assert ("preliminary", first.examined_at) == (second.status, second.examined_at)
    assert ("2026-03-01", None) == (str(third.examined_on), third.examined_at)
    texts = [row.text for row in rows(engine, RadiologyReportVersion)]
    assert "Pas de pneumothorax.\nConclusion: normal." == texts[0]
    assert [["hospital", "", "1"]] == rows(engine, RadiologyReportVersion)[0].patients


def test_each_bad_row_is_named_and_the_rest_is_taken(engine: Engine, intake: ReportIntake, tmp_path: Path) -> None:
    bad = [
        ";2;A2;2026-03-01;Validé;text\n",
        "R5;;A2;2026-03-01;Validé;text\n",
        "R6;2;A2;yesterday;Validé;text\n",
        "R7;2;A2;2026-03-01;Signed;text\n",
        "R8;2;A2;2026-03-01;Validé;\n",
        "R9;2;A2\n",
    ]
    path, how = table(tmp_path, GOOD[0], *bad, GOOD[2], "\n")
    count, problems = run(intake, path, how)
    assert 2 == count.new
    assert [
        "line 4: column 'id': is empty",
        "line 5: column 'ipp': is empty",
        "line 6: column 'date': is no time that can be read",
        "line 7: column 'etat': 'Signed' is neither a status nor among [statuses] of the mapping",
        "line 8: column 'texte': there is no text",
        "line 9: there are 3 fields where the header has 6",
    ] == problems
    assert ["R1", "R3"] == [report.external_id for report in rows(engine, RadiologyReport)]


def test_windows_1252_is_read_and_said(engine: Engine, intake: ReportIntake, tmp_path: Path) -> None:
    path, how = table(tmp_path, GOOD[0], "R2;2;A2;2026-03-01;Validé;Epanchement à droite\n", encoding="cp1252")
    assert 2 == run(intake, path, how)[0].new
    assert ["Epanchement à droite", ["charset_doubtful"]] == [rows(engine, RadiologyReportVersion)[1].text, ["charset_doubtful"]]
    path, how = table(tmp_path, *GOOD, mapping=f'encoding = "windows-1252"\n{MAP}'.replace("archive", "other"), encoding="cp1252")
    run(intake, path, how)
    assert [] == rows(engine, RadiologyReportVersion)[-1].flags


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("source = 3", "source"),
        (MAP.replace('report = "id"', ""), "columns.report"),
        (MAP + '\nnonsense = "x"', "statuses.nonsense"),
        (f'encoding = "klingon"\n{MAP}', "encoding"),
        ("[", "cannot be read"),
    ],
)
def test_a_wrong_mapping_is_refused_with_the_place(tmp_path: Path, mapping: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        table(tmp_path, mapping=mapping)


def test_a_missing_column_and_a_missing_file_are_problems_of_their_file(intake: ReportIntake, tmp_path: Path) -> None:
    path, how = table(tmp_path, *GOOD, mapping=MAP.replace('"acc"', '"accession"'))
    assert "there is no column 'accession'" in run(intake, path, how)[1][0]
    assert ["cannot be read: No such file or directory"] == run(intake, tmp_path / "none.csv", how)[1]
    path.write_bytes(b"")
    assert ["the file is empty"] == run(intake, path, how)[1]
    assert "--map" in run(intake, path, Import(None, "import", ZoneInfo("UTC")))[1][0]


def test_parquet_with_real_times_and_numbers(engine: Engine, intake: ReportIntake, tmp_path: Path) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    import pyarrow as pa  # noqa: PLC0415 - loaded where it is tested
    from pyarrow import parquet  # noqa: PLC0415

    moment = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
    columns: dict[str, Any] = {
        "id": ["R1", "R2", "R3"],
        "ipp": [1.0, 2.0, None],
        "acc": ["A1", None, "A3"],
        "date": [moment, None, moment],
        "etat": ["Validé"] * 3,
        "texte": ["Pneumothorax.", "No.", "x"],
    }
    parquet.write_table(pa.table(columns), tmp_path / "reports.parquet")
    _, how = table(tmp_path)
    count, problems = run(intake, tmp_path / "reports.parquet", how)
    assert (2, ["row 3: column 'ipp': is empty"]) == (count.new, problems)
    first, second = rows(engine, RadiologyReport)
    assert (moment, "2026-03-01", None) == (first.examined_at, str(first.examined_on), second.examined_on)
    assert [["hospital", "", "1"]] == rows(engine, RadiologyReportVersion)[0].patients
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing")
    assert "Parquet file cannot be read" in run(intake, tmp_path / "broken.parquet", how)[1][0]


def test_a_fhir_bundle_and_a_dicom_report_are_told_by_their_content(engine: Engine, intake: ReportIntake, tmp_path: Path) -> None:
    how = Import(None, "archive", ZoneInfo("Europe/Paris"))
    good, bad = diagnostic_report(), diagnostic_report(status="finished", id="2")
    (tmp_path / "bundle.json").write_text(json.dumps(bundle(good, bad)), encoding="utf-8")
    count, problems = run(intake, tmp_path / "bundle.json", how)
    assert (1, 1) == (count.new, len(problems))
    assert "Bundle.entry[3].resource.status" in problems[0]
    write(text_report("Large pneumothorax."), tmp_path / "sr.dcm")
    assert (Count(1, 0, 1), []) == run(intake, tmp_path / "sr.dcm", how)
    (tmp_path / "no.json").write_text("{nonsense", encoding="utf-8")
    assert "not JSON" in run(intake, tmp_path / "no.json", how)[1][0]


def test_killed_in_the_middle_the_same_command_does_the_rest(database_url: str, tmp_path: Path) -> None:
    """SIGKILL of a real import; afterwards every row is there once."""
    engine = open_engine(database_url)
    Table.metadata.create_all(engine)
    lines = [f"R{n};{n};A{n};2026-03-01;Validé;Report {n}\n" for n in range(2000)]
    path, how = table(tmp_path, *lines)
    code = (
        "import sys\nfrom pathlib import Path\nfrom zoneinfo import ZoneInfo\nfrom ptx_node.db.session import open_engine\n"
        "from ptx_node.inbound.report_files import Import, import_file\nfrom ptx_node.inbound.report_table import ColumnMap\n"
        "from ptx_node.inbound.tables import load_map\n"
        "from tests.radiology import make_intake\nurl, folder = sys.argv[1], Path(sys.argv[2])\n"
        "how = Import(load_map(folder / 'map.toml', ColumnMap), 'import', ZoneInfo('Europe/Paris'))\n"
        "for _ in import_file(make_intake(open_engine(url), folder), folder / 'reports.csv', how): pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, database_url, str(tmp_path)], cwd=Path(__file__).resolve().parents[2]) as process:
        end = time.monotonic() + 60
        while not counted(engine)[2] and time.monotonic() < end and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    there = counted(engine)[2]
    assert 0 < there < len(lines)
    count, problems = run(make_intake(engine, tmp_path), path, how)
    assert (len(lines) - there, there, []) == (count.new, count.known, problems)
    assert (1, 2000, 2000, 2000) == counted(engine)
    engine.dispose()
