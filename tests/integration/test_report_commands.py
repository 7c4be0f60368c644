"""Radiology reports through the real commands: the doors that `ptx receive` opens, `ptx reports import`, the scheduler's look."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, insert

from ptx_node.cli.app import main
from ptx_node.db.session import begin_write, open_engine
from ptx_node.db.tables import Instance, RadiologyReport
from ptx_node.settings import load
from ptx_node.simulator.processes import free_port, port_answers, running
from ptx_node.wiring.reports import find_patients
from tests.fhir_resources import bundle, diagnostic_report
from tests.hl7_sender import by_library, oru
from tests.radiology import counted, instance_row, label_of, rows, the_report

TOKEN = "secret-of-the-portal"


class Site:
    """A node's configuration in a folder, with a database that is up to date."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hl7_port, self.fhir_port = free_port(), free_port()
        self.config = folder / "ptx.toml"
        self.config.write_text(
            f"""
            [node]
            time_zone = "Europe/Paris"
            [hl7]
            enabled = true
            port = {self.hl7_port}
            [[hl7.senders]]
            name = "ris"
            application = "RIS"
            [fhir]
            enabled = true
            port = {self.fhir_port}
            bearer_tokens = ["{TOKEN}"]
            [patients]
            default_authority = "hospital"
            authorities = {{ "1.2.3" = "hospital" }}
            """
        )
        assert 0 == main(["db", "upgrade", "-c", str(self.config)])
        self.engine: Engine = open_engine(load(self.config).database_url)

    @contextmanager
    def door(self, name: str, port: int) -> Iterator[None]:
        command = [sys.executable, "-m", "ptx_node", "receive", "--door", name, "-c", str(self.config)]
        with running(command, log=self.folder / f"{name}.log", ready=lambda: port_answers(port)):
            yield


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.engine.dispose()


def listed(capsys: pytest.CaptureFixture[str], site: Site, *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert 0 == main(["reports", *words, "--json", "-c", str(site.config)])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_both_doors_take_reports_and_the_scheduler_finds_their_patient(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """HL7 and FHIR by the real commands, labelled by the node's own rules; an image comes later."""
    with site.door("hl7", site.hl7_port):
        assert ["AA", "AR"] == by_library(site.hl7_port, oru("Small left apical pneumothorax."), oru(kind="ORM^O01"))
    with site.door("fhir", site.fhir_port):
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/fhir+json"}
        answer = httpx.post(
            f"http://127.0.0.1:{site.fhir_port}/fhir", content=json.dumps(bundle(diagnostic_report())), headers=headers, timeout=20
        )
        assert 201 == answer.status_code
    assert ["unknown_patient"] * 2 == [one["parked"] for one in listed(capsys, site, "list", "--parked")]
    first, second = rows(site.engine, RadiologyReport)
    assert ["positive", "negative"] == [label_of(site.engine, one) for one in (first, second)]
    assert {"unknown_patient"} == {first.parked, second.parked}
    with begin_write(site.engine) as session:
        session.execute(insert(Instance).values(instance_row(patient_id="1")))
    find_patients(load(site.config), site.engine)()
    assert ["negative", "positive"] == [one["label"] for one in listed(capsys, site, "list")]
    assert [] == listed(capsys, site, "list", "--parked")
    assert [("fhir", "accepted"), ("hl7", "refused"), ("hl7", "accepted")] == [
        (one["via"], one["verdict"]) for one in listed(capsys, site, "messages")
    ]
    assert ["message_type"] == [one["reason"] for one in listed(capsys, site, "messages", "--not-taken")]


def test_import_prints_what_is_wrong_and_counts_the_rest(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    mapping = 'source = "archive"\n[columns]\nreport = "id"\npatient_id = "pid"\ntext = "text"\n'
    (site.folder / "map.toml").write_text(mapping)
    table = site.folder / "reports.csv"
    table.write_text("id,pid,text\nR1,1,Right pneumothorax.\nR2,,No.\n")
    words = ["reports", "import", str(table), "--map", str(site.folder / "map.toml"), "-c", str(site.config)]
    assert [1, 1] == [main(words), main(words)]
    said = capsys.readouterr()
    assert f"ptx: {table}: line 3: column 'pid': is empty" in said.err
    assert ["1 new, 0 already here, 1 of these wait for their patient; 1 wrong"] == said.out.splitlines()[-2:-1]
    assert (1, 1, 1, 1) == counted(site.engine)
    assert "positive" == label_of(site.engine, the_report(site.engine))


def test_a_door_that_would_let_nobody_in_does_not_open(site: Site) -> None:
    site.config.write_text("[hl7]\nenabled = true\n[fhir]\nenabled = true\n")
    for name, key in (("hl7", "[[hl7.senders]]"), ("fhir", "fhir.bearer_tokens")):
        command = [sys.executable, "-m", "ptx_node", "receive", "--door", name, "-c", str(site.config)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (2, True) == (outcome.returncode, key in outcome.stderr)
