"""Every kind of result for every outcome and every sort of source image, written once a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from ptx_node.domain.finding import Finding, Outcome, ResultKind
from ptx_node.pipeline.results import encode_results
from tests import factories as make
from tests.findings import CONTEXT, finding, picture

SOURCES = {
    "dx": lambda: [make.dx()],
    "dx_monochrome1": lambda: [make.dx(photometric="MONOCHROME1", bits=14)],
    "no_patient_orientation": lambda: [make.dx(PatientOrientation=make.ABSENT)],
    "nothing_of_type_2": lambda: [make.bare_radiograph()],
    "secondary_capture": lambda: [make.siim_like()],
    "japanese": lambda: [make.dx(**make.JAPANESE)],
    "utf8": lambda: [make.cr(**make.UTF8)],
    "latin1": lambda: [make.cr(**make.LATIN1)],
    "ascii": lambda: [make.cr(**make.ASCII)],
    "ct": lambda: make.ct_series(5),
    "ct_without_frame_of_reference": lambda: make.ct_series(4, FrameOfReferenceUID=make.ABSENT),
    "enhanced_ct": lambda: [make.enhanced_ct(5)],
}


@dataclass(frozen=True)
class Case:
    """The results of one finding on one sort of source, as files."""

    sources: list[Dataset]
    finding: Finding
    paths: dict[ResultKind, Path]

    def read(self, kind: ResultKind) -> pydicom.FileDataset:
        return pydicom.dcmread(self.paths[kind])


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Outcome], Case]:
    folder = tmp_path_factory.mktemp("results")
    made = {}
    for name, build in SOURCES.items():
        sources = [make.header(ds) for ds in build()]
        for outcome in Outcome:
            made[name, outcome] = write_case(folder, f"{name}-{outcome}", sources, finding(sources, outcome))
    return made


def write_case(folder: Path, name: str, sources: list[Dataset], answer: Finding) -> Case:
    paths = {}
    for one in encode_results(answer, sources, kinds=ResultKind, context=CONTEXT, picture=picture(sources)):
        paths[one.kind] = folder / f"{name}-{one.kind}.dcm"
        paths[one.kind].write_bytes(one.part10())
    return Case(sources, answer, paths)
