"""The page of a study over real files: pictures as the model reads them, masks as the SEG has them, actions, and whatever is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from sqlalchemy import Engine, select

from ptx_node.dashboard.study_view import view
from ptx_node.db.jobs_again import read_again
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.study_contents import contents
from ptx_node.db.tables import Delivery, Instance, Job, JobInput, Result, TruthRow
from ptx_node.dicom.decode import read_dataset
from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.report_tree import TreeItem, report_tree
from ptx_node.dicom.shown_picture import shown_picture
from ptx_node.dicom.volume import read_volume
from ptx_node.domain.access import Role, person
from ptx_node.domain.finding import ResultKind
from ptx_node.errors import InputError
from ptx_node.pipeline.results import encode_results, record_finding
from ptx_node.pipeline.send_again import send_again
from ptx_node.pipeline.store import FileStore
from tests.dashboard import Dashboard, serving
from tests.dashboard_pictures import drawn_by_hand
from tests.factories import Place, Size, as_file, ct_series, dx, enhanced_ct, pneumothorax, siim_like
from tests.findings import CONTEXT, finding, picture
from tests.read_study import Answer, ReadStudy, store_study

EVIL = '<script>alert("x")</script>'


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    with serving(sqlite_engine, tmp_path / "store", destinations=("pacs",)) as running:
        yield running


def said(*sources: Dataset, **changes: object) -> Answer:
    """What a model that does not exist says of these images."""
    return lambda _paths: (finding(sources, **changes), picture(sources))  # type: ignore[arg-type]


def stored(dashboard: Dashboard, *sources: Dataset, answer: Answer | None = None) -> ReadStudy:
    return store_study(dashboard.engine, dashboard.parts.node.store_folder, [as_file(one) for one in sources], answer)


def file_of(dashboard: Dashboard, table: type[Instance | Result], number: int) -> Path:
    with begin_read(dashboard.engine) as session:
        return dashboard.parts.node.store_folder / session.get_one(table, number).path


def decoded(answer: httpx.Response) -> NDArray[np.generic]:
    assert answer.status_code == 200, answer.text
    told = json.loads(answer.headers["x-ptx-picture"])
    if told["kind"] == "mask":
        bits = np.unpackbits(np.frombuffer(answer.content, np.uint8))[: told["rows"] * told["columns"]]
        return bits.astype(bool).reshape(told["rows"], told["columns"])
    kind = "<i2" if told["kind"] == "hounsfield" else "<u2"
    return np.frombuffer(answer.content, kind).reshape(told["rows"], told["columns"])


def signed() -> Dataset:
    """16 bits with a sign: half of the values are negative."""
    ds = dx(Place(study=9), bits=16)
    words = np.frombuffer(ds.PixelData, "<u2").astype(np.int32) - 32768
    ds.PixelData, ds.PixelRepresentation, ds.WindowCenter, ds.WindowWidth = words.astype("<i2").tobytes(), 1, 0, 40000
    return ds


@pytest.mark.parametrize("made", [dx, lambda: dx(photometric="MONOCHROME1"), siim_like, signed])
def test_a_radiograph_is_shown_as_the_model_reads_it(dashboard: Dashboard, made: object) -> None:
    """VOI window, MONOCHROME1, 8, 12 and 16 bits, signed: the brightness of `read_radiograph`, to one part in 65535."""
    ds = made()  # type: ignore[operator]
    study = stored(dashboard, ds)
    with dashboard.person("anna", Role.VIEWER) as client:
        answer = client.get(f"/api/v1/studies/{study.number}/images/{study.images[0]}/pixels")
    read = read_radiograph(file_of(dashboard, Instance, study.images[0])).image_HW
    assert np.abs(decoded(answer) / 65535 - read).max() <= 1 / 65535
    assert decoded(answer).std() > 1000
    assert answer.headers["cache-control"] == "no-store"
    told = json.loads(answer.headers["x-ptx-picture"])
    assert (told["rows"], told["columns_to"]) == (ds.Rows, "L" if ds.PatientOrientation else "")


def test_ct_slices_are_hounsfield_units_in_the_order_of_the_volume(dashboard: Dashboard) -> None:
    """Slices that came in any order are scrolled along the normal; each mask lies on its slice; 300 slices are one look."""
    slices = ct_series(8)
    shuffled = [slices[place] for place in (3, 0, 7, 5, 1, 6, 2, 4)]
    study = stored(dashboard, *shuffled, answer=said(*slices))
    with dashboard.person("anna", Role.VIEWER) as client:
        view = client.get(f"/api/v1/studies/{study.number}/contents").json()
        (series,) = view["pictures"]
        assert series["ordered"]
        paths = [file_of(dashboard, Instance, number) for number in study.images]
        volume = read_volume(paths)
        for place, number in enumerate(series["images"]):
            address = f"/api/v1/studies/{study.number}"
            np.testing.assert_array_equal(decoded(client.get(f"{address}/images/{number}/pixels")), volume.hu_ZHW[place])
            mask = client.get(f"{address}/results/{study.results['seg']}/masks/{number}")
            wanted = finding(slices).mask
            assert wanted is not None
            if wanted[place].any():
                np.testing.assert_array_equal(decoded(mask), wanted[place])
            else:
                assert mask.status_code == 204
        drawn = client.get(f"/api/v1/studies/{study.number}/results/{study.results['seg']}/drawn").json()["images"]
    assert {int(number) for number in drawn} == set(series["images"][1:-1])
    looks = [json.loads(body)["detail"]["page"] for body in dashboard.trail("look")]
    assert mask.headers["cache-control"] == "no-store"
    assert looks.count("pictures") == 1
    assert looks.count("study") == 1


def test_slices_that_no_model_has_read_are_in_order_too(dashboard: Dashboard) -> None:
    """By their headers; one that cannot be read comes last."""
    slices = ct_series(6)
    study = stored(dashboard, *(slices[place] for place in (4, 1, 5, 0, 3, 2)))
    file_of(dashboard, Instance, study.images[2]).unlink()
    with dashboard.person("anna", Role.VIEWER) as client:
        (series,) = client.get(f"/api/v1/studies/{study.number}/contents").json()["pictures"]
    assert series["ordered"]
    assert series["images"] == [study.images[place] for place in (3, 1, 5, 4, 0, 2)]


def test_a_machine_without_codecs_says_so(tmp_path: Path) -> None:
    """The dashboard's host may have none: then words about it, not a broken image."""
    ds = dx()
    ds.compress("1.2.840.10008.1.2.4.90", encoding_plugin="pylibjpeg")
    path = tmp_path / "image.dcm"
    path.write_bytes(as_file(ds))
    assert shown_picture(path).values_HW.shape == (ds.Rows, ds.Columns)
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('pylibjpeg', 'openjpeg', 'gdcm', 'PIL', 'PIL.Image'), None))\n"
        "from pathlib import Path; from ptx_node.dicom.shown_picture import shown_picture\n"
        "try: shown_picture(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False, timeout=120).stdout
    assert "has no codec for it" in told
    assert "JPEG 2000" in told


