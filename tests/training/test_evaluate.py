"""Evaluation: rows are what the node answers, figures are what the rows say, and nothing that was trained on is judged as unseen."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ptx_node.domain.finding import Outcome
from ptx_node.model.metadata import Decision
from ptx_node.validation.statistics import Chance, binned_auc
from tests.training.bright_spots import SIZE, predictor, radiographs, series
from tests.training.real_formats import write_siim
from tests.training.stand_in import tiny, untrained_run
from training.__main__ import main
from training.datasets import open_data_set
from training.evaluate.cases import grouped
from training.evaluate.data import limited
from training.evaluate.judge import PixelHistogram, outputs, row_of, truth_on_grid
from training.evaluate.models import open_run
from training.evaluate.report import page, title_of
from training.evaluate.result import About, evaluation
from training.evaluate.rows import Row, read_rows, write_rows
from training.evaluate.subgroups import by_subgroup
from training.evaluate.tables import summary
from training.evaluate.targets import as_text, targets
from training.splits import draw

FEW = Chance(seed=1, repeats=30)


def judged(reads: str = "radiograph", *, threads: int = 2) -> list[Row]:
    records, pictures = radiographs() if reads == "radiograph" else series()
    model = predictor(reads)
    return [row_of(model, one) for one in outputs(model, grouped(records), pictures, threads=threads)]


def about(**values) -> About:
    stated = {
        "name": "spots",
        "version": "1",
        "weights_sha256": "0" * 64,
        "reads": "radiograph",
        "input_size": SIZE,
        "decision": {"class_threshold": 0.5},
        "part": "test",
        "data": ("spots: test, 40 cases",),
        "trained_sites": ("siim",),
        "split": {"name": "one", "digest": "ab"},
        "command": "python -m training evaluate",
    }
    return About(**stated | values)


def row(label: int | None, probability: float, **values) -> Row:
    known = {
        "case_id": "1",
        "patient_id": str(probability),
        "site": "siim",
        "sex": "F",
        "age_years": 50.0,
        "view": "PA",
        "modality": "DX",
        "size": "",
        "tube": None,
        "simulated": True,
        "positive": probability >= 0.5,
        "laterality": "",
        "truth_laterality": "",
    }
    return Row(**known | {"label": label, "probability": probability} | values)


# --- rows


def test_rows_say_what_the_node_answers():
    records, pictures = radiographs()
    model, groups = predictor("radiograph"), grouped(records)
    rows = [row_of(model, one) for one in outputs(model, groups, pictures)]
    for group, one in zip(groups, rows, strict=True):
        case = pictures(group)
        (finding,), _ = model.predict([model.prepare(case.image)])
        assert (finding.probability, finding.outcome is Outcome.POSITIVE) == pytest.approx((one.probability, one.positive))
        answer = np.zeros(case.truth_ZHW[0].shape, bool) if finding.mask is None else finding.mask
        expected = [int(pixels.sum()) for pixels in (case.truth_ZHW[0], answer, answer & case.truth_ZHW[0])]
        assert expected == [one.truth_pixels, one.answer_pixels, one.both_pixels]
        assert str(finding.laterality or "") == one.laterality
    assert {"left", "right"} == {one.truth_laterality for one in rows if one.label}
    assert any(one.positive and one.label == 0 for one in rows)
    assert any(not one.positive and one.label == 1 for one in rows)


def test_mask_alone_is_drawn_where_the_class_says_no():
    records, pictures = radiographs()
    model = predictor("radiograph", Decision(class_threshold=1.1, pixel_threshold=0.5, min_pixels=1))
    rows = [row_of(model, one) for one in outputs(model, grouped(records), pictures)]
    assert 0 == sum(one.answer_pixels for one in rows)
    assert 0 < sum(one.alone_both for one in rows)


@pytest.mark.parametrize("threads", [1, 4])
def test_reading_ahead_and_batches_change_no_row(threads):
    records, pictures = radiographs(23)
    one_by_one = predictor("radiograph")
    one_by_one.batch_size = 1
    model = predictor("radiograph")
    together = [row_of(model, one) for one in outputs(model, grouped(records), pictures, threads=threads)]
    assert [row_of(one_by_one, one) for one in outputs(one_by_one, grouped(records), pictures, threads=1)] == together


def test_rows_come_back_from_the_file_to_the_last_digit(tmp_path):
    rows = [*judged(), *judged("ct"), row(None, 0.1, age_years=None, tube=False)]
    write_rows(tmp_path / "cases.csv", rows)
    assert rows == read_rows(tmp_path / "cases.csv")


def test_ct_is_judged_by_patient_on_the_slices_with_air():
    records, pictures = series()
    model = predictor("ct")
    rows = judged("ct")
    assert [(8, 3), (8, 0)] * 3 == [(one.slices, one.air_slices) for one in rows]
    for group, one in zip(grouped(records), rows, strict=True):
        case = pictures(group)
        (finding,), _ = model.predict([model.prepare(case.image)])
        answer = np.zeros(case.truth_ZHW.shape, bool) if finding.mask is None else finding.mask
        assert case.truth_ZHW.sum() * 5.0 / 1000 == pytest.approx(one.truth_volume_ml)
        assert answer.sum() * 5.0 / 1000 == pytest.approx(one.volume_ml)
        if one.label:
            airy = case.truth_ZHW.any(axis=(1, 2))
            both = (answer & case.truth_ZHW)[airy].sum()
            assert 2 * both / (answer[airy].sum() + case.truth_ZHW.sum()) == pytest.approx(one.air_dice)
            assert abs(one.volume_ml - one.truth_volume_ml) / one.truth_volume_ml == one.volume_error
        else:
            assert math.isnan(one.air_dice)
            assert math.isnan(one.volume_error)


def test_a_missed_pneumothorax_is_a_volume_error_of_one():
    missed = row(1, 0.1, slices=3, air_slices=1, truth_pixels=9, air_answer=0, air_both=0, volume_ml=0.0, truth_volume_ml=12.0)
    assert (1.0, 0.0) == (missed.volume_error, missed.air_dice)


# --- tables


def test_summary_is_what_the_rows_say():
    rows = judged()
    found = summary(rows, FEW)
    truth, score = np.array([one.label for one in rows]), np.array([one.probability for one in rows])
    called = np.array([one.positive for one in rows])
    assert roc_auc_score(truth, score) == pytest.approx(found["discrimination"]["auc"]["value"])
    assert called[truth == 1].mean() == pytest.approx(found["rule"]["sensitivity"]["value"])
    assert (~called[truth == 0]).mean() == pytest.approx(found["rule"]["specificity"]["value"])
    overlap = [2 * one.both_pixels / (one.answer_pixels + one.truth_pixels) if one.answer_pixels + one.truth_pixels else 1 for one in rows]
    assert np.mean(overlap) == pytest.approx(found["masks"]["dice_mean_with_empty_rule"]["value"])
    assert np.mean([one for one, label in zip(overlap, truth, strict=True) if label]) == pytest.approx(
        found["masks"]["dice_of_positives"]["value"]
    )
    assert np.mean([one.answer_pixels > 0 for one in rows if not one.label]) == pytest.approx(
        found["masks"]["mask_drawn_on_empties"]["value"]
    )
    assert (40, 20) == (found["cases"], found["patients"])


def test_interval_is_by_patient_where_one_has_several_cases():
    rows = [row(index % 2, 0.3 + 0.4 * (index % 3) / 3, patient_id=f"P{index}") for index in range(30)]
    assert "formula" == summary(rows, FEW)["discrimination"]["auc"]["interval"]
    twice = [replace(one, patient_id=f"P{place // 2}") for place, one in enumerate(rows)]
    assert "bootstrap by patient" == summary(twice, FEW)["discrimination"]["auc"]["interval"]


def test_uncertain_truth_counts_in_no_table():
    rows = judged()
    doubtful = [*rows, *(replace(one, label=None, probability=1.0, positive=True) for one in rows[:9])]
    expected, found = summary(rows, FEW), summary(doubtful, FEW)
    assert 9 == found.pop("uncertain_left_out")
    expected.pop("uncertain_left_out")
    assert expected == found


def test_a_size_stands_against_all_without_pneumothorax():
    cells = by_subgroup(judged(), FEW)
    assert [("small", 10, 20), ("large", 10, 20)] == [(name, one["positives"], one["negatives"]) for name, one in cells["size"].items()]
    assert {"siim", "bedside"} == set(cells["site"])
    assert [True, True] == [one["small"] for one in cells["site"].values()]
    assert ["18 to 39", "40 to 64"] == list(cells["age"])
    assert 40 == sum(one["positives"] + one["negatives"] for one in cells["tube"].values())
    ages = [replace(one, age_years=age) for one, age in zip(judged(), (None, 90.0, 3.0, 70.0, 18.0), strict=False)]
    assert ["not stated", "under 18", "18 to 39", "65 to 79", "80 and over"] == list(by_subgroup(ages, FEW)["age"])


def test_targets_part_known_sites_from_others():
    masks = {"pixels": 100, "truth_pixels": 10, "answer_pixels": 10, "both_pixels": 9, "alone_answer": 10, "alone_both": 9}
    good = [row(index % 2, 0.9 if index % 2 else 0.1, **(masks if index % 2 else {})) for index in range(10)]
    bad = [row(index % 2, 0.5 + 0.1 * (index % 3), site="elsewhere") for index in range(10)]
    lines = targets([*good, *bad], frozenset({"siim"}), reads="radiograph")
    assert ["reached", "reached", "reached", "NOT reached"] == [one.verdict for one in lines]
    assert "not measured" == targets(good, frozenset({"siim"}), reads="radiograph")[3].verdict
    assert "NOT reached" in as_text(lines)


def test_ct_targets_are_dice_and_volume():
    lines = targets(judged("ct"), frozenset({"ct64"}), reads="ct")
    assert [0.93, 0.05] == [one.limit for one in lines]
    assert [3, 3] == [one.cases for one in lines]
    assert ("reached", "NOT reached") == (replace(lines[1], value=0.05).verdict, replace(lines[1], value=0.051).verdict)


def test_pixel_auc_is_that_of_all_pixels():
    records, pictures = radiographs(8)
    model, histogram, truth, score = predictor("radiograph"), PixelHistogram(), [], []
    for one in outputs(model, grouped(records), pictures):
        histogram.add(one)
        rows, columns = one.prepared.box.window
        truth.append(truth_on_grid(one)[:, rows, columns].ravel())
        score.append(one.logits_ZHW[:, rows, columns].numpy().ravel())
    assert roc_auc_score(np.concatenate(truth), np.concatenate(score)) == pytest.approx(
        binned_auc(histogram.positives_K, histogram.negatives_K), abs=0.002
    )


# --- the whole


def test_everything_can_be_computed_again_from_the_rows(tmp_path):
    rows = judged()
    write_rows(tmp_path / "cases.csv", rows)
    first, again = (evaluation(some, about(), pixel_auc=0.9, chance=FEW) for some in (rows, read_rows(tmp_path / "cases.csv")))
    assert first == again
    assert "NaN" not in json.dumps(first, allow_nan=False)
    assert {"all", "same site", "other sites"} == set(first["figures"])


def test_page_says_simulated_and_stands_beside_what_was_published():
    content = evaluation(judged(), about(), pixel_auc=math.nan, chance=FEW)
    text = page(content, {"ROC": "roc.png"}, {})
    assert title_of(content).startswith("SIMULATED")
    assert all(
        word in text for word in ("thesis: local test", "0.720", "ClaSegNet: test", "ours: spots, other sites", "roc.png", "SIMULATED")
    )
    real = evaluation([replace(one, simulated=False) for one in judged()], about(), pixel_auc=math.nan, chance=FEW)
    assert "SIMULATED" not in page(real, {}, {})


def test_ct_page_has_the_studys_columns():
    content = evaluation(judged("ct"), about(reads="ct", trained_sites=()), pixel_auc=0.87, chance=FEW)
    (table,) = content["published"]
    assert 0.9644 == table["rows"]["CT study: test, split by slice"][6]
    ours = table["rows"]["ours: spots, all"]
    assert (0.87, content["figures"]["all"]["pixels"]["dice"]) == (ours[0], ours[6])
    assert "Jaccard" in page(content, {}, {})


def test_what_nobody_says_was_trained_on_is_another_site():
    content = evaluation(judged(), about(trained_sites=()), pixel_auc=math.nan, chance=FEW)
    assert ["not measured"] * 3 == [one["verdict"] for one in content["must_reach"][:3]]
    assert 40 == content["must_reach"][3]["cases"]


def test_a_limit_keeps_the_share_of_positives():
    groups = grouped(radiographs()[0])
    some = limited(groups, 10, seed=1)
    assert (10, 5) == (len(some), sum(one[0].label == 1 for one in some))
    assert some == limited(groups, 10, seed=1)
    assert groups == limited(groups, 0, seed=1)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> tuple[Path, Path, Path]:
    """(data set, split, run): small real files and a run of seconds, which has learnt nothing."""
    folder = tmp_path_factory.mktemp("hospital")
    rows = [(number, "-1" if number % 4 < 2 else f"{200 + number} 6 34 7") for number in range(2, 42)]
    write_siim(folder / "data", rows, files=range(2, 42))
    split = draw("by patient", open_data_set("siim", folder / "data").records, seed=3, shares=(0.4, 0.3, 0.3))
    split.save(folder / "split.json")
    untrained_run(folder / "run", tiny())
    return folder / "data", folder / "split.json", folder / "run"


def evaluate(*words: str | Path) -> int:
    return main(["evaluate", "--device", "cpu", "--repeats", "20", "--examples", "2", *map(str, words)])


def test_command_judges_the_test_part_under_a_rule_of_the_validation_part(hospital, tmp_path, capsys):
    data, split, run = hospital
    assert 0 == evaluate("--run", run, "--data", f"siim:{data}", "--split", split, "--out", tmp_path / "out")
    assert "radiograph, same site: AUC" in capsys.readouterr().out
    patients = {
        part: {one for one, where in json.loads(split.read_text())["patients"].items() if where == part} for part in ("test", "validation")
    }
    rows = read_rows(tmp_path / "out" / "cases.csv")
    decision = json.loads((run / "decision.json").read_text())
    assert patients["test"] == {one.patient_id for one in rows}
    assert 2 * len(patients["validation"]) == decision["cases"]
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (decision["decision"], decision["weights_sha256"]) == (content["about"]["decision"], content["about"]["weights_sha256"])
    assert str(tmp_path) not in json.dumps(content)
    assert all(one.positive == (one.probability >= decision["decision"]["class_threshold"]) for one in rows)
    pictures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert {"roc.png", "scores.png", "calibration.png", "overlap.png"} <= pictures
    page_text = (tmp_path / "out" / "report.html").read_text()
    assert all(name in page_text for name in pictures)


def test_a_patient_that_was_trained_on_is_never_unseen(hospital, tmp_path, capsys):
    data, split, run = hospital
    assert 2 == evaluate("--run", run, "--unseen", f"siim:{data}", "--split", split, "--out", tmp_path / "out")
    assert "were trained or validated on" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_part_without_a_split_is_refused(hospital, tmp_path, capsys):
    data, _, run = hospital
    assert 2 == evaluate("--run", run, "--data", f"siim:{data}", "--out", tmp_path / "out")
    assert "needs --split" in capsys.readouterr().err


def test_rule_of_other_weights_is_chosen_again(hospital, tmp_path):
    data, split, run = hospital
    stale = json.loads((run / "decision.json").read_text()) if (run / "decision.json").exists() else {"decision": {}}
    (run / "decision.json").write_text(json.dumps(stale | {"weights_sha256": "of others"}))
    assert not open_run(run, device="cpu").decided
    assert 0 == evaluate("--run", run, "--data", f"siim:{data}", "--split", split, "--out", tmp_path / "out", "--limit", "6")
    assert open_run(run, device="cpu").decided


def test_a_classifier_is_judged_without_masks(hospital, tmp_path):
    data, split, _ = hospital
    settings = tiny(network={"kind": "classifier"}, loss={"bce": 0, "dice": 0, "image": 1.0})
    untrained_run(tmp_path / "run", settings)
    assert 0 == evaluate("--run", tmp_path / "run", "--data", f"siim:{data}", "--split", split, "--out", tmp_path / "out")
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert ({}, {}) == (content["figures"]["all"]["masks"], content["figures"]["all"]["pixels"])
    assert all(one.truth_pixels is None for one in read_rows(tmp_path / "out" / "cases.csv"))
