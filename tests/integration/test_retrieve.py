"""Wanted studies are fetched gently, once, and resumed after anything: real archives, a given clock, no sleeping."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom.uid import CTImageStorage
from pynetdicom import build_context
from sqlalchemy import Engine, func, select

from ptx_node.db.retrievals import claim
from ptx_node.db.session import begin_read, begin_write, open_engine
from ptx_node.db.tables import Conflict, Job, Refusal, Table
from ptx_node.domain.retrieval import MAX_ATTEMPTS, OffHours, RetrievalState
from ptx_node.domain.routing import parse_rules
from ptx_node.domain.study import Origin, Via
from ptx_node.pipeline.enqueue import enqueue_new
from ptx_node.pipeline.receive import Receiver
from ptx_node.pipeline.retrieve import Archive, Pace, Retriever, Step
from ptx_node.simulator.pacs import Pacs, running_pacs
from tests.archives import (
    NIGHT,
    Clock,
    ask,
    dimse_archive,
    fill,
    finding,
    giving,
    hospital,
    peer,
    stored,
    web_archive,
    work_list,
)
from tests.factories import Place, as_file, ct_series, dx
from tests.integration.scp_parts import make_receiver, scp_in_thread

ONE, TWO, FOUR = (Place(number).uid(1) for number in (1, 2, 4))
GENTLE = Pace(studies_per_minute=6000.0)


@pytest.fixture(scope="module")
def archive_pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    with running_pacs(tmp_path_factory.mktemp("pacs") / "pacs", extra={"DicomAlwaysAllowGet": True}) as pacs:
        fill(pacs, hospital())
        yield pacs


@pytest.fixture
def receiver(sqlite_engine: Engine, tmp_path: Path) -> Receiver:
    return make_receiver(sqlite_engine, tmp_path / "store")


def work_through(retriever: Retriever, clock: Clock) -> list[Step]:
    """Step after step, going to the moment that each wait names."""
    steps: list[Step] = []
    while len(steps) < 100:
        step = retriever.step()
        if step.retrieval_id is not None:
            steps.append(step)
        elif step.wait_until is not None:
            clock.moment = max(step.wait_until, clock.moment + timedelta(milliseconds=1))
        else:
            break
    return steps


def fetch_all(engine: Engine, receiver: Receiver, archive: Archive, pace: Pace = GENTLE, **more: Any) -> list[Step]:
    clock = Clock()
    return work_through(Retriever(engine, receiver, archive, pace, clock=clock, **more), clock)


@pytest.mark.parametrize("kind", ["dimse", "dicomweb"])
def test_a_study_is_stored_like_any_other_and_read_by_no_rule(
    archive_pacs: Pacs, sqlite_engine: Engine, receiver: Receiver, tmp_path: Path, kind: str
) -> None:
    """Bytes on disk with their hash, rows that name the archive; a rule for everything makes no job of them."""
    seen: list[None] = []
    ids = ask(sqlite_engine, [ONE])
    archive = dimse_archive(archive_pacs.dicom_port) if kind == "dimse" else web_archive(archive_pacs.dicomweb_url)
    steps = fetch_all(sqlite_engine, receiver, archive, seen=lambda: seen.append(None))
    assert [(ids[0], RetrievalState.DONE)] == [(step.retrieval_id, step.state) for step in steps]
    instances = stored(sqlite_engine)
    assert {ds.SOPInstanceUID for ds in hospital() if ds.StudyInstanceUID == ONE} == {one.sop_instance_uid for one in instances}
    assert {("retrieve", "pacs")} == {(one.via, one.source) for one in instances}
    for one in instances:
        assert one.sha256 == hashlib.sha256((tmp_path / "store" / one.path).read_bytes()).hexdigest()
    (row,) = work_list(sqlite_engine)
    assert (6, 6, None, 1, 6) == (row.expected_count, row.received_count, row.error, row.attempts, len(seen))
    assert ("C-GET" if kind == "dimse" else "WADO-RS") == row.method
    everything = {"name": "all", "model": "m", "trigger": "instance", "match": {"keyword": "PatientID", "any_of": ["*"]}}
    rules = parse_rules([everything], {"PatientID"})
    while enqueue_new(sqlite_engine, receiver.store, rules, {}):
        pass
    assert {"retrieved"} == {one.route_outcome for one in stored(sqlite_engine)}
    with begin_read(sqlite_engine) as session:
        assert 0 == session.scalar(select(func.count()).select_from(Job))


@pytest.mark.parametrize("changes", [{}, {"StationName": "CR7"}])
def test_what_is_sent_to_the_node_after_all_is_read_by_its_rules(
    sqlite_engine: Engine, receiver: Receiver, changes: dict[str, Any]
) -> None:
    """Fetched from the archive first, then sent by the modality, with the same bytes or others: no patient goes unread."""
    instances = [dx(Place(1))]
    with peer(find=finding(instances), get=giving(instances)) as port:
        ask(sqlite_engine, [ONE])
        fetch_all(sqlite_engine, receiver, dimse_archive(port))
    enqueue_new(sqlite_engine, receiver.store, (), {})
    assert ["retrieved"] == [one.route_outcome for one in stored(sqlite_engine)]
    receiver.receive_part10(Origin(Via.DIMSE, "er", "CR7", "PTX", "10.0.0.7"), as_file(dx(Place(1), **changes)))
    enqueue_new(sqlite_engine, receiver.store, (), {})
    assert [("dimse", "CR7", "no_rule")] == [(one.via, one.calling_ae, one.route_outcome) for one in stored(sqlite_engine)]
    receiver.receive_part10(Origin(Via.RETRIEVE, "pacs", "", "", ""), as_file(instances[0]))
    assert [("dimse", "no_rule")] == [(one.via, one.route_outcome) for one in stored(sqlite_engine)], "and not the other way round"


def test_only_the_wanted_modalities_come(archive_pacs: Pacs, sqlite_engine: Engine, receiver: Receiver) -> None:
    ask(sqlite_engine, [ONE, TWO], modalities=["CT"])
    fetch_all(sqlite_engine, receiver, dimse_archive(archive_pacs.dicom_port))
    assert {"CT"} == {one.modality for one in stored(sqlite_engine)}
    first, second = work_list(sqlite_engine)
    assert ("done", 5, "not_found") == (first.state, first.received_count, second.state)
    assert "none is CT" in (second.error or "")


def test_a_study_that_is_not_there_is_not_found(archive_pacs: Pacs, sqlite_engine: Engine, receiver: Receiver) -> None:
    ask(sqlite_engine, ["1.2.3"])
    fetch_all(sqlite_engine, receiver, dimse_archive(archive_pacs.dicom_port))
    assert ["not_found"] == [row.state for row in work_list(sqlite_engine)]


def test_the_same_study_for_two_reasons_is_stored_once_and_fetched_once(sqlite_engine: Engine, receiver: Receiver) -> None:
    instances = ct_series(3, Place(1))
    asked: list[list[str]] = []
    with peer(find=finding(instances), get=giving(instances, asked)) as port:
        archive = dimse_archive(port)
        for why in ("by hand", "cohort 7"):
            ask(sqlite_engine, [ONE], why=why)
            fetch_all(sqlite_engine, receiver, archive)
        ask(sqlite_engine, [ONE], again=True)
        fetch_all(sqlite_engine, receiver, archive)
    assert 1 == len(asked)
    assert 3 == len(stored(sqlite_engine))
    assert [("by hand", "done", 3), ("cohort 7", "done", 3)] == [
        (row.why, row.state, row.received_count) for row in work_list(sqlite_engine)
    ]


def test_what_ended_is_wanted_again_only_when_a_person_asks(sqlite_engine: Engine) -> None:
    assert ask(sqlite_engine, [ONE, TWO]) == ask(sqlite_engine, [ONE, TWO, ONE])[:2]
    with peer(find=lambda event: iter([(0xA900, None)])) as port:
        fetch_all(sqlite_engine, make_receiver(sqlite_engine, Path()), dimse_archive(port))
    assert ["failed", "failed"] == [row.state for row in work_list(sqlite_engine)]
    ask(sqlite_engine, [ONE])
    assert ["failed", "failed"] == [row.state for row in work_list(sqlite_engine)]
    ask(sqlite_engine, [TWO], again=True)
    assert [("failed", 1), ("waiting", 0)] == [(row.state, row.attempts) for row in work_list(sqlite_engine)]


def test_an_archive_that_refuses_c_get_moves(sqlite_engine: Engine, receiver: Receiver, tmp_path: Path) -> None:
    """Orthanc aborts C-GET that it does not allow. C-MOVE brings the study to the node's own AE title for it, and so it is marked."""
    with (
        scp_in_thread(sqlite_engine, tmp_path / "store", receiver=receiver) as scp,
        running_pacs(
            tmp_path / "pacs",
            modalities={"node": ("PTX_RETRIEVE", "127.0.0.1", scp.port)},
            extra={"DicomAlwaysAllowGet": False, "DicomAlwaysAllowMove": True},
        ) as pacs,
    ):
        fill(pacs, hospital())
        ask(sqlite_engine, [ONE, FOUR])
        fetch_all(sqlite_engine, receiver, dimse_archive(pacs.dicom_port))
    assert [("done", "C-MOVE", 6), ("done", "C-MOVE", 1)] == [
        (row.state, row.method, row.received_count) for row in work_list(sqlite_engine)
    ]
    assert {("retrieve", "PTX_RETRIEVE")} == {(one.via, one.called_ae) for one in stored(sqlite_engine)}