def test_the_page_tells_everything_and_runs_nothing_that_an_image_says(dashboard: Dashboard) -> None:
    """Hostile text in every text of the image, in the job, in a delivery's error: all of it is text on the page."""
    texts = dict.fromkeys(("PatientName", "StudyDescription", "SeriesDescription", "InstitutionName", "AccessionNumber"), EVIL[:16])
    ds = dx(**texts | {"PatientName": EVIL, "StudyDescription": EVIL})
    study = stored(dashboard, ds, answer=said(ds))
    with begin_write(dashboard.engine) as session:
        session.get_one(Job, study.job).detail = EVIL
        for row in session.scalars(select(Delivery)):
            row.error, row.state, row.status = EVIL, "failed", "0xA700"
    with dashboard.person("olga", Role.OPERATOR) as client:
        text = client.get(f"/studies/{study.number}").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    for words in (
        "AI result \u2013 research use",
        "probability",
        "0.912",
        "threshold",
        "0.400, reached",
        "right",
        "1\u202f234 mm²",
        "given up",
    ):
        assert words in text, words
    for words in ("Imaging Measurement Report", "Pneumothorax", "Segmentation", "Secondary capture"):
        assert words in text, words
    assert "diagnos" not in text.lower()


def test_a_report_is_a_tree_that_a_person_reads(dashboard: Dashboard, tmp_path: Path) -> None:
    """Names, values with units, references; the slices of a series are one line; one that is too deep is refused."""
    slices = ct_series(40)
    study = stored(dashboard, *slices, answer=said(*slices))
    path = file_of(dashboard, Result, study.results["sr"])
    lines = list(flat(report_tree(path)))
    assert any("Volume: 87.25 ml" in line for line in lines)
    assert any(line.endswith(": 91.2345 %") for line in lines)
    assert any("and 37 more" in line for line in lines)
    assert len(lines) < 80
    with dashboard.person("anna", Role.VIEWER) as client:
        address = f"/api/v1/studies/{study.number}/results"
        assert client.get(f"{address}/{study.results['sr']}/tree").json()["items"][0]["value"] == "English (United States)"
        assert client.get(f"{address}/{study.results['seg']}/tree").status_code == 422
        assert client.get("/api/v1/openapi.json").status_code == 200
    ds = read_dataset(path)
    for _ in range(30):
        nested = Dataset()
        nested.ValueType, nested.ContentSequence = "CONTAINER", ds.ContentSequence
        ds.ContentSequence = [nested]
    ds.save_as(tmp_path / "deep.dcm")
    with pytest.raises(InputError, match="levels"):
        report_tree(tmp_path / "deep.dcm")


