"""What stands in the report, in its order: the result first, then how it came about, then each model, then the methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptx_node.validation.report.blocks import Block, Heading, Points, Shown, Table, Words, figures
from ptx_node.validation.report.methods import AS_THEY_CAME, BALANCED, MEASURED, METHODS, SOURCES
from ptx_node.validation.report.of_model import of_model
from ptx_node.validation.wording import confidence, shown, stated, whole, with_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ptx_node.validation.figures.picture import Picture
    from ptx_node.validation.flow import Left

TITLE = "Pneumothorax findings held against the CT reports of the same day"
RESEARCH = (
    "Research software, not a medical device. These figures describe answers of the past at one site. They do not say that the node is "
    "fit for any clinical use, and nobody may be treated, or not treated, by them."
)
SIMULATED = (
    "SIMULATED. Every case in this report is a simulated patient. Nothing here describes persons, a hospital or the performance in one."
)
NOT_STATED = "not stated"
FACTS = {
    "site": "Site",
    "period": "Period",
    "node_version": "ptx-node",
    "models": "Models",
    "settings_sha256": "Settings (SHA-256)",
}
FEW = 10


def content(
    metrics: Mapping[str, Any], exclusions: Sequence[Left], facts: Mapping[str, Any], pictures: Sequence[Picture]
) -> tuple[str, list[Block]]:
    """(title, blocks). The arguments are those of `write`."""
    blocks: list[Block] = [Heading(TITLE, 1, "top")]
    if metrics["analysis"]["simulated"]:
        blocks.append(Words(SIMULATED, "notice"))
    blocks += [Words(RESEARCH, "notice"), _facts(facts, metrics)]
    blocks += _headline(metrics)
    blocks += _measured(metrics)
    blocks += [Heading("Who was counted, and who was not", 2, "flow")]
    blocks += [Shown(one) for one in pictures if not one.model]
    blocks += _exclusions(exclusions)
    for key, model in metrics["models"].items():
        blocks += of_model(key, model, [one for one in pictures if one.model == key], metrics["analysis"])
    blocks += _comparisons(metrics)
    blocks += [Heading("Methods", 2, "methods"), Points(METHODS), Heading("Who described them", 3, "sources"), Points(SOURCES)]
    blocks += _again(metrics)
    return TITLE, blocks


def _facts(facts: Mapping[str, Any], metrics: Mapping[str, Any]) -> Table:
    """What was judged, where and when."""
    names = {**FACTS, **{key: shown(key, 60) for key in sorted(facts) if key not in FACTS and key != "simulated"}}
    rows = [
        (words, _told(facts.get(key, [one["name"] for one in metrics["models"].values()] if key == "models" else "")))
        for key, words in names.items()
    ]
    return Table("What this report is about", ("fact", "value"), tuple(rows), widths=(0.28, 0.72))


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{shown(key, 60)} {_told(inner)}" for key, inner in sorted(value.items()))
    if isinstance(value, list | tuple):
        return "; ".join(_told(one) for one in value) or NOT_STATED
    return shown(value, 400) or NOT_STATED


def _headline(metrics: Mapping[str, Any]) -> list[Block]:
    blocks: list[Block] = [Heading("The result", 2, "result")]
    if not metrics["models"]:
        return [*blocks, Words("No model has a case in this period.", "notice")]
    for key, model in metrics["models"].items():
        n = {name: one["value"] for name, one in model["counts"].items()}
        words = f"{shown(model['name'])} ({key})"
        if not n["counted"]:
            blocks.append(
                Words(f"{words}: none of {whole(n['rows'])} rows has both an answer and a truth, so there is nothing to tell.", "notice")
            )
            continue
        area, shares = model["discrimination"]["auc"], {name: stated(model["answers"][name]) for name in ("sensitivity", "specificity")}
        blocks += [
            Words(
                f"{words}: AUC {with_interval(area)}, sensitivity {with_interval(shares['sensitivity'])}, specificity "
                f"{with_interval(shares['specificity'])} in {whole(n['counted'])} cases of {whole(n['patients'])} patients, "
                f"{whole(n['with'])} with and {whole(n['without'])} without a pneumothorax; in brackets {confidence(area)} intervals."
            ),
            figures(f"The main figures of {key}", [("AUC", area), *((name, one) for name, one in shares.items())]),
        ]
        if min(n["with"], n["without"]) < FEW:
            blocks.append(
                Words(
                    f"Very few: {n['with']} cases with and {n['without']} without a pneumothorax. Read the intervals, not the values.",
                    "notice",
                )
            )
    return blocks


def _measured(metrics: Mapping[str, Any]) -> list[Block]:
    balanced = metrics["analysis"]["balanced"]
    return [
        Heading("What was measured, and what was not", 2, "measured"),
        Points((*MEASURED, BALANCED if balanced else AS_THEY_CAME)),
    ]


def _exclusions(exclusions: Sequence[Left]) -> list[Block]:
    rows = tuple((shown(one.words or one.reason), shown(one.reason, 60), whole(one.count)) for one in exclusions if one.count)
    if not rows:
        return [Words("Nobody was excluded.")]
    return [
        Table("Exclusions, each with its reason", ("reason", "code", "images"), rows, numbers=(2,), codes=(1,), widths=(0.6, 0.25, 0.15))
    ]


def _comparisons(metrics: Mapping[str, Any]) -> list[Block]:
    pairs = metrics["comparisons"]
    if not pairs:
        return []
    rows = [(f"AUC of {one['first']} less that of {one['second']}", one["auc"]) for one in pairs]
    return [
        Heading("Models beside each other", 2, "comparisons"),
        Words("On the images that count for both."),
        figures("Differences of AUC on the same cases", rows),
    ]


def _again(metrics: Mapping[str, Any]) -> list[Block]:
    """How anybody gets the same figures."""
    libraries = ", ".join(f"{name} {version}" for name, version in metrics["libraries"].items())
    settings = [(name.replace("_", " "), _told(value if value is not None else NOT_STATED)) for name, value in metrics["analysis"].items()]
    made_of = [(f"{name.replace('_', ' ')}: {whole(one['rows'])} rows, SHA-256", one["sha256"]) for name, one in metrics["made_of"].items()]
    return [
        Heading("The same figures again", 2, "again"),
        Words(
            "Each figure is cited by its place in metrics.json: m1.discrimination.auc stands at models, m1, discrimination, auc. "
            "`ptx export recompute` computes every one of them anew from the case table and names each that differs in its last digit; "
            f"it was computed with {libraries}, and other versions may differ there."
        ),
        Table("Settings of the analysis", ("setting", "value"), (*settings, *made_of), widths=(0.36, 0.64)),
        Words(RESEARCH, "notice"),
    ]
