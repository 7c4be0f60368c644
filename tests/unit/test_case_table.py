"""The case table's files: what is written is read back to the last bit, and a changed byte is named by line and column."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ptx_node.errors import StorageFullError, UsageError
from ptx_node.validation.case_columns import COLUMNS, Column, Type
from ptx_node.validation.case_table import (
    LONGEST_TEXT,
    number_told,
    read_cases,
    read_table,
    text_told,
    writing_csv,
    writing_parquet,
    yes_told,
)

SMALL = (
    Column("name", Type.TEXT, ""),
    Column("side", Type.TEXT, "", values=("left", "right")),
    Column("score", Type.NUMBER, ""),
    Column("count", Type.WHOLE, ""),
    Column("called", Type.YES_NO, ""),
    Column("on", Type.DAY, ""),
)
ROWS = [
    {"name": 'a "b", c', "side": "left", "score": "0.1", "count": "3", "called": "1", "on": "2026-03-01"},
    {"name": "", "side": "", "score": "", "count": "", "called": "", "on": ""},
    {"name": "Żółć", "side": "right", "score": "1e-300", "count": "-2", "called": "0", "on": "0001-12-31"},
]


def written(folder: Path, rows: list[dict[str, str]] = ROWS) -> Path:
    path = folder / "some.csv"
    with writing_csv(path, SMALL) as write, writing_parquet(path.with_suffix(".parquet"), SMALL) as also:
        for row in rows:
            write(row)
            also(row)
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    columns = read_table(written(tmp_path), SMALL)
    assert ['a "b", c', "", "Żółć"] == columns["name"].tolist()
    assert columns["name"].dtype.kind == "T"
    np.testing.assert_array_equal([0.1, np.nan, 1e-300], columns["score"])
    np.testing.assert_array_equal([3, np.nan, -2], columns["count"])
    np.testing.assert_array_equal([1, np.nan, 0], columns["called"])
    assert ["2026-03-01", "", "0001-12-31"] == columns["on"].tolist()
    assert {"score"} == read_table(tmp_path / "some.csv", SMALL, {"score"}).keys()


def test_both_files_say_the_same(tmp_path: Path) -> None:
    path = written(tmp_path)
    table = parquet.read_table(path.with_suffix(".parquet")).to_pylist()
    assert {"name": None, "side": None, "score": None, "count": None, "called": None, "on": None} == table[1]
    assert (0.1, 3, True, "2026-03-01") == (table[0]["score"], table[0]["count"], table[0]["called"], table[0]["on"].isoformat())
    with path.open(encoding="utf-8", newline="") as file:
        assert [row["name"] or None for row in csv.DictReader(file)] == [row["name"] for row in table]


def test_the_same_rows_give_the_same_bytes_in_row_groups_of_one_size(tmp_path: Path) -> None:
    rows = ROWS * 3400
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = written(tmp_path / name, rows)
        digests.add(tuple(hashlib.sha256(one.read_bytes()).hexdigest() for one in (path, path.with_suffix(".parquet"))))
    assert 1 == len(digests)
    metadata = parquet.ParquetFile(tmp_path / "one" / "some.parquet").metadata
    assert [4000, 4000, 2200] == [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    columns = read_table(written(tmp_path, []), SMALL)
    assert {"name": 0, "score": 0} == {name: columns[name].size for name in ("name", "score")}
    assert 0 == parquet.read_table(tmp_path / "some.parquet").num_rows


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_comes_back(number: float) -> None:
    assert number == float(number_told(number))


@given(st.text())
def test_told_text_is_one_printable_line_and_no_formula(text: str) -> None:
    told = text_told(text)
    assert len(told) <= LONGEST_TEXT
    assert told.isprintable()
    assert told == told.strip()
    assert not told.startswith(("=", "+", "-", "@"))
    assert told == text_told(told)
    told.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("=cmd()", "'=cmd()"),
        ("  =1+1", "'=1+1"),
        ("\t@SUM(A1)", "'@SUM(A1)"),
        ("-2", "'-2"),
        ("A\r\nB\0 C\u202e", "A B C"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\ud800x", "x"),
        (None, ""),
    ],
)
def test_hostile_text(text: str | None, told: str) -> None:
    assert told == text_told(text)


def test_what_is_not_known_is_an_empty_cell() -> None:
    assert ["", "", "", "", "0"] == [
        number_told(None),
        number_told(float("nan")),
        number_told(float("inf")),
        yes_told(None),
        yes_told(False),
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.1", "0.10", "line 2, column score: '0.10'"),
        ("0.1", "1e999", "line 2, column score"),
        ("0.1", "nan", "line 2, column score"),
        ("1e-300", "1_0", "line 4, column score"),
        (",3,", ",3.0,", "line 2, column count"),
        (",1,2026", ",2,2026", "line 2, column called"),
        ("2026-03-01", "2026-13-01", "line 2, column on"),
        ("2026-03-01", "20260301", "line 2, column on"),
        ("right", "wrong", "line 4, column side: 'wrong'"),
        (",,,,,", ",,,,", "line 3: 5 cells instead of 6"),
        ('"a ""b"", c"', '"a ""b"", c', "line 4"),
        ("name,", "nome,", "line 1: these are not the columns"),
        ("name,side,score,count,called,on\n", "", "line 1"),
    ],
)
def test_a_damaged_file_is_named_by_line_and_column(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = written(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="")
    with pytest.raises(UsageError, match=r"some\.csv") as caught:
        read_table(path, SMALL)
    assert words in str(caught.value)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes().replace("Żółć".encode(), b"\xff\xfe"))
    with pytest.raises(UsageError, match="line 4, column name"):
        read_table(path, SMALL)
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="line 1"):
        read_table(path, SMALL)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_cases(tmp_path / "absent.csv")


def test_a_full_disk_is_said_and_an_existing_file_stays(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(UsageError, match="File exists"), writing_csv(path, SMALL):
        pass
    if Path("/dev/full").exists():
        full = tmp_path / "full.parquet"
        full.symlink_to("/dev/full")
        with pytest.raises(StorageFullError, match="no space"), writing_parquet(full, SMALL) as write:
            write(ROWS[0])


def test_without_pyarrow_it_is_said_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from ptx_node.validation.case_table import writing_parquet\n"
        f"with writing_parquet(Path({str(tmp_path / 'x.parquet')!r}), ()): pass"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "pip install 'ptx-node[export]'" in outcome.stderr


def test_columns_have_different_names() -> None:
    assert len({one.name for one in COLUMNS}) == len(COLUMNS)
