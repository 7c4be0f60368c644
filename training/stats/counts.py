"""Numbers of a report: for every attribute how many images have which value, how many of them are positive, and the masks' sizes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.stats.facts import KINDS, STATED_NOT
from training.stats.observe import AGE_BANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from training.stats.facts import Finding, Image
    from training.stats.gather import Gathered

MOST = 12
"""Values of an attribute that get a row of their own."""
OTHERS = "others"
SPACING_STEP_MM = 0.05


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that is counted.

    Attributes:
        order: values that come in this order; others follow by frequency.
        note: what to keep in mind when reading it.
    """

    key: str
    title: str
    order: tuple[str, ...] = ()
    note: str = ""


LABELS = ("pneumothorax", "none", "uncertain or not stated")
ATTRIBUTES = (
    Attribute(
        "label",
        "Classes",
        LABELS,
        "An answer of 'none' for every image would be right this often: accuracy and mean Dice alone say little.",
    ),
    Attribute(
        "masks", "Masks per image", tuple(str(count) for count in range(9)), "As the set writes them: rows of run lengths, or segments."
    ),
    Attribute(
        "regions",
        "Separate regions of the mask",
        tuple(str(count) for count in range(9)),
        "Connected parts of all masks of an image together.",
    ),
    Attribute("sex", "Sex", ("F", "M", "O")),
    Attribute("age_band", "Age", tuple(name for _, name in AGE_BANDS)),
    Attribute(
        "view", "View", ("PA", "AP"), "AP is mostly a bedside picture of somebody ill: a model may learn the view instead of the air."
    ),
    Attribute("modality", "Modality"),
    Attribute("sop_class", "SOP class", note="Secondary Capture: an export; what the detector's file said is lost."),
    Attribute("manufacturer", "Manufacturer"),
    Attribute("model", "Manufacturer's model"),
    Attribute("site", "Site"),
    Attribute("bits", "Bits stored of bits allocated", note="A model of 8-bit pictures meets 12 bits at most sites."),
    Attribute("transfer_syntax", "Transfer syntax"),
    Attribute("photometric", "Photometric interpretation", note="MONOCHROME1: low values are bright; forgotten inversion makes negatives."),
    Attribute("window", "Window or VOI LUT"),
    Attribute("shape", "Picture size (rows x columns)"),
    Attribute(
        "spacing",
        "Pixel spacing, mm",
        order=tuple(f"{step * SPACING_STEP_MM:.2f}" for step in range(41)),
        note="Between rows, rounded to 0.05 mm.",
    ),
    Attribute("spacing_source", "Where the spacing stands"),
    Attribute("orientation", "Patient orientation"),
    Attribute("body_part", "Body part"),
    Attribute(
        "size", "Size of the pneumothorax", ("occult", "small", "medium", "large", "tension"), "As the simulator or the reader names it."
    ),
    Attribute("tube", "Chest tube", ("yes", "no"), "The tube is the treatment: it is seen with the pneumothorax, and after it."),
    Attribute(
        "images_a_patient",
        "Images a patient",
        tuple(str(count) for count in range(1, 9)),
        "Counted in images. A split must keep these together.",
    ),
)
COMPLETENESS = {
    "patient": "Patient ID",
    "sex": "Sex",
    "age_band": "Age",
    "birth_date": "Birth date",
    "view": "View",
    "orientation": "Patient orientation",
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "model": "Manufacturer's model",
    "study_date": "Study date",
    "spacing": "Pixel spacing",
    "window": "Window or VOI LUT",
    "body_part": "Body part",
    "burned_in": "Burned In Annotation",
}
"""Attributes whose presence is told."""


def label_of(image: Image) -> str:
    """One of `LABELS`."""
    return LABELS[2] if image.record.label is None else LABELS[0] if image.record.label else LABELS[1]


def value_getter(images: Iterable[Image]) -> Callable[[Image, str], str]:
    """A function (image, key) -> value; empty where it is not stated."""
    per_patient = Counter((image.data_set, image.record.patient_id) for image in images)

    def value(image: Image, key: str) -> str:
        facts = image.facts
        if key == "label":
            return label_of(image)
        if key == "masks":
            return str(len(image.record.masks)) if image.record.masked else ""
        if key == "regions":
            return "" if facts.mask_regions is None else str(facts.mask_regions)
        if key == "spacing":
            return f"{round(facts.spacing_mm[0] / SPACING_STEP_MM) * SPACING_STEP_MM:.2f}" if facts.spacing_mm else ""
        if key == "images_a_patient":
            return str(per_patient[image.data_set, image.record.patient_id])
        return facts.attributes.get(key, "")

    return value