def test_a_peer_that_offers_no_c_get_at_all_moves(sqlite_engine: Engine, receiver: Receiver, tmp_path: Path) -> None:
    instances = ct_series(2, Place(1))
    with scp_in_thread(sqlite_engine, tmp_path / "store", receiver=receiver) as scp:

        def move(event: Any) -> Iterator[Any]:
            assert "PTX_RETRIEVE" == event.move_destination
            yield "127.0.0.1", scp.port, {"ae_title": "PTX_RETRIEVE", "contexts": [build_context(CTImageStorage)]}
            yield len(instances)
            for ds in instances:
                yield 0xFF00, ds

        with peer(find=finding(instances), move=move) as port:
            ask(sqlite_engine, [ONE])
            fetch_all(sqlite_engine, receiver, dimse_archive(port))
    assert [("done", 2)] == [(row.state, row.received_count) for row in work_list(sqlite_engine)]


def test_a_cut_connection_is_gone_on_with(sqlite_engine: Engine, receiver: Receiver) -> None:
    """What came is kept, the next attempt takes the rest; nothing is stored twice."""
    whole, cut = dx(Place(1, 1)), ct_series(4, Place(1, 2))
    instances = [whole, *cut]
    asked: list[list[str]] = []

    def get(event: Any) -> Iterator[Any]:
        if len(asked) != 1:
            yield from giving(instances, asked)(event)
            return
        asked.append([str(event.identifier.SeriesInstanceUID)])
        yield 4
        yield 0xFF00, cut[0]
        event.assoc.abort()
        yield 0xFF00, cut[1]

    clock = Clock()
    with peer(find=finding(instances), get=get) as port:
        ask(sqlite_engine, [ONE])
        retriever = Retriever(sqlite_engine, receiver, dimse_archive(port), GENTLE, clock=clock)
        assert RetrievalState.WAITING is retriever.step().state
        (row,) = work_list(sqlite_engine)
        assert (2, 5, 1) == (row.received_count, row.expected_count, row.attempts)
        assert "2 of 5 instances are here" in (row.error or "")
        assert row.not_before_at == clock.moment + timedelta(seconds=5)
        assert [RetrievalState.DONE] == [step.state for step in work_through(retriever, clock)]
    assert [[whole.SeriesInstanceUID], [cut[0].SeriesInstanceUID], [cut[0].SeriesInstanceUID]] == asked
    assert 5 == len(stored(sqlite_engine))


