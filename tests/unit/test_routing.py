"""Rules: how they are read, what they match, what is wrong with them."""

from __future__ import annotations

import fnmatch
import time
import tomllib
from typing import Any

import pytest

from ptx_node.dicom.attributes import known_keywords
from ptx_node.domain.condition_parsing import parse_condition
from ptx_node.domain.conditions import evaluate, is_like
from ptx_node.domain.decision import Policy, decide
from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.finding import ResultKind
from ptx_node.domain.job import LatePolicy, Trigger
from ptx_node.domain.routing import RuleDestination, parse_rules, route
from ptx_node.domain.rule_check import Severity, Site, check_rules
from ptx_node.domain.study import Origin, Via
from ptx_node.errors import ConfigurationError

ORIGIN = Origin(Via.DIMSE, "bedside", "ED_DR1", "PTX_BED", "10.1.2.3")
SITE = Site(known_keywords(), {"cxr", "ct"}, {"pacs": {"seg", "sr"}, "folder": {"seg", "sr", "sc"}})
ATTRIBUTES = {
    "Modality": ("DX",),
    "BodyPartExamined": ("CHEST ",),
    "StudyDescription": ("Radio du Thorax (lit)",),
    "ImageType": ("ORIGINAL", "PRIMARY", "AXIAL"),
    "PatientAge": ("018Y",),
    "StudyDate": ("20260301",),
    "KVP": ("120.0",),
    "ViewPosition": (),
    "Rows": ("2048",),
    "ViewCodeSequence.CodeValue": ("399348003",),
}


def rule(**changes: Any) -> dict[str, Any]:
    return {"name": "a", "model": "cxr", "destinations": [{"name": "pacs"}], **changes}


def match(toml: str) -> Any:
    return tomllib.loads(f"match = {toml}")["match"]


def holds(toml: str) -> bool:
    return evaluate(parse_condition(match(toml), "match", known_keywords()), ATTRIBUTES, ORIGIN).held


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("{}", True),
        ('{ keyword = "Modality", equals = "dx" }', True),
        ('{ keyword = "Modality", any_of = ["CR", "DX"] }', True),
        ('{ keyword = "Modality", any_of = ["CR", "CT"] }', False),
        ('{ keyword = "BodyPartExamined", equals = "CHEST" }', True),
        ('{ keyword = "BodyPartExamined", like = "CH?ST*" }', True),
        ('{ keyword = "BodyPartExamined", like = "HEST" }', False),
        ('{ keyword = "BodyPartExamined", like = "CHE" }', False),
        ('{ keyword = "StudyDescription", regex = "(?i)thorax" }', True),
        ('{ keyword = "StudyDescription", regex = "thorax" }', False),
        ('{ keyword = "StudyDescription", regex = "^Thorax" }', False),
        ('{ keyword = "StudyDescription", like = "*thorax (lit)" }', True),
        ('{ keyword = "ImageType", equals = "AXIAL" }', True),
        ('{ keyword = "PatientAge", at_least = 18 }', True),
        ('{ keyword = "PatientAge", at_least = 18.5 }', False),
        ('{ keyword = "PatientAge", at_least = 1, at_most = 17 }', False),
        ('{ keyword = "KVP", at_least = 110, at_most = 120 }', True),
        ('{ keyword = "Rows", equals = 2048 }', True),
        ('{ keyword = "StudyDate", at_least = 2026-01-01 }', True),
        ('{ keyword = "StudyDate", at_most = 2026-02-28 }', False),
        ('{ keyword = "StudyDescription", at_least = 1 }', False),
        ('{ keyword = "ViewPosition", absent = true }', True),
        ('{ keyword = "PatientSex", absent = true }', True),
        ('{ keyword = "Modality", absent = true }', False),
        ('{ keyword = "Modality", absent = false }', True),
        ('{ keyword = "ViewCodeSequence.CodeValue", equals = "399348003" }', True),
        ('{ source = "bedside" }', True),
        ('{ source = ["icu", "bedside"] }', True),
        ('{ calling_ae = "ED_*" }', True),
        ('{ calling_ae = "ICU_*" }', False),
        ('{ called_ae = "PTX_BED" }', True),
        ('{ via = "stow" }', False),
        ('{ not = { keyword = "Modality", equals = "CT" } }', True),
        ('{ all = [{ keyword = "Modality", equals = "DX" }, { source = "icu" }] }', False),
        ('{ any = [{ keyword = "Modality", equals = "CT" }, { source = "bedside" }] }', True),
    ],
)
def test_condition(toml: str, expected: bool) -> None:
    """Every comparison means what docs/rules.md says."""
    assert expected is holds(toml)