def summary(gathered: Gathered, found: Sequence[Finding]) -> dict[str, Any]:
    """Everything as JSON: sets, counts (attribute -> value -> set -> images, positive), masks, findings."""
    value = value_getter(gathered.images)
    names = list(gathered.data_sets)
    of = {name: gathered.of(name) for name in names}
    return {
        "simulated": any(image.record.simulated for image in gathered.images),
        "data_sets": {name: _set(gathered, name, of[name]) for name in names},
        "counts": {attribute.key: table for attribute in ATTRIBUTES if (table := _counted(attribute, of, value))},
        "completeness": {name: _completeness(images, value) for name, images in of.items()},
        "masks": {name: _masks(images) for name, images in of.items()},
        "findings": {kind: {name: _images_of(found, kind, name) for name in names} for kind in KINDS},
    }


def _set(gathered: Gathered, name: str, images: Sequence[Image]) -> dict[str, Any]:
    positives = [image for image in images if image.record.label == 1]
    return {
        "format": gathered.data_sets[name].name,
        "images": len(images),
        "readable": sum(not image.facts.unreadable for image in images),
        "simulated": sum(image.record.simulated for image in images),
        "patients": _patients(images),
        "images_without_patient": sum(bool(image.record.extra.get("patient_unknown")) for image in images),
        "series": len({image.record.series_id for image in images} - {""}),
        "slices": sum(image.record.slice_index is not None for image in images),
        "positive": len(positives),
        "negative": sum(image.record.label == 0 for image in images),
        "uncertain": sum(image.record.label is None for image in images),
        "positive_patients": _patients(positives),
        "several_masks": sum(len(image.record.masks) > 1 for image in images),
        "problems": len(gathered.data_sets[name].problems),
    }


def _patients(images: Iterable[Image]) -> int:
    return len({image.record.patient_id for image in images if not image.record.extra.get("patient_unknown")})


def _counted(
    attribute: Attribute, of: Mapping[str, Sequence[Image]], value: Callable[[Image, str], str]
) -> dict[str, dict[str, dict[str, int]]]:
    """Value -> set -> images and positives, in the order to show; empty where no set states it."""
    images: Counter[tuple[str, str]] = Counter()
    positive: Counter[tuple[str, str]] = Counter()
    for name, members in of.items():
        for image in members:
            key = value(image, attribute.key) or STATED_NOT, name
            images[key] += 1
            positive[key] += image.record.label == 1
    total: Counter[str] = Counter()
    for (one, _), count in images.items():
        total[one] += count
    if set(total) <= {STATED_NOT}:
        return {}
    order = {one: place for place, one in enumerate(attribute.order)}
    shown = sorted((one for one in total if one != STATED_NOT), key=lambda one: (order.get(one, len(order)), -total[one], one))
    kept, rest = shown[:MOST], shown[MOST:]
    rows = (
        {one: [one] for one in kept}
        | ({f"{OTHERS} ({len(rest)})": rest} if rest else {})
        | ({STATED_NOT: [STATED_NOT]} if STATED_NOT in total else {})
    )
    return {
        row: {name: {"images": sum(images[one, name] for one in ones), "positive": sum(positive[one, name] for one in ones)} for name in of}
        for row, ones in rows.items()
    }


def _completeness(images: Sequence[Image], value: Callable[[Image, str], str]) -> dict[str, float]:
    """Share of images that state an attribute."""
    return {key: sum(bool(value(image, key)) for image in images) / max(len(images), 1) for key in COMPLETENESS}


def _masks(images: Iterable[Image]) -> dict[str, Any]:
    """Sizes of drawn masks: quantiles of the share of the picture (percent), of pixels and of mm2."""
    drawn = [image.facts for image in images if image.facts.mask_pixels]
    mm2 = [facts.mask_mm2 for facts in drawn if facts.mask_mm2 is not None]
    return {
        "images": len(drawn),
        "percent": _quantiles([100 * (facts.mask_share or 0.0) for facts in drawn]),
        "pixels": _quantiles([facts.mask_pixels or 0 for facts in drawn]),
        "mm2": _quantiles(mm2),
        "with_spacing": len(mm2),
    }


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    quantiles = (("smallest", 0), ("5th percentile", 5), ("25th percentile", 25), ("median", 50), ("75th percentile", 75), ("largest", 100))
    return {name: round(float(np.percentile(values, percent)), 4) for name, percent in quantiles}


def _images_of(found: Iterable[Finding], kind: str, name: str) -> int:
    """Findings of a kind that concern a set."""
    return sum(finding.kind == kind and name in finding.data_sets for finding in found)
