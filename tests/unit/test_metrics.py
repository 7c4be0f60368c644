"""Every figure of a validation, held against other people's programs and against tables counted by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from ptx_node.domain.promise import Promise
from ptx_node.errors import UsageError
from ptx_node.validation.exclusions import Exclusion
from ptx_node.validation.metrics import Analysis, at, canonical, compute
from ptx_node.validation.metrics.selection import UNVERIFIED
from tests.validation_cases import MODEL, Columns, chosen, in_order, made_up, together

ANALYSIS = Analysis(resamples=60)


def computed(cases: Columns, analysis: Analysis = ANALYSIS) -> dict[str, Any]:
    return compute(cases, in_order(cases), analysis)


@pytest.fixture(scope="module")
def cases() -> Columns:
    return made_up(420)


@pytest.fixture(scope="module")
def metrics(cases) -> dict[str, Any]:
    return computed(cases)


@pytest.fixture(scope="module")
def m1(metrics) -> dict[str, Any]:
    return metrics["models"]["m1"]


@pytest.fixture(scope="module")
def truth(cases):
    counted = (cases["exclusion"] == "") & ~np.isnan(cases["truth"])
    return counted, cases["truth"][counted] == 1, cases["probability"][counted], cases["outcome"][counted] == "positive"


def figures_in(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        own = [node] if "method" in node else []
        return own + [one for value in node.values() for one in figures_in(value)]
    return [one for value in node for one in figures_in(value)] if isinstance(node, list) else []


def test_the_auc_is_scikit_learns(m1, truth):
    _, so, score, _ = truth
    assert roc_auc_score(so, score) == pytest.approx(m1["discrimination"]["auc"]["value"], abs=1e-12)


def test_the_table_is_the_one_counted_by_hand(m1, truth):
    _, so, _, called = truth
    by_hand = {"true_positive": 0, "false_positive": 0, "false_negative": 0, "true_negative": 0}
    for is_so, is_called in zip(so.tolist(), called.tolist(), strict=True):
        by_hand[f"{'true' if is_so == is_called else 'false'}_{'positive' if is_called else 'negative'}"] += 1
    assert by_hand == {name: cell["value"] for name, cell in m1["answers"]["table"].items()}


@pytest.mark.parametrize(("name", "method", "key"), [("sensitivity", "wilson", "wilson"), ("specificity", "beta", "clopper_pearson")])
def test_intervals_of_shares_are_statsmodels(m1, name, method, key):
    one = m1["answers"][name][key]
    low, high = proportion_confint(one["hits"], one["n"], 0.05, method=method)
    assert (low, high) == pytest.approx((one["low"], one["high"]), abs=1e-10)


def test_predictive_values_and_ratios_follow_from_the_table(m1):
    cells = {name: cell["value"] for name, cell in m1["answers"]["table"].items()}
    tp, fp, fn, tn = (cells[name] for name in ("true_positive", "false_positive", "false_negative", "true_negative"))
    expected = {
        "positive_predictive_value": tp / (tp + fp),
        "negative_predictive_value": tn / (tn + fn),
        "positive_likelihood_ratio": (tp / (tp + fn)) / (fp / (fp + tn)),
        "negative_likelihood_ratio": (fn / (tp + fn)) / (tn / (fp + tn)),
    }
    assert expected == pytest.approx({name: m1["answers"][name][m1["answers"][name]["stated"]]["value"] for name in expected})


def test_the_brier_score_is_scikit_learns(m1, truth):
    _, so, score, _ = truth
    assert brier_score_loss(so, score) == pytest.approx(m1["calibration"]["brier"]["value"], abs=1e-12)


def test_the_sensitivity_at_a_specificity_reaches_it_and_no_threshold_does_better(m1, truth):
    _, so, score, _ = truth
    for one in m1["discrimination"]["at_specificity"]:
        reached = {cut: (score[so] >= cut).mean() for cut in np.unique(score) if (score[~so] < cut).mean() >= one["target"]}
        assert max(reached.values()) == pytest.approx(one["sensitivity"]["value"])
        assert reached[one["threshold"]["value"]] == pytest.approx(one["sensitivity"]["value"])


def test_uncertain_reports_are_counted_three_ways(m1, cases):
    way = m1["uncertain"]
    uncertain = int((cases["label"] == "uncertain").sum())
    assert uncertain == way["uncertain"]["value"]
    assert way["excluded"]["cases"]["value"] + uncertain == way["as_positive"]["cases"]["value"] == way["as_negative"]["cases"]["value"]
    with_them = sum(way["as_positive"]["table"][name]["value"] for name in ("true_positive", "false_negative"))
    without = sum(way["excluded"]["table"][name]["value"] for name in ("true_positive", "false_negative"))
    assert uncertain == with_them - without
    assert m1["discrimination"]["auc"]["value"] == way["excluded"]["auc"]["value"]


def test_reports_that_name_none_are_left_out_beside(m1, cases, truth):
    counted, *_ = truth
    silent = int((cases["label"][counted] == "not_mentioned").sum())
    assert silent > 0
    assert (silent, int(counted.sum()) - silent) == (
        m1["not_mentioned"]["not_mentioned"]["value"],
        m1["not_mentioned"]["excluded"]["cases"]["value"],
    )


def test_the_correction_for_verification_is_the_one_computed_by_hand(m1, cases, truth):
    """Begg and Greenes without strata: each call gets the share of positives of its verified cases."""
    counted, so, _, called = truth
    everybody = np.isin(cases["exclusion"], ("", *UNVERIFIED))
    shares = {call: so[called == call].mean() for call in (True, False)}
    sizes = {call: ((cases["outcome"][everybody] == "positive") == call).sum() for call in (True, False)}
    hits, misses = shares[True] * sizes[True], shares[False] * sizes[False]
    one = m1["verification"]["without_strata"]
    assert hits / (hits + misses) == pytest.approx(one["sensitivity"]["value"])
    assert (int(everybody.sum()), int(counted.sum())) == (one["answered"]["value"], one["verified"]["value"])
    bounds = one["sensitivity_bounds"]
    assert bounds["worst"] < one["sensitivity"]["value"] < bounds["best"]


def test_codes_of_the_unverified_are_of_the_closed_list():
    assert set(UNVERIFIED) <= set(Exclusion)


def test_images_that_are_nobodys_case_are_in_no_figure():
    """A reading that was superseded, or a second image of a CT's day, is neither verified nor unverified."""
    cases = made_up(200)
    more = chosen(made_up(30, seed=5), np.arange(30))
    more["exclusion"][:] = ["superseded", "not_nearest"] * 15
    more["case_id"] = np.array([f"X{one}" for one in range(30)])
    before, after = computed(cases)["models"]["m1"], computed(together(cases, more))["models"]["m1"]
    assert before["counts"]["counted"]["value"] == after["counts"]["counted"]["value"]
    assert before["verification"]["without_strata"]["answered"]["value"] == after["verification"]["without_strata"]["answered"]["value"]