def test_an_archive_that_sends_fewer_than_it_has_is_asked_again_and_then_given_up(sqlite_engine: Engine, receiver: Receiver) -> None:
    instances = ct_series(3, Place(1))
    series = str(instances[0].SeriesInstanceUID)
    with peer(find=finding(instances, counts={series: 5}), get=giving(instances)) as port:
        ask(sqlite_engine, [ONE])
        steps = fetch_all(sqlite_engine, receiver, dimse_archive(port))
    assert [RetrievalState.WAITING] * (MAX_ATTEMPTS - 1) + [RetrievalState.FAILED] == [step.state for step in steps]
    (row,) = work_list(sqlite_engine)
    assert "3 of 5 instances are here" in (row.error or "")
    assert 3 == len(stored(sqlite_engine))


def test_an_archive_that_does_not_count_is_taken_at_its_word(sqlite_engine: Engine, receiver: Receiver) -> None:
    instances = ct_series(3, Place(1))
    series = str(instances[0].SeriesInstanceUID)
    with peer(find=finding(instances, counts={series: 0}), get=giving(instances)) as port:
        ask(sqlite_engine, [ONE])
        fetch_all(sqlite_engine, receiver, dimse_archive(port))
    (row,) = work_list(sqlite_engine)
    assert ("done", None, 3) == (row.state, row.expected_count, row.received_count)


