"""SIMULATED studies with pictures for the page of a study: read by the models that ship with the node, and drawn on by a reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from sqlalchemy import Engine, update

from ptx_node.db.session import begin_write, now
from ptx_node.db.tables import Delivery, Job
from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.domain.finding import Finding
from ptx_node.domain.image import Radiograph, Volume
from ptx_node.inbound.truth_files import TruthCount, TruthImport, import_truths
from ptx_node.pipeline.store import FileStore
from ptx_node.pipeline.truths import TruthIntake
from ptx_node.simulator.patient import draw_patient
from ptx_node.simulator.sites import site_of
from ptx_node.simulator.studies import Study, simulate, simulate_ct
from ptx_node.wiring.models import SHIPPED
from ptx_node.wiring.truths import measure
from tests.factories import Place, as_file, ct_series, dx
from tests.findings import finding, picture
from tests.radiology import SITE
from tests.read_study import ReadStudy, store_study
from tests.reader_masks import write_mask


def shipped(model: str) -> Callable[[Sequence[Path]], tuple[Finding, Radiograph | Volume]]:
    """What a model that ships with the node says of files."""

    def read(paths: Sequence[Path]) -> tuple[Finding, Radiograph | Volume]:
        from ptx_node.model.predictor import load_predictor  # noqa: PLC0415 - torch, only where a model reads

        predictor = load_predictor(SHIPPED / model, device="cpu", torch_threads=1)
        image = read_volume(paths) if len(paths) > 1 else read_radiograph(paths[0])
        findings, _ = predictor.predict([predictor.prepare(image)])
        return findings[0], image

    return read


def drawn_by_hand(engine: Engine, folder: Path, sources: Sequence[Dataset], mask: NDArray[np.bool_], *, reader: str, place: Path) -> None:
    """A reader's SEG as `ptx truth import` takes it, held against what the node drew."""
    store = FileStore(folder, watermark_bytes=0)
    path = write_mask(place / f"{reader}-{sources[0].SOPInstanceUID}.dcm", sources, mask, reader=reader)
    how = TruthImport(None, "", None, SITE, ZoneInfo("Europe/Paris"))
    told = list(import_truths(TruthIntake(engine, store, who="user tester"), path, how))
    assert TruthCount(1, 0) in told, told
    measure(engine, store)


def read_by_the_models(engine: Engine, folder: Path, place: Path) -> tuple[ReadStudy, ReadStudy]:
    """A radiograph and a CT of simulated patients with a pneumothorax, both drawn on by a simulated reader too: for people to look at."""
    from ptx_node.demo.studies import CT, EMERGENCY, PATIENTS  # noqa: PLC0415 - the demonstration's patients

    def stored(study: Study, model: str) -> ReadStudy:
        files = [path.read_bytes() for path in study.paths]
        read = store_study(engine, folder, files, shipped(model), patient=study.patient_id)
        assert study.mask is not None
        by_hand = study.mask | np.roll(study.mask, 9, axis=-1)  # as a hand draws: not to the pixel
        drawn_by_hand(engine, folder, [pydicom.dcmread(path) for path in study.paths], by_hand, reader="SIMULATED^Rita", place=place)
        with begin_write(engine) as session:  # the PACS has taken and confirmed them
            said = {"state": "committed", "status": "0x0000", "attempts": 1, "proof": "storage_commitment"}
            moments = dict.fromkeys(("accepted_at", "committed_at"), now())
            session.execute(update(Delivery).where(Delivery.job_id == read.job).values(**said, **moments))
            session.execute(update(Job).where(Job.id == read.job).values(moments))
        return read

    xray = stored(simulate(place / "dx", 9_000_001, site="toulouse", wishes=PATIENTS[0][2]), "ptx-cxr-demo")
    ct = simulate_ct(place / "ct", draw_patient(9_000_010, EMERGENCY), site_of("ct64"), CT)
    return xray, stored(ct, "ptx-ct-demo")


def read_by_nobody(engine: Engine, folder: Path, place: Path) -> tuple[ReadStudy, ReadStudy]:
    """The same of small made-up images and findings, in a second: for tests that need no model."""
    image, slices = dx(Place(study=91)), ct_series(12, Place(study=92))
    xray = store_study(engine, folder, [as_file(image)], lambda _: (finding([image]), picture([image])))
    mask = np.roll(finding([image]).mask, 12, axis=-1)  # type: ignore[arg-type]
    drawn_by_hand(engine, folder, [image], mask, reader="Reader^Rita", place=place)
    ct = store_study(engine, folder, [as_file(one) for one in slices], lambda _: (finding(slices), picture(slices)))
    return xray, ct
