"""A case table that was made up, for tests of what is computed from one. Simulated: nobody's patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.validation.case_columns import COLUMNS, Type
from ptx_node.validation.case_table import number_told, writing_csv
from ptx_node.validation.metrics import OVER_TIME, Analysis, canonical, compute

if TYPE_CHECKING:
    from pathlib import Path

Columns = dict[str, np.ndarray[Any, Any]]
MODEL = "chest 1.0.0 0123456789ab"
SIZES = np.array(["small", "moderate", "large"])


def made_up(
    count: int = 400,
    *,
    seed: int = 3,
    images_a_patient: int = 1,
    model: str = MODEL,
    prevalence: float = 0.3,
    uncertain: float = 0.05,
    without_ct: float = 0.3,
) -> Columns:
    """A table as `case_table` reads it: some cases uncertain, some without a CT, the rest with a truth."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < prevalence
    probability = 1 / (1 + np.exp(-rng.normal(np.where(truth, 1.4, -1.6), 1.3)))
    called = probability >= 0.5
    unverified = rng.random(count) < np.where(called, without_ct / 3, without_ct)
    open_ = ~unverified & (rng.random(count) < uncertain)
    known = ~unverified & ~open_
    side = np.where(rng.random(count) < 0.5, "left", "right")
    other = np.where(rng.random(count) < 0.9, side, np.where(side == "left", "right", "left"))
    label = np.where(truth, "positive", rng.choice(["negative", "negative", "not_mentioned", "resolved"], count))
    patient = np.arange(count) // images_a_patient
    columns: Columns = {
        "case_id": np.array([f"C{one:06d}" for one in range(count)]),
        "patient": np.array([f"P{one:06d}" for one in patient]),
        "study": np.array([f"S{one:06d}" for one in range(count)]),
        "model": np.full(count, model),
        "kind": np.full(count, "radiograph"),
        "examined_on": np.full(count, "2025-03-01"),
        "sex": rng.choice(["F", "M"], count),
        "age_band": rng.choice(["20-29", "40-49", "60-69", "90+"], count, p=[0.3, 0.4, 0.28, 0.02]),
        "view": rng.choice(["AP", "PA"], count),
        "manufacturer": rng.choice(["Simulated GmbH", "Société Radiée"], count),
        "manufacturer_model": np.full(count, "M1"),
        "device": rng.choice(["D-1", "D-2", "D-3"], count, p=[0.5, 0.49, 0.01]),
        "source": rng.choice(["er", "icu"], count),
        "rule": np.full(count, "chest"),
        "outcome": np.where(called, "positive", "negative"),
        "outcome_reason": np.full(count, ""),
        "probability": probability,
        "threshold": np.full(count, 0.5),
        "laterality": np.where(called, side, ""),
        "area": np.where(called, rng.uniform(100, 9000, count), np.nan),
        "volume": np.full(count, np.nan),
        "truth_kind": np.where(unverified, "", "report"),
        "report": np.full(count, ""),
        "label": np.where(unverified, "", np.where(open_, "uncertain", label)),
        "truth": np.where(known, truth.astype(float), np.nan),
        "truth_laterality": np.where(known & truth, other, ""),
        "truth_size": np.where(known & truth, rng.choice(SIZES, count), ""),
        "truth_depth": np.full(count, np.nan),
        "drain": np.where(known, (rng.random(count) < 0.2).astype(float), np.nan),
        "label_rule": np.where(unverified, "", "affirmed"),
        "label_version": np.where(unverified, "", "1"),
        "label_language": np.where(unverified, "", "en"),
        "label_doubtful": np.where(unverified, np.nan, 0.0),
        "span_sha256": np.full(count, ""),
        "interval_min": np.where(known | open_, rng.uniform(5, 700, count), np.nan),
        "agreement": np.full(count, ""),
        "exclusion": np.where(unverified, "no_report_that_day", np.where(open_, "label_undecided", "")),
    }
    return {column.name: columns[column.name] for column in COLUMNS}


def in_order(cases: Columns) -> Columns:
    """What `over_time.csv` would hold of them."""
    chosen = np.flatnonzero((cases["exclusion"] == "") & ~np.isnan(cases["truth"]))
    return {
        "position": np.arange(chosen.size, dtype=float),
        "model": cases["model"][chosen],
        "called": (cases["outcome"][chosen] == "positive").astype(float),
        "truth": cases["truth"][chosen],
        "period": np.array([f"2025-{1 + place * 4 // max(1, chosen.size):02d}" for place in range(chosen.size)], dtype=np.str_),
    }


def together(*tables: Columns) -> Columns:
    """Several tables as one."""
    return {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}


def chosen(cases: Columns, keep: np.ndarray[Any, Any]) -> Columns:
    """Some of the rows."""
    return {name: values[keep] for name, values in cases.items()}


def write(folder: Path, cases: Columns, analysis: Analysis) -> None:
    """The three files that a recomputation reads."""
    for name, columns, table in (("cases.csv", COLUMNS, cases), ("over_time.csv", OVER_TIME, in_order(cases))):
        with writing_csv(folder / name, columns) as add:
            kinds = {column.name: column.type for column in columns}
            for row in zip(*table.values(), strict=True):
                add({key: _cell(kinds[key], value) for key, value in zip(table, row, strict=True)})
    (folder / "metrics.json").write_bytes(canonical(compute(cases, in_order(cases), analysis)))


def _cell(kind: Type, value: Any) -> str:
    if kind in {Type.TEXT, Type.DAY}:
        return str(value)
    if kind is Type.NUMBER:
        return number_told(float(value))
    return "" if np.isnan(value) else str(int(value))
