"""The report as one page: figures in it as data addresses, a table beside every figure, nothing loaded from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ptx_node.dicom.decode import read_dataset
from ptx_node.errors import InputError
from training.datasets.pixels import PICTURES
from training.stats import charts, pictures
from training.stats.alike import ALIKE, RADIUS
from training.stats.counts import ATTRIBUTES, COMPLETENESS
from training.stats.facts import KINDS, STATED_NOT
from training.stats.headers import example

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from training.stats.facts import Finding, Image
    from training.stats.gather import Gathered

ROWS = 15
"""Findings of a kind that the page lists; findings.csv has all."""
OVERVIEW = (
    ("format", "Format"),
    ("images", "Images"),
    ("readable", "\u2003readable"),
    ("series", "Series"),
    ("slices", "CT slices among the images"),
    ("patients", "Patients"),
    ("images_without_patient", "Images without a patient"),
    ("positive", "Images with pneumothorax"),
    ("positive_patients", "\u2003their patients"),
    ("negative", "Images without"),
    ("uncertain", "Images uncertain or not stated"),
    ("several_masks", "Images with several masks"),
    ("problems", "Loader problems"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of finding on the page."""

    kind: str
    title: str
    meaning: str
    serious: bool
    counts: Sequence[int]
    findings: Sequence[Finding]
    more: int
    picture: str | None


def write_page(path: Path, gathered: Gathered, summary: Mapping[str, Any], found: Sequence[Finding], *, seed: int, split: str) -> None:
    """Write the page. `split` names the split file, empty without one."""
    names = list(gathered.data_sets)
    totals = {name: summary["data_sets"][name]["images"] for name in names}
    has_slices = any(summary["data_sets"][name]["slices"] for name in names)
    environment = Environment(loader=PackageLoader("training.stats", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["count"] = lambda value: f"{value:,}" if isinstance(value, int) else value
    path.write_text(
        environment.get_template("report.html.jinja").render(
            names=names,
            colours=[charts.colour(place) for place in range(len(names))],
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            summary=summary,
            totals=totals,
            split=split,
            simulated=[name for name in names if summary["data_sets"][name]["simulated"]],
            overview=[
                (title, [summary["data_sets"][name][key] for name in names]) for key, title in OVERVIEW if key != "slices" or has_slices
            ],
            sections=[_section(kind, found, names, summary) for kind in KINDS if kind not in {"leak", "not_in_split"} or split],
            batches={name: pictures.batch(pictures.choose(gathered.of(name), seed)) for name in names if gathered.of(name)},
            attributes=_attributes(summary, names, totals),
            same=_same(summary),
            masks=_mask_figures(gathered, summary),
            completeness=charts.completeness(summary["completeness"], COMPLETENESS),
            completeness_titles=COMPLETENESS,
            examples={name: rows for name in names if (rows := _example(gathered.of(name)))},
            stated_not=STATED_NOT,
            radius=RADIUS,
            alike=ALIKE,
        ),
        "utf-8",
    )


def _section(kind: str, found: Sequence[Finding], names: Sequence[str], summary: Mapping[str, Any]) -> Section:
    of_kind = [finding for finding in found if finding.kind == kind]
    told = KINDS[kind]
    return Section(
        kind=kind,
        title=told.title,
        meaning=told.meaning,
        serious=told.serious,
        counts=[summary["findings"][kind][name] for name in names],
        findings=of_kind[:ROWS],
        more=max(0, len(of_kind) - ROWS),
        picture=pictures.found(of_kind) if told.shown else None,
    )


def _attributes(summary: Mapping[str, Any], names: Sequence[str], totals: Mapping[str, int]) -> list[dict[str, Any]]:
    """Title, note, figure and table of every attribute that has more than one value."""
    return [
        {
            "key": attribute.key,
            "title": attribute.title,
            "note": attribute.note,
            "table": summary["counts"][attribute.key],
            "figure": charts.bars(summary["counts"][attribute.key], names, totals, split=attribute.key != "label"),
        }
        for attribute in ATTRIBUTES
        if len(summary["counts"].get(attribute.key, ())) > 1
    ]


def _same(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(title, value, note) of attributes that are the same for every image: they need no figure."""
    counts = summary["counts"]
    return [(one.title, next(iter(counts[one.key])), one.note) for one in ATTRIBUTES if len(counts.get(one.key, ())) == 1]


def _mask_figures(gathered: Gathered, summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Histogram and heat map; None where no set draws a mask."""
    percent: dict[str, list[float]] = {name: [] for name in gathered.data_sets}
    for image in gathered.images:
        if image.facts.mask_share:
            percent[image.data_set].append(100 * image.facts.mask_share)
    drawn = {name: values for name, values in percent.items() if values}
    if not drawn:
        return None
    heat = {name: (gathered.pictures[name].value, gathered.masks[name].value, gathered.masks[name].count) for name in drawn}
    return {
        "histogram": charts.mask_histogram(percent),
        "heat": charts.heat_map(heat),
        "table": summary["masks"],
        "where": {name: _where(gathered, name) for name in drawn},
    }


def _where(gathered: Gathered, name: str) -> dict[str, float]:
    """Share of the mask in each quarter of the picture, 0..1; columns as the picture is shown."""
    mask = gathered.masks[name].value
    half = mask.shape[0] // 2
    total = max(float(mask.sum()), 1e-12)
    quarters = {
        "upper left": mask[:half, :half],
        "upper right": mask[:half, half:],
        "lower left": mask[half:, :half],
        "lower right": mask[half:, half:],
    }
    return {place: float(part.sum()) / total for place, part in quarters.items()}


def _example(images: Sequence[Image]) -> list[tuple[str, str, str]]:
    """Header fields of the first readable DICOM file; empty for sets of pictures."""
    for image in images:
        if image.record.path.suffix.lower() not in PICTURES and not image.facts.unreadable:
            try:
                return example(image.record.path, read_dataset(image.record.path, header_only=True))
            except InputError:
                continue
    return []