def test_age_in_months_is_less_than_a_year() -> None:
    """PatientAge 011M is not eleven years."""
    condition = parse_condition({"keyword": "PatientAge", "at_least": 1}, "match")
    assert not evaluate(condition, {"PatientAge": ("011M",)}, ORIGIN).held


@pytest.mark.parametrize("comparison", [{"regex": "(?i)x.*x.*y"}, {"like": "*x" * 50 + "y"}])
def test_long_value_cannot_stall_routing(comparison: dict[str, str]) -> None:
    """A hostile value costs no time: wildcards take no more than its length, and a regular expression sees 256 characters."""
    condition = parse_condition({"keyword": "StudyDescription", **comparison}, "match")
    started = time.process_time()
    assert not evaluate(condition, {"StudyDescription": ("x" * 10_000,)}, ORIGIN).held
    assert time.process_time() - started < 3


@pytest.mark.parametrize("pattern", ["", "a", "*", "?", "a*", "*a", "a?c", "a*c", "*b*", "a**", "*?c", "?b?", "a*b*c", "abc?", "**", "c*a"])
@pytest.mark.parametrize("value", ["", "a", "abc", "ac", "aXbYc", "aaa", "[abc]", "a*c"])
def test_wildcards_agree_with_the_shell(value: str, pattern: str) -> None:
    """The same answers as fnmatch, which knows the same two wildcards."""
    assert fnmatch.fnmatchcase(value, pattern) is is_like(value, pattern)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (rule(match={"keyword": "Modalty", "equals": "CR"}), r"rule 'a': match.keyword: 'Modalty' is not a keyword.*Did you mean Modality"),
        (rule(match={"all": [{"keyword": "Modality", "equals": "CR"}, {"keyword": "X", "equals": "1"}]}), r"match.all\[1\].keyword: 'X'"),
        (rule(match={"keyword": "ViewCodeSequence.CodeValu", "equals": "1"}), r"'CodeValu' is not a keyword.*CodeValue"),
        (rule(match={"keyword": "Modality"}), "compared with nothing"),
        (rule(match={"keyword": "Modality", "equal": "CR"}), "'equal' is no comparison.*Did you mean equals"),
        (rule(match={"keyword": "Modality", "equals": "CR", "like": "C*"}), "only at_least and at_most go together"),
        (rule(match={"keyword": "Modality", "any_of": []}), "empty list"),
        (rule(match={"keyword": "Modality", "equals": ""}), "absent = true"),
        (rule(match={"keyword": "PatientAge", "at_least": "18"}), "expected a number"),
        (rule(match={"keyword": "PatientAge", "at_least": 18, "at_most": 1}), "nothing can match"),
        (rule(match={"keyword": "StudyDescription", "regex": "("}), "not a regular expression"),
        (rule(match={"keyword": "StudyDescription", "regex": "(a+)+$"}), "take for ever"),
        (rule(match={"any": []}), "at least one"),
        (rule(match={"all": [{}]}), "empty condition"),
        (rule(match={"all": [{"source": "x"}], "source": "y"}), "stands beside source"),
        (rule(match={"source": "x", "keyword": "Modality", "equals": "CR"}), "one condition a table"),
        (rule(match={"sorce": "x"}), "sorce is not a condition.*Did you mean source"),
        (rule(match="Modality = CR"), "expected a condition"),
        (rule(prioritty=1), "'prioritty' is not known.*Did you mean priority"),
        (rule(priority=101), "priority is a whole number from 0 to 100"),
        (rule(priority=True), "priority is a whole number"),
        (rule(trigger="patient"), "trigger is one of instance, series, study"),
        (rule(quiet_s=5), "needs trigger"),
        (rule(trigger="series", expected_count=0), "above 0"),
        (rule(trigger="series", expected_count="NumberOfSeriesRelated"), "Did you mean NumberOfSeriesRelatedInstances"),
        (rule(late="reprocess", trigger="study"), "late is one of ignore, supersede"),
        (rule(destinations=[{"name": "pacs", "kinds": ["dicom"]}]), "kinds is a list of seg, sr, sc"),
        (rule(destinations=["pacs", "pacs"]), "named twice"),
        (rule(destinations="pacs"), "destinations is a list"),
        (rule(enabled="yes"), "enabled is true or false"),
        ({"model": "cxr"}, r"rules\[0\]: name is missing"),
        ({"name": "b"}, "rule 'b': model is missing"),
    ],
)
def test_wrong_rule_is_named(raw: dict[str, Any], message: str) -> None:
    """An error says which rule, which place in it, and what is allowed."""
    with pytest.raises(ConfigurationError, match=message):
        parse_rules([raw], known_keywords())