def flat(item: TreeItem) -> Iterator[str]:
    yield f"{item.name}: {item.value}"
    for one in item.items:
        yield from flat(one)


def test_an_auditor_sees_what_the_model_said_and_no_picture(dashboard: Dashboard) -> None:
    """No pixel, no file, no UID; outcome, deliveries and states stay."""
    ds = dx()
    study = stored(dashboard, ds, answer=said(ds))
    with dashboard.person("otto", Role.AUDITOR) as client:
        page = client.get(f"/studies/{study.number}")
        assert page.status_code == 200
        assert "0.912" in page.text
        for secret in (str(ds.SOPInstanceUID), str(ds.StudyInstanceUID), str(ds.PatientID), "data-view", "/file"):
            assert secret not in page.text, secret
        view = client.get(f"/api/v1/studies/{study.number}/contents").json()
        assert view["pictures"] == []
        assert view["findings"][0]["mask"] is None
        for rest in (f"images/{study.images[0]}/pixels", f"results/{study.results['seg']}/drawn", f"results/{study.results['sr']}/file"):
            assert client.get(f"/api/v1/studies/{study.number}/{rest}").status_code == 403
        assert client.get(f"/api/v1/studies/{ds.StudyInstanceUID}/contents").status_code == 404


def test_a_readers_mask_is_given_of_its_own_study_and_the_newest_counts(dashboard: Dashboard, tmp_path: Path) -> None:
    """Bit for bit; not under another study, not to an auditor; a correction takes its place; a file that is gone is said."""
    ds, other = dx(), dx(Place(study=7))
    study, elsewhere = stored(dashboard, ds, answer=said(ds)), stored(dashboard, other, answer=said(other))
    folder, mask = dashboard.parts.node.store_folder, pneumothorax(Size(int(ds.Rows), int(ds.Columns)))

    def take(reader: str, drawn: NDArray[np.bool_], place: str) -> None:
        (tmp_path / place).mkdir()
        drawn_by_hand(dashboard.engine, folder, [ds], drawn, reader=reader, place=tmp_path / place)

    take("Reader^Rita", mask, "first")
    take("Reader^Sam", ~mask, "second")
    take("Reader^Rita", np.roll(mask, 5, axis=0), "third")
    address = f"/api/v1/studies/{study.number}"
    with dashboard.person("anna", Role.VIEWER) as client:
        view = client.get(f"{address}/contents").json()
        assert [one["reader"] for one in view["reader_masks"]] == ["Reader Sam", "Reader Rita"]
        sam, rita = (one["reading"] for one in view["reader_masks"])
        image = study.images[0]
        np.testing.assert_array_equal(decoded(client.get(f"{address}/readings/{rita}/masks/{image}")), np.roll(mask, 5, axis=0))
        np.testing.assert_array_equal(decoded(client.get(f"{address}/readings/{sam}/masks/{image}")), ~mask)
        assert client.get(f"{address}/readings/{rita}/drawn").json()["images"] == {str(image): int(mask.sum())}
        assert {one["reader"]: one["dice"] for one in view["findings"][0]["by_hand"]}["Reader Sam"] == 0
        assert client.get(f"/api/v1/studies/{elsewhere.number}/readings/{rita}/drawn").status_code == 404
        assert client.get(f"{address}/readings/{2**62}/drawn").status_code == 404
        with begin_read(dashboard.engine) as session:
            (folder / str(session.get_one(TruthRow, rita).path)).unlink()
        assert "no longer in the store" in client.get(f"{address}/readings/{rita}/drawn").text
    with dashboard.person("otto", Role.AUDITOR) as client:
        hidden = client.get(f"{address}/contents").json()
        assert hidden["reader_masks"] == hidden["findings"][0]["by_hand"] == []
        assert client.get(f"{address}/readings/{sam}/drawn").status_code == 403


