"""The report's numbers as files for other programs: stats.json and three tables, and the groups that a split must not divide."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from training.stats.checks import together
from training.stats.counts import label_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from training.stats.facts import Finding, Image

IMAGES = (
    *("data_set", "image_id", "patient_id", "file", "label", "simulated", "sex", "age_years", "age_band", "view", "modality", "sop_class"),
    *("manufacturer", "model", "site", "bits", "transfer_syntax", "photometric", "rows", "columns", "row_spacing_mm", "column_spacing_mm"),
    *("masks", "mask_regions", "mask_pixels", "mask_percent", "mask_mm2", "symmetry", "middle", "sha256", "unreadable"),
)


def write_tables(folder: Path, summary: Mapping[str, Any], images: Iterable[Image], found: Sequence[Finding]) -> None:
    """Write `stats.json`, `images.csv`, `findings.csv`, `counts.csv` and `together.json`."""
    (folder / "stats.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "together.json").write_text(json.dumps(together(found), indent=1) + "\n", "utf-8")
    _write(folder / "images.csv", IMAGES, (_image(image) for image in images))
    _write(folder / "findings.csv", ("kind", "data_set", "image_id", "patient_id", "file", "line", "detail", "finding"), _findings(found))
    counts = (
        (attribute, value, name, count["images"], count["positive"])
        for attribute, table in summary["counts"].items()
        for value, of in table.items()
        for name, count in of.items()
    )
    _write(folder / "counts.csv", ("attribute", "value", "data_set", "images", "positive"), counts)


def _write(path: Path, heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        writer.writerows(rows)


def _image(image: Image) -> Sequence[Any]:
    record, facts = image.record, image.facts
    told = facts.attributes
    spacing = facts.spacing_mm or ("", "")
    share, mm2 = facts.mask_share, facts.mask_mm2
    return (
        *(image.data_set, record.image_id, record.patient_id, record.path, label_of(image), int(record.simulated), record.sex),
        *("" if record.age_years is None else record.age_years, told.get("age_band", ""), record.view, record.modality),
        *(told.get(key, "") for key in ("sop_class", "manufacturer", "model", "site", "bits", "transfer_syntax", "photometric")),
        *(*facts.shape, *spacing, len(record.masks) if record.masked else ""),
        *("" if facts.mask_regions is None else facts.mask_regions, "" if facts.mask_pixels is None else facts.mask_pixels),
        *("" if share is None else round(100 * share, 4), "" if mm2 is None else round(mm2, 1)),
        *(round(facts.symmetry, 3), round(facts.middle, 3), facts.digest.hex(), facts.unreadable),
    )


def _findings(found: Iterable[Finding]) -> Iterable[Sequence[Any]]:
    """One row an image, so that a table can be filtered by it; images of one finding carry its number."""
    for number, finding in enumerate(found, 1):
        line = "" if finding.line is None else finding.line
        if not finding.images:
            yield finding.kind, finding.data_set, "", "", finding.path, line, finding.detail, number
        for image in finding.images:
            yield (
                finding.kind,
                image.data_set,
                image.record.image_id,
                image.record.patient_id,
                image.record.path,
                line,
                finding.detail,
                number,
            )