def test_same_name_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'a' is there twice"):
        parse_rules([rule(), rule()])


def test_defaults_and_everything() -> None:
    """What is left out has its default; what is written is kept."""
    plain, full = parse_rules(
        [
            rule(destinations=[]),
            rule(
                name="b",
                trigger="study",
                quiet_s=5,
                expected_count="ImagesInAcquisition",
                late="ignore",
                priority=90,
                report_failed=False,
                report_not_eligible=True,
                destinations=[{"name": "pacs", "kinds": ["sr"]}, "folder"],
            ),
        ]
    )
    assert (plain.trigger, plain.priority, plain.late, plain.report_failed, plain.report_not_eligible, plain.enabled) == (
        *(Trigger.INSTANCE, 50, LatePolicy.SUPERSEDE, True, False, True),
    )
    assert (full.trigger, full.quiet_s, full.expected_count, full.late, full.priority) == (
        *(Trigger.STUDY, 5.0, "ImagesInAcquisition", LatePolicy.IGNORE, 90),
    )
    assert full.destinations == (RuleDestination("pacs", (ResultKind.SR,)), RuleDestination("folder"))


def test_first_rule_of_each_model_acts() -> None:
    """Two models may read one image; one model reads it once, under the first rule that matches."""
    rules = parse_rules(
        [
            rule(name="off", enabled=False),
            rule(name="other", match=match('{ keyword = "Modality", equals = "CT" }')),
            rule(name="first"),
            rule(name="second"),
            rule(name="third", model="ct"),
        ]
    )
    verdicts = {one.rule.name: (one.acts, one.why) for one in route(rules, ATTRIBUTES, ORIGIN)}
    assert {name for name, (acts, _) in verdicts.items() if acts} == {"first", "third"}
    assert "rule 'first' stands before it" in verdicts["second"][1]
    assert "not enabled" in verdicts["off"][1]


def test_own_result_goes_nowhere() -> None:
    """An instance that carries the Device UID of a model here would loop for ever: no rule takes it."""
    rules = parse_rules([rule(report_not_eligible=True)])
    policy = Policy(rules, {"cxr": Requirements("radiograph")}, frozenset({"1.2.3"}))
    decision = decide(policy, {**ATTRIBUTES, "ContributingEquipmentSequence.DeviceUID": ("9.9", "1.2.3")}, ORIGIN)
    assert (decision.own_result, decision.placements) == (True, ())


def problems(*raw: dict[str, Any]) -> list[tuple[str, str]]:
    return [(str(one.severity), one.message) for one in check_rules(raw, SITE)]