def test_a_result_is_given_out_byte_for_byte_and_noted(dashboard: Dashboard) -> None:
    ds = dx()
    study = stored(dashboard, ds, answer=said(ds))
    address = f"/api/v1/studies/{study.number}/results/{study.results['seg']}/file"
    path = file_of(dashboard, Result, study.results["seg"])
    with dashboard.person("anna", Role.VIEWER) as client:
        answer = client.get(address)
        assert answer.content == path.read_bytes()
        assert answer.headers["content-disposition"].startswith("attachment")
        assert any("download" in body for body in dashboard.trail("look"))
        path.chmod(0o640)
        path.write_bytes(path.read_bytes() + b"\0")
        assert client.get(address).status_code == 409
        path.unlink()
        assert client.get(address).status_code == 404
        assert "no longer in the store" in client.get(f"/api/v1/studies/{study.number}/results/{study.results['seg']}/drawn").text
        assert client.get(f"/studies/{study.number}").status_code == 200


def broken(dashboard: Dashboard, study: ReadStudy, how: str) -> None:
    """Spoil the stored image of a study."""
    path = file_of(dashboard, Instance, study.images[0])
    path.chmod(0o640)
    match how:
        case "cut":
            path.write_bytes(path.read_bytes()[:-2000])
        case "noise":
            path.write_bytes(np.random.default_rng(1).bytes(5000))
        case "gone":
            path.unlink()
        case "outside":
            with begin_write(dashboard.engine) as session:
                session.get_one(Instance, study.images[0]).path = "../../../etc/passwd"


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("cut", 422, "pixel data"),
        ("noise", 422, "cannot be read"),
        ("gone", 404, "no longer in the store"),
        ("outside", 404, "outside the store"),
        ("frames", 422, "8 frames"),
        ("codec", 422, "cannot be shown"),
    ],
)
def test_a_picture_that_cannot_be_shown_is_told_in_words(dashboard: Dashboard, how: str, status: int, words: str) -> None:
    """Neither a trace nor a place on disk; the page itself stands."""
    ds = enhanced_ct() if how == "frames" else dx()
    if how == "codec":
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
        ds.PixelData, ds["PixelData"].is_undefined_length = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0", True
    study = stored(dashboard, ds)
    broken(dashboard, study, how)
    with dashboard.person("anna", Role.VIEWER) as client:
        answer = client.get(f"/api/v1/studies/{study.number}/images/{study.images[0]}/pixels")
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
        assert str(dashboard.parts.node.store_folder) not in answer.text
        assert client.get(f"/studies/{study.number}").status_code == 200