def test_instances_of_other_studies_and_patients_never_come_in(sqlite_engine: Engine, receiver: Receiver) -> None:
    """An archive that sends more than was asked for: refused, counted, and said."""
    wanted = dx(Place(1, 1, 1))
    foreign = dx(Place(1, 1, 2, changes={"StudyInstanceUID": "1.2.9"}))
    mistaken = dx(Place(1, 1, 3, "P-0666"))
    other_issuer = dx(Place(1, 1, 4, changes={"IssuerOfPatientID": "OTHER"}))
    instances = [wanted, foreign, mistaken, other_issuer]
    find = finding([wanted], counts={str(wanted.SeriesInstanceUID): 4})
    with peer(find=find, get=giving(instances)) as port:
        ask(sqlite_engine, [ONE], patient_id="P-0001", issuer_of_patient_id="EXAMPLE")
        fetch_all(sqlite_engine, receiver, dimse_archive(port))
    assert [wanted.SOPInstanceUID] == [one.sop_instance_uid for one in stored(sqlite_engine)]
    (row,) = work_list(sqlite_engine)
    assert "failed" == row.state
    assert "1.2.9" in (row.error or "")
    assert "P-0666" not in (row.error or "")
    with begin_read(sqlite_engine) as session:
        assert {"uid_mismatch"} == set(session.scalars(select(Refusal.reason)))


def test_an_instance_that_is_here_with_other_bytes_stays(sqlite_engine: Engine, receiver: Receiver) -> None:
    """The modality's own instance counts; the archive's other version is kept aside, and the study is done."""
    instances = [dx(Place(1, 1, 1)), dx(Place(1, 1, 2))]
    changed = dx(Place(1, 1, 1), StationName="PACS")
    with peer(find=finding(instances), get=giving(instances[:1])) as port:
        ask(sqlite_engine, [ONE])
        Retriever(sqlite_engine, receiver, dimse_archive(port), GENTLE, clock=Clock()).step()
    with peer(find=finding(instances), get=giving([changed, instances[1]])) as port:
        clock = Clock(NIGHT + timedelta(minutes=1))
        assert [RetrievalState.DONE] == [
            step.state for step in work_through(Retriever(sqlite_engine, receiver, dimse_archive(port), GENTLE, clock=clock), clock)
        ]
    assert 2 == len(stored(sqlite_engine))
    assert "kept aside" in (work_list(sqlite_engine)[0].error or "")
    with begin_read(sqlite_engine) as session:
        assert 1 == session.scalar(select(func.count()).select_from(Conflict))


