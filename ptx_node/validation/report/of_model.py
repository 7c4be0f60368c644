"""The sections of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptx_node.validation.metrics.balanced import OF
from ptx_node.validation.report.blocks import Block, Heading, Shown, Table, Words, figures
from ptx_node.validation.wording import WATCHED, interval, number, shown, whole, with_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ptx_node.validation.figures.picture import Picture

SHARES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "positive_predictive_value": "positive predictive value",
    "negative_predictive_value": "negative predictive value",
    "accuracy": "accuracy",
    "prevalence": "prevalence",
    "positive_likelihood_ratio": "likelihood ratio of a call (LR+)",
    "negative_likelihood_ratio": "likelihood ratio of no call (LR-)",
}
WAYS = {
    "wilson": "Wilson",
    "clopper_pearson": "exact",
    "by_patient": "by patient",
    "logarithm": "logarithm",
}
AIMS = {"youden": "largest sum of both", "sensitivity": "sensitivity of at least", "specificity": "specificity of at least"}
FEW_WORDS = (
    "All cases together are of fewer patients, with or without, than the smallest cell: these figures tell of single persons. "
    "No subgroup is told."
)


NOT_STATED = (
    "The cohort was balanced by hand: predictive values and accuracy of the balanced sample are of no practice. For a stated share of "
    "patients with a pneumothorax they are given by `ptx export --prevalence`."
)
MOST_ALARMS = 20


def of_model(key: str, model: Mapping[str, Any], pictures: Sequence[Picture], analysis: Mapping[str, Any]) -> list[Block]:
    """Every section of a model that has cases; the pictures stand where they belong."""
    blocks: list[Block] = [Heading(f"{shown(model['name'])} ({key})", 2, key)]
    if not model["counts"]["counted"]["value"]:
        rows = [(name, whole(one["value"])) for name, one in model["counts"].items()]
        table = Table("Rows of this model", ("rows", "count"), tuple(rows), numbers=(1,), widths=(0.7, 0.3))
        return [*blocks, Words("No row of this model has both an answer and a truth."), table]
    of_kind = {kind: [Shown(one) for one in pictures if one.name.startswith(f"{key}-{kind}")] for kind in KINDS}
    if model["subgroups"]["total_is_small"]:
        blocks.append(Words(FEW_WORDS, "notice"))
    blocks += [Heading("Answers", 3, f"{key}-answers"), *of_kind["table"], *_answers(key, model, analysis)]
    blocks += [Heading("Discrimination", 3, f"{key}-discrimination"), *of_kind["roc"], *_fixed(key, model)]
    blocks += [Heading("Subgroups", 3, f"{key}-subgroups"), *of_kind["subgroups"], *_subgroups(key, model)]
    blocks += [Heading("Uncertain reports", 3, f"{key}-uncertain"), *_ways(key, model)]
    blocks += [Heading("Verification bias", 3, f"{key}-verification"), *_verification(key, model)]
    blocks += [Heading("Over time", 3, f"{key}-time"), *of_kind["time"], *_over_time(key, model)]
    blocks += [Heading("Thresholds", 3, f"{key}-thresholds"), *of_kind["thresholds"], *_thresholds(key, model), *of_kind["decision"]]
    blocks += [Heading("Probabilities", 3, f"{key}-calibration"), *of_kind["calibration"], *_calibration(key, model)]
    return [*blocks, Heading("Side", 3, f"{key}-side"), *_side(key, model)]


KINDS = ("table", "roc", "calibration", "subgroups", "thresholds", "decision", "time")


def _caution(section: Mapping[str, Any]) -> list[Block]:
    return [Words(f"Caution: {section['caution']}.", "small")] if "caution" in section else []


def _answers(key: str, model: Mapping[str, Any], analysis: Mapping[str, Any]) -> list[Block]:
    answers = model["answers"]
    rows = [(f"{words}, {WAYS[way]}", answers[name][way]) for name, words in SHARES.items() for way in WAYS if way in answers[name]]
    blocks: list[Block] = [figures(f"What the answers of {key} are worth", rows), *_caution(answers)]
    if "at_prevalence" in answers:
        there = answers["at_prevalence"]
        names = ("positive_predictive_value", "negative_predictive_value")
        blocks.append(figures(f"If {there['prevalence']:g} of patients had one", [(SHARES[name], there[name]) for name in names]))
    elif analysis["balanced"]:
        blocks.append(Words(NOT_STATED, "notice"))
    else:
        blocks.append(Words("Predictive values and accuracy hold for the share of pneumothoraces among these very cases only.", "small"))
    return blocks


def _fixed(key: str, model: Mapping[str, Any]) -> list[Block]:
    part = model["discrimination"]
    rows = [("AUC", part["auc"])]
    for one in part["at_specificity"]:
        rows += [
            (f"sensitivity at a specificity of {one['target']:g}", one["sensitivity"]),
            (f"threshold for {one['target']:g}", one["threshold"]),
        ]
    return [
        figures(f"Discrimination of {key}", rows),
        Words(
            "A threshold that was chosen on these cases flatters itself on them; the intervals choose it anew in each resample.", "small"
        ),
    ]


def _subgroups(key: str, model: Mapping[str, Any]) -> list[Block]:
    part = model["subgroups"]
    blocks: list[Block] = []
    rows = [
        (
            f"{one['attribute']}: {shown(one['value'], 60)}",
            whole(one["figures"]["cases"]["value"]),
            whole(one["figures"]["patients"]["value"]),
            *(with_interval(one["figures"][name]) if name in one["figures"] else "—" for name in ("auc", "sensitivity", "specificity")),
            f"{key}.subgroups.shown.{place}",
        )
        for place, one in enumerate(part["shown"])
    ]
    if rows:
        head = ("group", "cases", "patients", "AUC", "sensitivity", "specificity", "cited as")
        widths = (0.19, 0.08, 0.09, 0.16, 0.16, 0.16, 0.16)
        blocks.append(Table(f"Subgroups of {key}", head, tuple(rows), numbers=(1, 2, 3, 4, 5), codes=(6,), widths=widths))
    withheld = "; ".join(f"{one['attribute']} {shown(one['value'], 60)}" for one in part["withheld"])
    told = (
        f"Withheld, because they, or what could be computed from them, are of fewer than {part['smallest_cell']} patients: {withheld}."
        if withheld
        else "No subgroup is withheld."
    )
    return [*blocks, Words(told, "small")]


BRIEF = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"} | {
    "positive_predictive_value": "PPV",
    "negative_predictive_value": "NPV",
}


def _brief(some: Mapping[str, Any]) -> dict[str, str]:
    """The names of the few figures, some of them of the balanced sample alone."""
    return {name: f"{words} (balanced)" if OF in some.get(name, {}) else words for name, words in BRIEF.items()}


def _ways(key: str, model: Mapping[str, Any]) -> list[Block]:
    part, silent = model["uncertain"], model["not_mentioned"]
    ways = {
        "left out (main figures)": (part["excluded"], f"{key}.uncertain.excluded"),
        "all counted as with": (part["as_positive"], f"{key}.uncertain.as_positive"),
        "all counted as without": (part["as_negative"], f"{key}.uncertain.as_negative"),
        "left out, and reports that name none": (silent["excluded"], f"{key}.not_mentioned.excluded"),
    }
    rows = [
        (words, whole(one["cases"]["value"]), *(with_interval(one[name]) for name in BRIEF), cited) for words, (one, cited) in ways.items()
    ]
    return [
        Words(
            f"{whole(part['uncertain']['value'])} cases have a report that leaves it open. Of those that count, "
            f"{whole(silent['not_mentioned']['value'])} have a report that does not name a pneumothorax; they are counted as without one."
        ),
        Table(
            f"The main figures of {key}, uncertain reports counted each way",
            ("uncertain reports", "cases", *_brief(part["excluded"]).values(), "cited as"),
            tuple(rows),
            numbers=tuple(range(1, 7)),
            codes=(7,),
            widths=(0.16, 0.07, 0.13, 0.13, 0.13, 0.13, 0.13, 0.12),
        ),
    ]


def _verification(key: str, model: Mapping[str, Any]) -> list[Block]:
    part = model["verification"]
    strata, plain = part["by_stratum"], part["without_strata"]
    rows = []
    for name in ("sensitivity", "specificity"):
        rows += [
            (f"{name}, verified cases alone", plain[f"naive_{name}"]["wilson"]),
            (f"{name}, corrected", plain[name]),
            (f"{name}, corrected by stratum", strata[name]),
        ]
    bounds = tuple(
        (name, number(plain[f"{name}_bounds"]["worst"]), number(plain[f"{name}_bounds"]["best"]), plain[f"{name}_bounds"]["id"])
        for name in ("sensitivity", "specificity")
    )
    lost = ", ".join(f"{shown(one['stratum'], 60)} {'called' if one['called'] else 'not called'}" for one in strata["unverified_strata"])
    blocks: list[Block] = [
        Words(
            f"{whole(plain['verified']['value'])} of {whole(plain['answered']['value'])} answered cases have a truth: "
            f"{with_interval(plain['called_verified']['wilson'])} of those that the node called, "
            f"{with_interval(plain['uncalled_verified']['wilson'])} of the others. "
            f"Strata: {' by '.join(strata['strata']) or 'none'}, {strata['strata_count']} of them."
        ),
        figures(f"If all answered cases of {key} had a truth (Begg and Greenes)", rows),
        Table(
            "Limits, whatever the others are",
            ("figure", "at worst", "at best", "cited as"),
            bounds,
            numbers=(1, 2),
            codes=(3,),
            widths=(0.3, 0.15, 0.15, 0.4),
        ),
    ]
    if lost:
        blocks.append(Words(f"No case with a truth in: {lost}. By stratum nothing can be corrected; merge strata.", "small"))
    return blocks


def _over_time(key: str, model: Mapping[str, Any]) -> list[Block]:
    part = model["over_time"]
    names = {name: words for name, words in WATCHED.items() if name in part["watches"]}
    rows = [(words, part["watches"][name]["rate"]) for name, words in names.items()]
    blocks: list[Block] = [figures(f"Errors of {key}", rows)]
    notes = dict.fromkeys(part["watches"][name]["note"] for name in names)
    alarms = [f"{words}: {_alarms(part['watches'][name])}" for name, words in names.items()]
    blocks.append(Words(f"{'; '.join(alarms)}. Note: {'; '.join(notes)}.", "small"))
    periods = part["periods"]
    if periods["shown"]:
        shares = ("sensitivity", "specificity", "called")
        shown_rows = tuple((shown(one["period"], 40), *(with_interval(one[name]) for name in shares)) for one in periods["shown"])
        head = ("period", "sensitivity", "specificity", "called positive")
        blocks.append(Table(f"Periods of {key}", head, shown_rows, numbers=(1, 2, 3), widths=(0.25, 0.25, 0.25, 0.25)))
    if periods["withheld"]:
        blocks.append(Words(f"Periods withheld as too small: {', '.join(shown(one, 40) for one in periods['withheld'])}.", "small"))
    return blocks


def _alarms(watch: Mapping[str, Any]) -> str:
    if not watch["course"]:
        return "not watched"
    return f"alarms at case {', '.join(map(str, watch['alarms'][:MOST_ALARMS]))}" if watch["alarms"] else "no alarm"


def _thresholds(key: str, model: Mapping[str, Any]) -> list[Block]:
    part = model["thresholds"]
    used = ", ".join(f"{one:.6g}" for one in part["used"]) or "none told"
    noted = any("note" in one["threshold"] for one in part["proposals"])
    rows = [
        (
            AIMS[one["aim"]] + ("" if one["target"] is None else f" {one['target']:g}"),
            *(with_interval(one[name]) for name in ("threshold", "expected_sensitivity", "expected_specificity")),
            one["threshold"].get("note", "") if noted else f"{whole(one['threshold']['n'])}",
            one["threshold"]["id"],
        )
        for one in part["proposals"]
    ]
    swept = [
        (f"{one['threshold']:.6g}", *(number(one[name]["value"]) + f" ({interval(one[name])})" for name in list(BRIEF)[1:]))
        for one in part["sweep"]
    ]
    head = ("aim", "threshold", "sensitivity to expect", "specificity to expect", "note" if noted else "n", "cited as")
    widths = (0.2, 0.17, 0.17, 0.17, 0.13, 0.16)
    return [
        Words(f"The node used: {used}. What follows are proposals from these cases; nothing changes until a person applies one."),
        Table(f"Thresholds that the cases of {key} propose", head, tuple(rows), numbers=(1, 2, 3), codes=(5,), widths=widths),
        *_caution(part),
        Table(
            f"{key} at other thresholds",
            ("threshold", *list(_brief(part["sweep"][0] if part["sweep"] else {}).values())[1:]),
            tuple(swept),
            numbers=(0, 1, 2, 3, 4),
            widths=(0.14, 0.215, 0.215, 0.215, 0.215),
        ),
    ]


def _calibration(key: str, model: Mapping[str, Any]) -> list[Block]:
    part = model["calibration"]
    names = {
        "slope": "slope (1 is best; less is over-confident)",
        "intercept": "intercept (0 is best)",
        "in_the_large": "calibration in the large (0 is best)",
        "observed_to_expected": "observed / expected (1 is best)",
        "brier": "Brier score (0 is best)",
        "scaled_brier": "scaled Brier score (1 is best)",
        "expected_calibration_error": "expected calibration error",
    }
    return [figures(f"Calibration of {key}", [(words, part[name]) for name, words in names.items()]), *_caution(part)]


def _side(key: str, model: Mapping[str, Any]) -> list[Block]:
    part = model["side"]
    return [
        Words(
            f"Of {whole(part['true_positives']['value'])} true positives both the node and the report name a side in "
            f"{whole(part['with_both_sides']['value'])}."
        ),
        figures(f"The same side, {key}", [("the same side", part["agreement"]["wilson"]), ("kappa", part["kappa"])]),
    ]