def test_no_address_leads_to_another_study_or_out_of_the_store(dashboard: Dashboard) -> None:
    """Numbers of other studies, UIDs that are paths, numbers beyond the database's: 404 or 422, never a file and never 500."""
    one, other = dx(Place(study=1)), dx(Place(study=2))
    first, second = stored(dashboard, one, answer=said(one)), stored(dashboard, other, answer=said(other))
    strange = ("../../etc/passwd", "%2e%2e%2fetc%2fpasswd", "1.2.3/../../x", "%00", EVIL, "9" * 400, "-1")
    with dashboard.person("anna", Role.ADMINISTRATOR) as client:
        for rest in (
            f"images/{second.images[0]}/pixels",
            f"results/{second.results['seg']}/file",
            f"results/{second.results['seg']}/drawn",
        ):
            assert client.get(f"/api/v1/studies/{first.number}/{rest}").status_code == 404
        assert client.get(f"/api/v1/studies/{first.number}/results/{first.results['sr']}/drawn").status_code == 404
        assert client.get(f"/api/v1/studies/{one.StudyInstanceUID}/images/{first.images[0]}/pixels").status_code == 200
        for name in strange:
            assert client.get(f"/studies/{name}").status_code in (404, 422)
            assert client.get(f"/api/v1/studies/{name}/contents").status_code in (404, 422)
            assert client.get(f"/api/v1/studies/{first.number}/images/{name}/pixels").status_code in (404, 422)
        for path in (f"jobs/{second.job}/retry", f"jobs/{second.job}/supersede", "deliveries/999/send-again"):
            answer = client.post(f"/api/v1/studies/{first.number}/{path}", json={"reason": "x"})
            assert answer.status_code == 404, (path, answer.text)


def test_a_study_that_goes_while_it_is_open(dashboard: Dashboard) -> None:
    study = stored(dashboard, dx())
    with dashboard.person("anna", Role.VIEWER) as client:
        address = f"/api/v1/studies/{study.number}/images/{study.images[0]}/pixels"
        assert client.get(address).status_code == 200
        with begin_write(dashboard.engine) as session:
            for row in [*session.scalars(select(JobInput)), *session.scalars(select(Instance))]:
                session.delete(row)
                session.flush()
        assert client.get(address).json()["detail"] == "nothing of this study is here"
        assert client.get(f"/studies/{study.number}").status_code == 404


def decisions(dashboard: Dashboard) -> list[dict[str, object]]:
    return [json.loads(body)["detail"] for body in dashboard.trail("decision")]