def test_the_rate_is_kept_by_all_processes_together(sqlite_engine: Engine, receiver: Receiver) -> None:
    """Six a minute: one each ten seconds, though two take turns and one of them has just been started."""
    instances = [dx(Place(number)) for number in range(1, 7)]
    clock = Clock()
    with peer(find=finding(instances), get=giving(instances)) as port:
        ids = ask(sqlite_engine, [str(ds.StudyInstanceUID) for ds in instances])
        starts = []
        for _ in ids:
            retriever = Retriever(sqlite_engine, receiver, dimse_archive(port), Pace(studies_per_minute=6.0), clock=clock)
            while (step := retriever.step()).retrieval_id is None:
                assert step.wait_until is not None
                clock.moment = step.wait_until
            starts.append(clock.moment)
    assert [NIGHT + timedelta(seconds=10 * number) for number in range(6)] == starts
    assert ids == [row.id for row in work_list(sqlite_engine) if row.state == "done"]


def test_outside_the_window_nothing_is_begun(sqlite_engine: Engine, receiver: Receiver) -> None:
    instances = [dx(Place(1)), dx(Place(2))]
    paris = ZoneInfo("Europe/Paris")
    pace = Pace(studies_per_minute=6.0, hours=OffHours.parse("22:00-06:00", paris))
    clock = Clock(datetime(2026, 3, 2, 5, 59, 55, tzinfo=paris).astimezone(UTC))
    with peer(find=finding(instances), get=giving(instances)) as port:
        ask(sqlite_engine, [ONE, TWO])
        retriever = Retriever(sqlite_engine, receiver, dimse_archive(port), pace, clock=clock)
        assert RetrievalState.DONE is retriever.step().state
        step = retriever.step()
        evening = datetime(2026, 3, 2, 22, 0, tzinfo=paris)
        assert (None, evening) == (step.retrieval_id, step.wait_until), "the rate would allow 06:00:05, the window does not"
        clock.moment = evening - timedelta(seconds=1)
        assert evening == retriever.step().wait_until
        clock.moment = evening
        assert RetrievalState.DONE is retriever.step().state


def test_an_archive_that_is_away_costs_no_study_an_attempt(sqlite_engine: Engine, receiver: Receiver) -> None:
    ask(sqlite_engine, [ONE, TWO])
    away = dimse_archive(1, timeout_s=1.0)
    clock = Clock()
    step = Retriever(sqlite_engine, receiver, away, GENTLE, clock=clock).step()
    assert "does not answer" in (step.blocked or "")
    assert [("waiting", 0), ("waiting", 0)] == [(row.state, row.attempts) for row in work_list(sqlite_engine)]


def test_a_full_disk_costs_no_attempt(archive_pacs: Pacs, sqlite_engine: Engine, tmp_path: Path) -> None:
    full = make_receiver(sqlite_engine, tmp_path / "full", watermark_bytes=10**18)
    ask(sqlite_engine, [ONE])
    step = Retriever(sqlite_engine, full, dimse_archive(archive_pacs.dicom_port), GENTLE, clock=Clock()).step()
    assert "watermark" in (step.blocked or "")
    assert [("waiting", 0)] == [(row.state, row.attempts) for row in work_list(sqlite_engine)]


def test_two_workers_never_take_the_same_study(engine: Engine, tmp_path: Path) -> None:
    """On both databases; a lease that ran out is taken over, and the one who lost it writes nothing."""
    instances = [dx(Place(1))]
    receiver = make_receiver(engine, tmp_path / "store")
    clock = Clock()
    ask(engine, [ONE])
    with peer(find=finding(instances), get=giving(instances)) as port:
        second = Retriever(engine, receiver, dimse_archive(port), replace(GENTLE, lease_s=60.0), clock=clock)

        class Slow:
            """An archive in whose answer time the other one tries."""

            name, ae_title, address = "pacs", "PACS", "127.0.0.1"
            steps: list[Step] = []  # noqa: RUF012 - one test's

            def find_series(self, study_instance_uid: str) -> Any:
                clock.go(seconds=30)
                self.steps.append(second.step())
                clock.go(seconds=31)
                self.steps.append(second.step())
                return dimse_archive(port).find_series(study_instance_uid)

            def fetch(self, *arguments: Any) -> Any:
                raise AssertionError("everything is here by now")

            def find_studies(self, *arguments: Any, **more: Any) -> Any:
                raise AssertionError("not asked")

        first = Retriever(engine, receiver, Slow(), replace(GENTLE, lease_s=60.0), clock=clock)
        first.step()
    assert [None, RetrievalState.DONE] == [step.state for step in Slow.steps]
    assert NIGHT + timedelta(seconds=60) == Slow.steps[0].wait_until
    (row,) = work_list(engine)
    assert ("done", 2, 1) == (row.state, row.attempts, len(stored(engine)))


