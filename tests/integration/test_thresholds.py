"""A site's own threshold: proposed from its CT reports, applied by a person, in versions, and taken by workers with their next jobs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, select

from ptx_node.cli.app import main
from ptx_node.db import audit, thresholds
from ptx_node.db.schema import upgrade
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import AuditEvent
from ptx_node.db.thresholds import Action, Verified
from ptx_node.domain.finding import Finding, Outcome
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.settings import load
from ptx_node.validation.local_threshold import evidence, propose
from ptx_node.validation.statistics import Aim, Note
from ptx_node.wiring import open_database
from ptx_node.wiring.models import describe_models
from tests.case_database import DAY, FIRST, SECOND, Hospital
from tests.integration.test_jobs import Answers, FakeModel, add_job, inference

CXR = "ptx-cxr-demo"


class Threshold(FakeModel):
    """Calls 0.1 by the threshold that it is given, as the real one does."""

    def predict(self, batch, threshold=None):
        called = Outcome.POSITIVE if 0.1 >= (threshold or 0.5) else Outcome.NEGATIVE
        return [Finding(called, (one.sop_instance_uid,), self.identity, 0.1, threshold or 0.5) for one in batch], 1.0


def apply(engine: Engine, weights: str, value: float | None) -> None:
    with begin_write(engine) as session:
        action = Action.WITHDRAWN if value is None else Action.APPLIED
        thresholds.record(session, action, model="fake", weights_sha256=weights, value=value, decided_by="user ines", now=now(), note="why")


def test_workers_take_what_a_person_applied_with_their_next_jobs_and_the_models_own_once_it_is_withdrawn(engine: Engine) -> None:
    model, answers = Threshold(), Answers()
    weights, said = model.identity.weights_sha256, []
    for value in (None, 0.05, 0.2, None):
        if said:
            apply(engine, weights, value)
        job = add_job(engine, f"j{len(said)}")
        inference(engine, model, answers).run()
        (finding,) = answers.findings[job]
        said.append((finding.outcome, finding.threshold))
    own, low, high = (Outcome.NEGATIVE, 0.5), (Outcome.POSITIVE, 0.05), (Outcome.NEGATIVE, 0.2)
    assert [own, low, high, own] == said
    apply(engine, "other weights", 0.01)
    with begin_read(engine) as session:
        assert {"other weights": 0.01} == thresholds.in_force(session)
        assert [0.01, None, 0.2, 0.05] == [one.value for one in thresholds.history(session)]


def test_cases_are_primary_pairs_of_these_weights_whose_report_was_decided(engine: Engine, tmp_path: Path) -> None:
    site = Hospital(engine, tmp_path)
    for patient, outcome, text in (
        ("1", "positive", "Right pneumothorax."),
        ("2", "negative", "Left pneumothorax."),
        ("3", "negative", "No pneumothorax."),
        ("4", "positive", "Pneumothorax cannot be excluded."),
    ):
        site.read(patient, outcome=outcome)
        site.told(text, patient)
    site.read("3", outcome="positive", model=SECOND)
    site.read("5", outcome="positive", day=DAY + timedelta(days=3))
    site.told("No pneumothorax.", "5", day=DAY + timedelta(days=3))
    site.decide("uncertain", report_id=4)
    reconcile(engine)
    with begin_read(engine) as session:
        found = thresholds.verified(session, FIRST[2])
        (last,) = thresholds.verified(session, FIRST[2], since=DAY + timedelta(days=1))
        assert [True, True, False, False] == [one.pneumothorax for one in found]
        assert [0.9, 0.1, 0.1, 0.9] == [round(one.probability, 1) for one in found]
        assert found[-1] == last
        assert 4 == len({one.person_id for one in found})
        assert 1 == len(thresholds.verified(session, SECOND[2]))


def test_a_proposal_reaches_its_aim_and_says_how_sure_it_is() -> None:
    rng = np.random.default_rng(7)
    cases = [Verified(person, float(rng.beta(4, 2) if person % 2 else rng.beta(2, 5)), bool(person % 2)) for person in range(240)]
    found = propose(cases, Aim("sensitivity", 0.9), repeats=200)
    told = evidence(found)
    called = [one.probability >= told["threshold"]["value"] for one in cases if one.pneumothorax]
    assert np.mean(called) >= 0.9
    assert told["threshold"]["low"] < told["threshold"]["value"] < told["threshold"]["high"]
    assert (120, 120, 1, 200) == (told["positives"], told["negatives"], told["threshold"]["seed"], told["threshold"]["repeats"])
    few = evidence(propose(cases[:60], Aim("youden"), repeats=10))
    assert (None, Note.TOO_FEW) == (few["threshold"]["value"], few["threshold"]["note"])
    json.dumps(told, allow_nan=False)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("PTX_NODE__HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    engine = open_database(load(None))
    upgrade(engine)
    return engine


def weights_of(model: str) -> str:
    return next(row["weights_sha256"] for row in describe_models(load(None)) if row["name"] == model)


def test_only_a_person_applies_and_says_why(node: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    weights = weights_of(CXR)
    assert 1 == main(["thresholds", "propose", CXR])
    assert "proposal 1: none for ptx-cxr-demo" in capsys.readouterr().out
    assert 2 == main(["thresholds", "apply", "1", "--note", "because"])
    assert "proposes nothing" in capsys.readouterr().err
    with begin_write(node) as session:
        common = {"model": CXR, "decided_by": "user ines", "now": now(), "evidence": {}}
        thresholds.record(session, Action.PROPOSED, weights_sha256=weights, value=0.31, **common)
        thresholds.record(session, Action.PROPOSED, weights_sha256="0" * 64, value=0.4, **common)
    with begin_read(node) as session:
        assert {} == thresholds.in_force(session)
    assert 2 == main(["thresholds", "apply", "2", "--note", " "])
    assert 2 == main(["thresholds", "apply", "3", "--note", "because"])
    assert "other weights" in capsys.readouterr().err
    assert 0 == main(["thresholds", "apply", "2", "--note", "agreed in the meeting"])
    with begin_read(node) as session:
        assert {weights: 0.31} == thresholds.in_force(session)
    assert 0 == main(["thresholds", "set", CXR, "0.5", "--note", "by hand"])
    assert 0 == main(["thresholds", "withdraw", CXR, "--note", "new scanner"])
    assert 2 == main(["thresholds", "withdraw", CXR, "--note", "again"])
    capsys.readouterr()
    assert 0 == main(["thresholds", "list", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [("withdrawn", None), ("applied", 0.5), ("applied", 0.31)] == [(row["action"], row["value"]) for row in listed[:3]]
    with begin_read(node) as session:
        bodies = [json.loads(one.body) for one in session.scalars(select(AuditEvent).order_by(AuditEvent.sequence))]
        assert 3 == sum("threshold" in json.dumps(body) for body in bodies)
        assert audit.verify(session).broken is None


@pytest.mark.parametrize(
    "words", [["set", CXR, "1.5", "--note", "x"], ["set", "nobody", "0.5", "--note", "x"], ["apply", "99", "--note", "x"]]
)
def test_what_cannot_be_is_refused_in_words(node: Engine, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["thresholds", *words])
    assert capsys.readouterr().err.startswith("ptx: ")
    with begin_read(node) as session:
        assert [] == thresholds.history(session)