def test_a_failed_job_is_retried_with_a_reason(dashboard: Dashboard) -> None:
    """By the form with its CSRF word; without a reason nothing happens; twice is a conflict; it stands in the trail."""
    study = stored(dashboard, dx())
    with dashboard.person("olga", Role.OPERATOR) as client:
        path = f"/studies/{study.number}/jobs/{study.job}/retry"
        assert "Retry job" in client.get(f"/studies/{study.number}").text
        assert client.post(path, data={"reason": "  "}).status_code == 422
        bare = httpx.post(dashboard.url + path, cookies=dict(client.cookies), data={"reason": "x"}, timeout=60)
        assert bare.status_code == 403
        answer = client.post(path, data={"reason": "codec installed"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{study.number}")
        assert client.post(path, data={"reason": "again"}).status_code == 409
    with begin_read(dashboard.engine) as session:
        assert session.get_one(Job, study.job).state == "queued"
    assert [one for one in decisions(dashboard) if one["what"] == "retry jobs"] == [
        {"what": "retry jobs", "job_ids": [study.job], "reason": "codec installed"}
    ]
    with dashboard.person("vera", Role.VIEWER) as client:
        assert client.post(path, data={"reason": "x"}).status_code == 403
        assert "Retry job" not in client.get(f"/studies/{study.number}").text


def test_a_job_is_read_again_and_superseded(dashboard: Dashboard) -> None:
    """A new job with the same inputs is queued, the old one stays done and names it; a second time is refused."""
    slices: Sequence[Dataset] = ct_series(4)
    study = stored(dashboard, *slices, answer=said(*slices))
    with dashboard.person("olga", Role.OPERATOR) as client:
        address = f"/api/v1/studies/{study.number}/jobs/{study.job}/supersede"
        new = client.post(address, json={"reason": "new model"}).json()["jobs"][0]
        assert client.post(address, json={"reason": "new model"}).status_code == 409
        assert client.post(f"/api/v1/studies/{study.number}/jobs/{new}/supersede", json={"reason": "x"}).status_code == 409
        assert "superseded by job" in client.get(f"/studies/{study.number}").text
    with begin_read(dashboard.engine) as session:
        old, made = session.get_one(Job, study.job), session.get_one(Job, new)
        assert (old.state, old.superseded_by_id, made.state, made.rule, made.attempts) == ("done", new, "queued", old.rule, 0)
        assert set(study.images) == set(session.scalars(select(JobInput.instance_id).where(JobInput.job_id == new)))
    assert decisions(dashboard)[-1] == {"what": "supersede job", "job_id": study.job, "new_job_id": new, "reason": "new model"}


def test_reading_again_keeps_one_set_of_results(engine: Engine, tmp_path: Path) -> None:
    """On both databases: the same model on the same images gives the same instances, which stand under the newer finding."""
    ds = dx()
    study = store_study(engine, tmp_path / "store", [as_file(ds)], said(ds))
    with begin_write(engine) as session:
        new = read_again(session, study.job, now=now())
        assert new is not None
        assert read_again(session, study.job, now=now()) is None
        session.get_one(Job, new).state = "done"
    store = FileStore(tmp_path / "store", watermark_bytes=0)
    encoded = encode_results(finding([ds]), [ds], kinds=[ResultKind.SEG, ResultKind.SR], context=CONTEXT)
    record_finding(engine, store, job_id=new, finding=finding([ds]), encoded=encoded, destinations=())
    with begin_read(engine) as session:
        seen = view(contents(session, study.study_instance_uid), person(1, "anna", Role.VIEWER))
        ids = list(session.scalars(select(Delivery.id)))
    assert [(one.job, one.superseded, one.mask) for one in seen.findings] == [
        (new, False, study.results["seg"]),
        (study.job, True, None),
    ]
    assert send_again(engine, ids, deadlines_s={}, by="user olga", reason="x") == sorted(ids)


def test_deliveries_are_sent_again_also_those_that_arrived(dashboard: Dashboard) -> None:
    """Chosen ones become due at once, with a new deadline; one that is being sent is left alone."""
    ds = dx()
    study = stored(dashboard, ds, answer=said(ds))
    with begin_write(dashboard.engine) as session:
        rows = list(session.scalars(select(Delivery).order_by(Delivery.id)))
        for row, state in zip(rows, ("committed", "failed", "sending"), strict=True):
            row.state, row.proof = state, "storage_commitment" if state == "committed" else None
        ids = [row.id for row in rows]
    with dashboard.person("olga", Role.OPERATOR) as client:
        answer = client.post(f"/studies/{study.number}/deliveries/send-again", data={"reason": "archive restored", "delivery": ids})
        assert answer.status_code == 303
        being_sent = f"/api/v1/studies/{study.number}/deliveries/{ids[2]}/send-again"
        assert client.post(being_sent, json={"reason": "x"}).status_code == 409
    with begin_read(dashboard.engine) as session:
        states = {row.id: (row.state, row.proof) for row in session.scalars(select(Delivery))}
    assert states == {ids[0]: ("waiting", None), ids[1]: ("waiting", None), ids[2]: ("sending", None)}
    assert decisions(dashboard)[-1] == {"what": "send again", "delivery_ids": ids[:2], "reason": "archive restored"}


def test_a_picture_of_4000_by_4000_is_sent_whole(dashboard: Dashboard) -> None:
    """Sixteen million pixels, within seconds."""
    ds = dx()
    ds.Rows = ds.Columns = 4000
    ds.PixelData = np.tile(np.arange(4000, dtype="<u2"), 4000).tobytes()
    study = stored(dashboard, ds)
    with dashboard.person("anna", Role.VIEWER) as client:
        answer = client.get(f"/api/v1/studies/{study.number}/images/{study.images[0]}/pixels")
    assert decoded(answer).shape == (4000, 4000)
    assert read_dataset(file_of(dashboard, Instance, study.images[0]), header_only=True).Rows == 4000
