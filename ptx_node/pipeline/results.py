"""Stage results: one finding becomes SEG, SR and SC instances, then rows and files that belong together."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydicom

from ptx_node.dicom.equipment import ResultIds, Writing
from ptx_node.dicom.measurement_report import measurement_report
from ptx_node.dicom.secondary_capture import secondary_capture
from ptx_node.dicom.segmentation import segmentation
from ptx_node.domain.finding import Outcome, ResultKind
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydicom.dataset import Dataset

    from ptx_node.dicom.equipment import WriterContext
    from ptx_node.domain.finding import Finding
    from ptx_node.domain.image import Radiograph, Volume


@dataclass(frozen=True, slots=True)
class EncodedResult:
    """One result instance, not yet written anywhere."""

    kind: ResultKind
    dataset: Dataset

    def part10(self) -> bytes:
        """The instance as a DICOM Part 10 file."""
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, self.dataset, enforce_file_format=True)
        return buffer.getvalue()


def encode_results(
    finding: Finding,
    sources: Sequence[Dataset],
    *,
    kinds: Iterable[ResultKind],
    context: WriterContext,
    picture: Radiograph | Volume | None = None,
) -> tuple[EncodedResult, ...]:
    """Write a finding as the kinds of result that were asked for and that it can be written as.

    A SEG where there is a mask; an SR always; an SC of a positive or negative finding where there is a picture.

    Args:
        finding: the model's answer.
        sources: headers of the images that were read (no pixels needed), of one study and one series.
        kinds: what the rules and destinations ask for.
        context: place and moment; the same context gives the same bytes.
        picture: what the model saw, for the SC.

    Raises:
        InputError: there is no source, or its geometry does not allow a SEG.
    """
    if not sources:
        raise InputError("input_missing", "a finding without its source images cannot be written")
    wanted = frozenset(kinds)
    writing = Writing(finding, sources, ResultIds.of(finding, sources[0]), context)
    answered = finding.outcome in {Outcome.POSITIVE, Outcome.NEGATIVE}
    results: list[EncodedResult] = []
    seg = segmentation(writing) if ResultKind.SEG in wanted and finding.outcome is Outcome.POSITIVE else None
    if seg is not None:
        results.append(EncodedResult(ResultKind.SEG, seg))
    if ResultKind.SR in wanted:
        results.append(EncodedResult(ResultKind.SR, measurement_report(writing, seg)))
    if ResultKind.SC in wanted and answered and picture is not None:
        results.append(EncodedResult(ResultKind.SC, secondary_capture(writing, picture)))
    return tuple(results)