def test_a_study_at_which_every_process_dies_is_given_up(engine: Engine, tmp_path: Path) -> None:
    """On both databases; the other studies go on."""
    instances = [dx(Place(1)), dx(Place(2))]
    ask(engine, [ONE, TWO])
    clock = Clock()
    for _ in range(MAX_ATTEMPTS):
        with begin_write(engine) as session:
            one = claim(session, "pacs", owner="dies", lease=timedelta(seconds=60), now=clock(), only=None)
        assert one is not None
        assert ONE == one.study_instance_uid
        clock.go(seconds=61)
    with peer(find=finding(instances), get=giving(instances)) as port:
        work_through(Retriever(engine, make_receiver(engine, tmp_path / "store"), dimse_archive(port), GENTLE, clock=clock), clock)
    rows = work_list(engine)
    assert [("failed", MAX_ATTEMPTS), ("done", 1)] == [(row.state, row.attempts) for row in rows]
    assert "died" in (rows[0].error or "")


def test_killed_in_the_middle_it_goes_on_and_doubles_nothing(tmp_path: Path) -> None:
    """SIGKILL while instances come in: those that were acknowledged are there, the lease runs out, the rest follows."""
    url = f"sqlite:///{tmp_path / 'ptx.db'}"
    engine = open_engine(url)
    Table.metadata.create_all(engine)
    instances = ct_series(12, Place(1))
    asked: list[list[str]] = []
    child: list[subprocess.Popen[bytes]] = []

    def get(event: Any) -> Iterator[Any]:
        if asked:
            yield from giving(instances, asked)(event)
            return
        asked.append([str(event.identifier.SeriesInstanceUID)])
        yield len(instances)
        for number, ds in enumerate(instances):
            if number == 5:
                child[0].send_signal(signal.SIGKILL)
                child[0].wait()
            yield 0xFF00, ds

    with peer(find=finding(instances), get=get) as port:
        ask(engine, [ONE])
        code = (
            "from pathlib import Path; from ptx_node.db.session import open_engine; from ptx_node.pipeline.retrieve import *; "
            "from tests.archives import *; from tests.integration.scp_parts import make_receiver; "
            f"engine = open_engine({url!r}); receiver = make_receiver(engine, Path({str(tmp_path / 'store')!r})); "
            f"Retriever(engine, receiver, dimse_archive({port}), Pace(), clock=Clock()).step()"
        )
        child.append(subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).resolve().parents[2]))
        assert -signal.SIGKILL == child[0].wait(60)
        acknowledged = {one.sop_instance_uid for one in stored(engine)}
        assert len(acknowledged) >= 4
        assert "fetching" == work_list(engine)[0].state
        clock = Clock()
        receiver = make_receiver(engine, tmp_path / "store")
        retriever = Retriever(engine, receiver, dimse_archive(port), Pace(), clock=clock)
        assert NIGHT + timedelta(seconds=60) == retriever.step().wait_until, "the dead one's lease still holds"
        assert [RetrievalState.DONE] == [step.state for step in work_through(retriever, clock)]
    assert {str(ds.SOPInstanceUID) for ds in instances} == {one.sop_instance_uid for one in stored(engine)}
    assert 12 == len(stored(engine))
    for one in stored(engine):
        assert one.sha256 == hashlib.sha256((tmp_path / "store" / one.path).read_bytes()).hexdigest()
    engine.dispose()