def test_small_groups_are_withheld_and_named(m1, cases, truth):
    counted, *_ = truth
    shown = {(one["attribute"], one["value"]) for one in m1["subgroups"]["shown"]}
    withheld = {(one["attribute"], one["value"]) for one in m1["subgroups"]["withheld"]}
    assert int((cases["device"][counted] == "D-3").sum()) < 10
    assert ("device", "D-3") in withheld
    assert ("sex", "F") in shown
    assert not shown & withheld
    assert all(one["figures"]["patients"]["value"] >= 10 for one in m1["subgroups"]["shown"])
    everything = computed(cases, Analysis(resamples=0, smallest_cell=1))["models"]["m1"]["subgroups"]
    assert [] == everything["withheld"]
    assert shown | withheld == {(one["attribute"], one["value"]) for one in everything["shown"]}


def test_a_subgroup_is_what_its_cases_alone_give(m1, cases, truth):
    counted, so, score, called = truth
    (women,) = (one for one in m1["subgroups"]["shown"] if (one["attribute"], one["value"]) == ("sex", "F"))
    of_women = cases["sex"][counted] == "F"
    assert roc_auc_score(so[of_women], score[of_women]) == pytest.approx(women["figures"]["auc"]["value"])
    assert called[of_women & so].mean() == pytest.approx(women["figures"]["sensitivity"]["value"])


def test_every_attribute_has_its_groups_and_intervals_hold_the_shorter_ones(m1, cases, truth):
    counted, *_ = truth
    everything = computed(cases, Analysis(resamples=0, smallest_cell=1))["models"]["m1"]["subgroups"]["shown"]
    wanted = {"size", "side", "drain", "view", "sex", "age", "manufacturer", "device", "source", "interval"}
    assert wanted == {one["attribute"] for one in everything}
    within = {one["value"]: one["figures"]["cases"]["value"] for one in everything if one["attribute"] == "interval"}
    minutes = np.abs(cases["interval_min"][counted])
    assert {"up to 2 h": (minutes <= 120).sum(), "up to 6 h": (minutes <= 360).sum(), "same day": counted.sum()} == within


