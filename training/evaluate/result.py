"""One evaluation as a JSON object: what was judged, on whom, every figure, and the published rows beside ours."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ptx_node.validation.statistics import Chance
from training.evaluate import published
from training.evaluate.rows import Row, known
from training.evaluate.subgroups import by_subgroup
from training.evaluate.tables import USUAL, summary
from training.evaluate.targets import targets
from training.revision import revision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKAGES = ("torch", "monai", "numpy", "scipy")
SMALL_REPEATS = 200
"""Resamples of a subgroup's figures: there are many of them."""


@dataclass(frozen=True, slots=True)
class About:
    """What was judged, and on what; stands at the top of everything.

    Attributes:
        decision: the rule, as the bundle's metadata hold it.
        split: name and digest of the split; empty without one.
        command: how to get this evaluation again.
    """

    name: str
    version: str
    weights_sha256: str
    reads: str
    input_size: int
    decision: Mapping[str, Any]
    part: str
    data: tuple[str, ...]
    trained_sites: tuple[str, ...]
    split: Mapping[str, str]
    command: str


def evaluation(
    rows: Sequence[Row], about: About, *, pixel_auc: float, own_sites: frozenset[str] = frozenset(), chance: Chance = USUAL
) -> dict[str, Any]:
    """Everything that is told, as JSON values; what is not known is null.

    Args:
        rows: judged cases.
        about: what was judged.
        pixel_auc: over pixels of the network's grid.
        own_sites: the model's own where `about` does not say what it was trained on.
        chance: how intervals are resampled.
    """
    kept = known(rows)
    own = frozenset(about.trained_sites) or own_sites
    sets = {"all": kept}
    if own and any(row.site not in own for row in kept) and any(row.site in own for row in kept):
        sets |= {"same site": [row for row in kept if row.site in own], "other sites": [row for row in kept if row.site not in own]}
    figures = {name: summary(some, chance) for name, some in sets.items()}
    content = {
        "simulated": _simulated(rows),
        "about": asdict(about),
        "must_reach": [asdict(one) | {"verdict": one.verdict} for one in targets(rows, own, reads=about.reads)],
        "figures": figures,
        "subgroups": by_subgroup(rows, Chance(chance.seed, min(chance.repeats, SMALL_REPEATS))),
        "pixel_auc": pixel_auc,
        "published": _beside(figures, pixel_auc, about),
        "software": {name: version(name) for name in PACKAGES} | {"revision": revision()},
    }
    return dict(plain(content))


def _simulated(rows: Sequence[Row]) -> str:
    """`all`, `none`, or `some`."""
    told = {row.simulated for row in rows}
    return "some" if len(told) > 1 else ("all" if told == {True} else "none")


def _beside(figures: Mapping[str, Any], pixel_auc: float, about: About) -> list[dict[str, Any]]:
    """The founding documents' tables with our rows under theirs."""
    ours = {f"ours: {about.name}, {name}": one for name, one in figures.items()}
    if about.reads == "ct":
        return [_ct_study(ours, pixel_auc)]
    thesis = dict(published.THESIS)
    clasegnet: dict[str, tuple[float | None, ...]] = dict(published.CLASEGNET)
    confusion = dict(published.CLASEGNET_CONFUSION)
    for name, one in ours.items():
        rule, area = one["rule"], one["discrimination"]["auc"]["value"]
        thesis[name] = (area, rule["sensitivity"]["value"], rule["specificity"]["value"])
        overlap = one["masks"].get("dice_of_positives", {}).get("value")
        clasegnet[name] = (rule["accuracy"]["value"], rule["precision"]["value"], rule["sensitivity"]["value"], area, overlap)
        found = rule["confusion"]
        confusion[name] = tuple(found[kind] for kind in ("true_negative", "false_positive", "false_negative", "true_positive"))
    return [
        {"title": "The thesis's columns", "columns": published.THESIS_COLUMNS, "rows": thesis},
        {"title": "ClaSegNet's columns", "columns": published.CLASEGNET_COLUMNS, "rows": clasegnet, "note": "Dice: of positives."},
        {
            "title": "ClaSegNet's confusion",
            "columns": ("true negative", "false positive", "false negative", "true positive"),
            "rows": confusion,
        },
    ]


def _ct_study(ours: Mapping[str, Any], pixel_auc: float) -> dict[str, Any]:
    rows: dict[str, tuple[float | None, ...]] = dict(published.CT_STUDY)
    note = published.CT_STUDY_NOTE
    for name, one in ours.items():
        found = one["pixels"]
        if not found:
            continue
        keys = ("accuracy", "binary_iou", "mean_iou_over_patients", "precision", "recall", "dice", "iou")
        rows[name] = (pixel_auc if name.endswith(", all") else None, *(found[key] for key in keys))
        counts = ", ".join(f"{key.replace('_', ' ')} {found[key]:,}" for key in ("true_positive", "false_positive", "false_negative"))
        note += f" Pixels of {name}: {counts}, true negative {found['true_negative']:,}."
    others = "; ".join(f"{name}: {value}" for name, value in published.CT_STUDY_OTHERS.items())
    return {
        "title": "The CT study's columns",
        "columns": published.CT_STUDY_COLUMNS,
        "rows": rows,
        "note": f"{note} It compares its Dice with {others}.",
    }


def plain(value: Any) -> Any:
    """As JSON takes it: NaN and infinity become null, tuples lists."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