def test_good_rules_have_no_problems() -> None:
    assert not problems(
        rule(match=match('{ keyword = "Modality", any_of = ["CR", "DX"] }')),
        rule(name="b", match=match('{ keyword = "Modality", like = "R*" }')),
        rule(name="c", model="ct"),
    )


@pytest.mark.parametrize(
    ("raw", "severity", "message"),
    [
        (rule(model="cxrr"), "error", "model 'cxrr' is not here. Did you mean cxr"),
        (rule(destinations=[{"name": "pasc"}]), "error", "destination 'pasc' is not configured. Did you mean pacs"),
        (rule(destinations=[{"name": "pacs", "kinds": ["sc"]}]), "error", "'pacs' does not allow sc: its kinds are seg, sr"),
        (rule(destinations=[]), "warning", "stay on this node"),
        (rule(match={"keyword": "Modalty", "equals": "CR"}), "error", "Did you mean Modality"),
        (
            rule(match=match('{ all = [{ keyword = "Modality", equals = "CR" }, { keyword = "Modality", equals = "DX" }] }')),
            "error",
            "contradict",
        ),
        (rule(match=match('{ all = [{ source = "a" }, { source = ["b", "c"] }] }')), "error", "contradict"),
        (
            rule(match=match('{ all = [{ keyword = "KVP", absent = true }, { keyword = "KVP", at_least = 1 }] }')),
            *("error", "contradict"),
        ),
    ],
)
def test_problem_of_one_rule(raw: dict[str, Any], severity: str, message: str) -> None:
    found = problems(raw)
    assert [severity] == [one for one, _ in found]
    assert message in found[0][1]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("{}", '{ keyword = "Modality", equals = "CR" }', "never reached"),
        (
            '{ keyword = "Modality", any_of = ["CR", "DX"] }',
            '{ all = [{ keyword = "Modality", equals = "CR" }, { source = "x" }] }',
            "never reached",
        ),
        ('{ keyword = "BodyPartExamined", like = "CH*" }', '{ keyword = "BodyPartExamined", any_of = ["CHEST"] }', "never reached"),
        ('{ keyword = "PatientAge", at_least = 10 }', '{ keyword = "PatientAge", at_least = 18, at_most = 60 }', "never reached"),
        ('{ keyword = "KVP", absent = false }', '{ keyword = "KVP", at_least = 18 }', "never reached"),
        ('{ keyword = "Modality", equals = "CR" }', '{ source = "x" }', "may overlap rule 'a'"),
        ('{ keyword = "ImageType", equals = "AXIAL" }', '{ keyword = "ImageType", equals = "PRIMARY" }', "may overlap rule 'a'"),
        ('{ keyword = "Modality", equals = "CR" }', "{}", "may overlap rule 'a'"),
    ],
)
def test_rules_in_each_others_way(before: str, after: str, message: str) -> None:
    """What a rule takes, no later rule of the same model sees."""
    found = problems(rule(match=match(before)), rule(name="b", match=match(after)))
    assert len(found) == 1
    assert message in found[0][1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{ keyword = "Modality", equals = "CR" }', '{ keyword = "Modality", equals = "DX" }'),
        ('{ keyword = "Modality", like = "C*" }', '{ keyword = "Modality", any_of = ["DX", "MR"] }'),
        ('{ source = "icu" }', '{ all = [{ source = "ward" }, { keyword = "Modality", equals = "CR" }] }'),
        ('{ keyword = "PatientAge", at_most = 17 }', '{ keyword = "PatientAge", at_least = 18 }'),
    ],
)
def test_rules_apart(before: str, after: str) -> None:
    assert not problems(rule(match=match(before)), rule(name="b", match=match(after)))


def test_every_problem_is_listed() -> None:
    """The check does not stop at the first error."""
    found = check_rules([rule(model="nix"), rule(name="b", trigger="x"), rule(match={}), {"model": "cxr"}], SITE)
    assert [one.severity for one in found] == [Severity.ERROR] * 4
    assert [one.rule for one in found] == ["a", "b", "a", "rules[3]"]