def test_sizes_are_held_against_all_without(m1, cases, truth):
    counted, so, score, called = truth
    (small,) = (one for one in m1["subgroups"]["shown"] if (one["attribute"], one["value"]) == ("size", "small"))
    of_size = (cases["truth_size"][counted] == "small") & so
    assert called[of_size].mean() == pytest.approx(small["figures"]["sensitivity"]["value"])
    assert roc_auc_score(so[of_size | ~so], score[of_size | ~so]) == pytest.approx(small["figures"]["auc"]["value"])
    assert "specificity" not in small["figures"]


def test_every_figure_says_where_it_stands_and_how_it_was_made(metrics):
    found = figures_in(metrics["models"])
    assert len(found) > 300
    for one in found:
        assert one == at(metrics["models"], one["id"])
        assert {"n", "method"} <= set(one)
        if "value" in one and one["method"] not in {"count", "no interval"}:
            assert one["confidence"] == 0.95
        if one["method"].startswith("bootstrap") and one.get("low") is not None:
            assert (one["seed"], one["resamples"]) == (1, 60)
        if one.get("value", 0) is None:
            assert one["note"]


def test_the_same_cases_give_the_same_bytes_in_any_order_of_rows(cases, metrics):
    shuffled = chosen(cases, np.random.default_rng(8).permutation(cases["model"].size))
    assert canonical(metrics) == canonical(compute(shuffled, in_order(cases), ANALYSIS))
    assert metrics == json.loads(canonical(metrics))


def test_without_a_case_there_is_no_model():
    empty = chosen(made_up(5), np.arange(0))
    found = computed(empty)
    assert {} == found["models"]
    assert 0 == found["made_of"]["cases"]["rows"]
    canonical(found)


def test_a_model_without_any_truth_has_no_figures_and_says_why():
    cases = chosen(made_up(300), np.flatnonzero(made_up(300)["exclusion"] == "no_report_that_day"))
    one = computed(cases)["models"]["m1"]
    assert one["discrimination"]["auc"]["value"] is None
    assert one["discrimination"]["auc"]["note"] == "no cases"
    assert one["answers"]["sensitivity"]["wilson"]["value"] is None
    assert one["counts"]["answered"]["value"] == cases["model"].size


@pytest.mark.parametrize("kind", [1.0, 0.0])
def test_with_positives_or_negatives_only_no_figure_is_made_up(kind):
    every = made_up(200)
    one = computed(chosen(every, every["truth"] == kind))["models"]["m1"]
    assert one["discrimination"]["auc"] == one["discrimination"]["auc"] | {"value": None, "note": "positives or negatives only"}
    assert one["discrimination"]["roc"]["points"] == []
    lacking, there = ("specificity", "sensitivity") if kind else ("sensitivity", "specificity")
    assert one["answers"][lacking]["wilson"]["value"] is None
    assert one["answers"][there]["wilson"]["value"] is not None


def test_infinite_limits_are_null_with_a_note():
    cases = made_up(120, without_ct=0.0, uncertain=0.0)
    cases["probability"] = np.where(cases["truth"] == 1, 0.2, 0.9)
    threshold = computed(cases)["models"]["m1"]["discrimination"]["at_specificity"][2]["threshold"]
    assert threshold["value"] is None
    assert "infinite" in threshold["note"]


def test_where_patients_repeat_they_are_drawn_as_a_whole():
    repeated = computed(made_up(300, images_a_patient=3))["models"]["m1"]
    sensitivity = repeated["answers"]["sensitivity"]
    assert "by_patient" == sensitivity["stated"]
    assert (sensitivity["wilson"]["value"], sensitivity["by_patient"]["hits"]) == (
        sensitivity["by_patient"]["value"],
        sensitivity["wilson"]["hits"],
    )
    assert repeated["discrimination"]["auc"]["patients"] == repeated["counts"]["patients"]["value"] < repeated["counts"]["counted"]["value"]
    assert "several cases" in repeated["answers"]["caution"]


def test_two_models_are_told_apart_and_compared_on_the_same_cases():
    first = made_up(240)
    second = {**first, "model": np.full(240, "other 2"), "probability": first["probability"] ** 2}
    found = computed(together(first, second))
    assert ["m1", "m2"] == sorted(found["models"])
    assert [MODEL, "other 2"] == [found["models"][key]["name"] for key in ("m1", "m2")]
    (pair,) = found["comparisons"]
    assert pair["cases"]["value"] == found["models"]["m1"]["counts"]["counted"]["value"]
    assert 0.0 == pair["auc"]["value"]  # the same order of cases
    alone = computed(first)["models"]["m1"]
    assert [] == [name for name in alone if name != "over_time" and alone[name] != found["models"]["m1"][name]]


