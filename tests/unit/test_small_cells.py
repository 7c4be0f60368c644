"""Nobody stands out in the rows that leave, and no column is made coarser than it must be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptx_node.errors import UsageError
from ptx_node.validation.small_cells import WITHHELD, QuasiIdentifier, age_in_years, plan

AGE = QuasiIdentifier("age", (age_in_years(10), age_in_years(20)))
SEX = QuasiIdentifier("sex")
MAKER = QuasiIdentifier("maker")
Row = dict[str, str]

rows_of_many = st.lists(
    st.fixed_dictionaries(
        {
            "patient": st.integers(0, 60).map(str),
            "age": st.sampled_from([*map(str, range(20, 90, 3)), "90+", ""]),
            "sex": st.sampled_from("FMO"),
            "maker": st.sampled_from(["Acme", "Beta", "Rare"]),
            "score": st.just("0.5"),
        }
    ),
    min_size=1,
    max_size=150,
)


def patients_of(rows: Sequence[Row], columns: Sequence[str] = ("age", "sex", "maker")) -> dict[tuple[str, ...], set[str]]:
    cells = defaultdict(set)
    for row in rows:
        cells[tuple(row[column] for column in columns)].add(row["patient"])
    return cells


@given(rows_of_many, st.integers(1, 12))
def test_every_combination_that_is_shown_has_k_patients(rows: list[Row], smallest: int) -> None:
    made = plan(rows, [MAKER, AGE, SEX], "patient", smallest)
    left = [made.apply(row) for row in rows]
    everybody = {row["patient"] for row in rows}
    for cell, patients in patients_of(left).items():
        assert len(patients) >= min(smallest, len(everybody))
        assert len(patients) >= smallest or set(cell) == {WITHHELD}
    assert [row["score"] for row in left] == ["0.5"] * len(rows)
    assert made.patients == len(everybody)


@given(rows_of_many)
def test_nothing_changes_where_one_patient_may_be_shown(rows: list[Row]) -> None:
    made = plan(rows, [MAKER, AGE, SEX], "patient", 1)
    assert made.steps == ()
    assert [made.apply(row) for row in rows] == [{**row, "age": row["age"] or "not stated"} for row in rows]


@given(rows_of_many, st.integers(1, 12), st.randoms())
def test_the_order_of_the_rows_does_not_count(rows: list[Row], smallest: int, random: object) -> None:
    other = list(rows)
    random.shuffle(other)  # type: ignore[attr-defined]
    assert plan(rows, [MAKER, AGE, SEX], "patient", smallest) == plan(other, [MAKER, AGE, SEX], "patient", smallest)


def table(count: int, **values: str) -> list[Row]:
    first = hash(tuple(values.items()))
    return [{"patient": f"{first}-{number}", "age": "50", "sex": "F", "maker": "Acme", **values} for number in range(count)]


def test_ten_images_of_one_patient_are_one_patient() -> None:
    rows = [*table(30), *[{"patient": "x", "age": "50", "sex": "M", "maker": "Acme"}] * 10]
    made = plan(rows, [SEX], "patient", 10)
    assert made.apply(rows[-1])["sex"] == WITHHELD


def test_the_step_that_helps_most_is_taken_and_said() -> None:
    rows = [row for age in range(50, 60) for row in table(8, age=str(age))]
    made = plan(rows, [MAKER, SEX, AGE], "patient", 10)
    assert made.steps == ("age: made coarser, step 1 of 2",)
    assert made.apply(rows[0]) == {**rows[0], "age": "50-59"}


def test_a_few_odd_patients_are_withheld_instead_of_making_all_coarser() -> None:
    rows = [*table(1000), *table(12, sex="M"), *table(3, maker="Rare")]
    made = plan(rows, [MAKER, SEX, AGE], "patient", 10)
    assert made.level_of == (0, 0, 0)
    # Three alone would be known by being withheld: the next combination keeps them company.
    assert made.patients_withheld == 15
    assert made.steps == ("2 combinations of 15 patients: withheld",)
    assert made.apply(rows[-1])["maker"] == WITHHELD


def test_too_few_patients_altogether_are_all_withheld() -> None:
    rows = table(4)
    made = plan(rows, [SEX, AGE], "patient", 10)
    assert {(row["sex"], row["age"]) for row in map(made.apply, rows)} == {(WITHHELD, WITHHELD)}
    assert plan([], [SEX], "patient").patients == 0


def test_a_question_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="smallest cell is 0"):
        plan(table(3), [SEX], "patient", 0)
    with pytest.raises(UsageError, match="row 1 has no column 'weight'"):
        plan(table(3), [QuasiIdentifier("weight")], "patient")


@pytest.mark.parametrize(
    ("age", "band"), [("67", "60-69"), ("0", "0-9"), ("89", "80-89"), ("90+", "90+"), ("", "not stated"), ("old", "not stated")]
)
def test_bands_of_age(age: str, band: str) -> None:
    assert band == age_in_years(10)(age)


def test_the_last_band_ends_where_ages_do() -> None:
    assert [age_in_years(20)(age) for age in ("79", "85")] == ["60-79", "80-89"]
