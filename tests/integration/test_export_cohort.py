"""The auditors' package of a cohort that was built: its members, its flow chart, its threshold and labels; a balanced one says so."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from ptx_node.cli.app import main
from ptx_node.db import cohorts, schema
from ptx_node.db.session import begin_read, begin_snapshot, open_engine
from ptx_node.db.tables import AuditEvent
from ptx_node.domain.cohort import Choice
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.validation.case_export import write_sample
from ptx_node.validation.report.content import content
from ptx_node.validation.samples import OfCohort
from tests.case_database import pseudonymous
from tests.cohort_members import EACH, LATER, PATIENTS, build, called, fill, positive


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cells_of(numbers: list[int]) -> dict[str, int]:
    found = Counter(f"{'true' if positive(n) == called(n) else 'false'}_{'positive' if called(n) else 'negative'}" for n in numbers)
    return {name: found[name] for name in ("true_positive", "false_positive", "false_negative", "true_negative")}


def test_the_cases_are_the_members_as_they_were_counted(engine: Engine, tmp_path: Path) -> None:
    """On both databases: also those that were fetched, by the cohort's threshold and labels, whatever a person says of a report since."""
    hospital = fill(engine, tmp_path)
    cohort = build(engine)
    with begin_read(engine) as session:
        numbers = [one.report_id for one in cohorts.members(session, cohort.id)]
    hospital.decide("negative", report_id=next(one for one in numbers if positive(one)))
    reconcile(engine)
    with begin_snapshot(engine) as session:
        (tmp_path / "out").mkdir()
        table = write_sample(OfCohort(session, cohort), tmp_path / "out", pseudonymous(), smallest_cell=1)
    assert (2 * EACH, 2 * EACH, 2 * EACH) == (table.rows, table.patients, table.counted_patients)
    rows = rows_of(tmp_path / "out" / "cases.csv")
    assert {("", repr(LATER), "240.0")} == {(row["exclusion"], row["threshold"], row["interval_min"]) for row in rows}
    assert cells_of(numbers) == {end.name: end.count for end in table.flow.ends} == dict(Counter(row["agreement"] for row in rows))
    assert ["reports", "labelled", "one_group", "looked_for", "same_day", "read", "counted"] == [one.name for one in table.flow.steps]
    excluded = {(row["step"], row["reason"], row["detail"]): int(row["count"]) for row in rows_of(tmp_path / "out" / "exclusions.csv")}
    assert {("one_group", "not_drawn", ""): PATIENTS - 2 * EACH - 1, ("same_day", "not_eligible", "lateral_view"): 1} == excluded


Ptx = Callable[..., tuple[int, str]]


@pytest.fixture
def ptx(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ptx:
    """Runs a command in this process: exit code, and what was said."""
    monkeypatch.setenv("PTX_EXPORT__SECRET", "a secret of at least 32 bytes, for tests")

    def run(*words: str | Path) -> tuple[int, str]:
        capfd.readouterr()
        code = main([str(word) for word in words])
        return code, "".join(capfd.readouterr())

    return run


@pytest.fixture
def site(tmp_path: Path) -> tuple[Engine, Path]:
    """A filled node on SQLite, and its settings."""
    url = f"sqlite:///{tmp_path / 'ptx.db'}"
    engine = open_engine(url)
    schema.upgrade(engine)
    fill(engine, tmp_path)
    config = tmp_path / "ptx.toml"
    config.write_text(f'[node]\nhome = "home"\ntime_zone = "Europe/Paris"\n[database]\nurl = "{url}"\n[store]\nwatermark_bytes = 0\n')
    return engine, config


def test_the_package_of_a_balanced_cohort_says_what_it_is(site: tuple[Engine, Path], tmp_path: Path, ptx: Ptx) -> None:
    """Its flow chart, its predictive values marked and for the stated prevalence; it verifies, and its figures are computed again."""
    engine, config = site
    cohort = build(engine)
    out = tmp_path / "package"
    code, said = ptx("export", "--cohort", "even", "--prevalence", "0.05", "--out", out, "-c", config, "--json")
    assert 0 == code, said
    told = json.loads(said)
    assert (2 * EACH, 2 * EACH) == (told["cases"], told["counted"])
    data = out / "data"
    metrics = json.loads((data / "metrics.json").read_text())
    with begin_read(engine) as session:
        numbers = [one.report_id for one in cohorts.members(session, cohort.id)]
        (event,) = (json.loads(body) for body in session.scalars(select(AuditEvent.body).where(AuditEvent.kind == "export")))
    answers = metrics["models"]["m1"]["answers"]
    cells = cells_of(numbers)
    assert cells == {name: cell["value"] for name, cell in answers["table"].items()}
    assert (True, 0.05) == (metrics["analysis"]["balanced"], metrics["analysis"]["prevalence"])
    for name in ("positive_predictive_value", "negative_predictive_value", "prevalence", "accuracy"):
        assert "balanced sample" in answers[name]["wilson"]["of"], name
    assert "of" not in answers["sensitivity"]["wilson"]
    assert all("balanced sample" in one["model"]["of"] for one in metrics["models"]["m1"]["decision_curve"])
    hit, alarm = (cells[name] / EACH for name in ("true_positive", "false_positive"))
    there = answers["at_prevalence"]["positive_predictive_value"]
    assert ("of" not in there, pytest.approx(0.05 * hit / (0.05 * hit + 0.95 * alarm))) == (True, there["value"])
    flow = json.loads((data / "flow.json").read_text())
    assert "looked_for" in [one["name"] for one in flow["steps"]]
    page = (data / "report.html").read_text()
    for words in ("cohort even (balanced, 14 with and as many without, seed 7; one radiograph a patient)", "PPV (balanced)"):
        assert words in page
    assert "positive predictive value, Wilson, in the balanced sample" in page
    del answers["at_prevalence"]
    _, blocks = content(metrics, (), {}, ())
    assert any("are given by `ptx export --prevalence`" in str(one) for one in blocks), "nobody stated one: that is said"
    about = json.loads((data / "export.json").read_text())
    assert ("even", 0.05, "2026-03-02", "2026-04-01") == tuple(about[name] for name in ("cohort", "prevalence", "since", "until"))
    assert "ptx export --cohort even --prevalence 0.05 --name auditors --out FOLDER" in (data / "REPRODUCE.md").read_text()
    thresholds = rows_of(data / "thresholds.csv")
    assert [repr(LATER)] == [row["threshold"] for row in thresholds]
    assert "even" == event["detail"]["cohort"]
    assert 0 == ptx("export", "verify", out, "-c", config)[0]
    assert 0 == ptx("export", "recompute", out)[0]
    everything = b"".join(path.read_bytes() for path in data.rglob("*.csv"))
    assert b"MRN" not in everything


def test_what_cannot_be_exported(site: tuple[Engine, Path], tmp_path: Path, ptx: Ptx) -> None:
    build(site[0], Choice.CONSECUTIVE, complete=False)
    out = tmp_path / "package"
    for words, told in (
        (("--cohort", "odd"), "there is no cohort 'odd'"),
        (("--cohort", "even"), "is not complete"),
        (("--cohort", "even", "--since", "2026-03-01", "--until", "2026-03-31"), "or --cohort alone"),
        (("--cohort", "even", "--truth", "reader"), "no other truth"),
        (("--cohort", "even", "--prevalence", "5"), "not between 0 and 1"),
        ((), "needs --out, and --since"),
    ):
        code, said = ptx("export", *words, "--out", out, "-c", site[1])
        assert (2, True) == (code, told in said), said
        assert not out.exists()