def test_a_watch_alarms_where_misses_begin():
    cases = made_up(400, without_ct=0.0, uncertain=0.0)
    ordered = in_order(cases)
    late = (ordered["position"] > 300) & (ordered["truth"] == 1)
    ordered["called"] = np.where(late, 0.0, ordered["truth"])
    ordered["called"][np.flatnonzero(ordered["truth"] == 1)[:2]] = 0.0
    watch = compute(cases, ordered, ANALYSIS)["models"]["m1"]["over_time"]["watches"]
    assert watch["missed"]["alarms"]
    assert min(watch["missed"]["alarms"]) > 300
    assert 0.9 * 10 * watch["missed"]["n"] < watch["missed"]["cases_to_false_alarm"] < 1.1 * 10 * watch["missed"]["n"]
    assert (0, []) == (watch["false_alarm"]["events"], watch["false_alarm"]["alarms"])
    assert math.log(watch["missed"]["changed"] / (1 - watch["missed"]["changed"])) == pytest.approx(
        math.log(2) + math.log(watch["missed"]["expected"] / (1 - watch["missed"]["expected"]))
    )


def test_a_promise_that_was_never_kept_alarms_and_one_that_is_kept_does_not():
    """Of all positives 30 % are missed from the first case on: nothing changes within them, so that only a promise can tell."""
    cases = made_up(600, without_ct=0.0, uncertain=0.0)
    ordered = in_order(cases)
    ill = np.flatnonzero(ordered["truth"] == 1)
    ordered["called"] = ordered["truth"].copy()
    ordered["called"][ill[np.arange(ill.size) % 10 < 3]] = 0.0

    def watches(promise: Promise) -> dict[str, Any]:
        return compute(cases, ordered, replace(ANALYSIS, promise=promise))["models"]["m1"]["over_time"]["watches"]

    unsaid, kept, broken = (watches(Promise(sensitivity=one)) for one in (None, 0.65, 0.9))
    assert ([], False, "false_call" in unsaid) == (unsaid["missed"]["alarms"], unsaid["missed"]["promised"], False)
    assert [] == kept["missed"]["alarms"]
    assert broken["missed"]["alarms"]
    assert (True, pytest.approx(0.1), pytest.approx(2 / 11)) == tuple(broken["missed"][one] for one in ("promised", "expected", "changed"))
    assert unsaid["wrong"] == broken["wrong"], "only what was promised is held against the promise"
    early, late = (watches(Promise(sensitivity=0.9, limit=one))["missed"] for one in (0.5, 50.0))
    assert (0.5, 50.0, []) == (early["limit"], late["limit"], late["alarms"])
    assert len(early["alarms"]) > len(broken["missed"]["alarms"])
    every = watches(Promise(positive_predictive_value=0.9, disagreement_rate=0.01))
    assert (0, []) == (every["false_call"]["events"], every["false_call"]["alarms"]), "no false call is a rate that can be held against one"
    assert every["false_call"]["course"]
    assert (0.01, True) == (every["wrong"]["expected"], bool(every["wrong"]["alarms"]))


@pytest.mark.parametrize("wrong", [{"sensitivity": 1.0}, {"positive_predictive_value": 0.0}, {"disagreement_rate": -0.1}, {"limit": 0.0}])
def test_promises_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError):
        Promise(**wrong)


def test_periods_of_few_cases_are_withheld(cases):
    ordered = in_order(cases)
    ordered["period"][:3] = "2024-12"
    found = compute(cases, ordered, ANALYSIS)["models"]["m1"]["over_time"]["periods"]
    assert "2024-12" in found["withheld"]
    assert found["shown"]


def test_the_settings_come_back_from_the_file():
    analysis = Analysis(seed=7, resamples=11, thresholds=(0.25, 0.5), prevalence=0.02, balanced=True, simulated=True)
    analysis = replace(analysis, promise=Promise(0.9, 0.6, 0.1, 4.0))
    assert analysis == Analysis.from_json(json.loads(json.dumps(analysis.to_json())))
    with pytest.raises(UsageError, match="other settings"):
        Analysis.from_json({"seed": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": 1.0},
        {"resamples": -1},
        {"specificities": (1.0,)},
        {"prevalence": 0.0},
        {"strata": ("patient",)},
        {"changed_odds": 1.0},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError):
        Analysis(**wrong)
