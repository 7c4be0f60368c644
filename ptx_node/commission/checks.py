"""Every answer against what is known of its phantom: plain rules, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.commission.statements import dice, report_says, segmented, tracking_uid
from ptx_node.domain.finding import Outcome
from ptx_node.domain.job import DeliveryState
from ptx_node.domain.result_policy import agree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydicom import Dataset

    from ptx_node.commission.phantoms import Phantom
    from ptx_node.commission.read_back import ReadBack
    from ptx_node.db.answers import Answers, Sent
    from ptx_node.domain.result_policy import DestinationPolicy

NO_RULE = "no_rule"
PROOFS = {"none": "nothing, since the destination cannot be asked"}
KEPT = ("PatientID", "StudyInstanceUID")
MIRRORS = (0, 1, 2, (1, 2))
"""Axes of a mask (slices, rows, columns) by whose reversal a grid that was taken wrongly would show itself."""
CLEARLY = 0.2
"""So much better in Dice must a mirrored mask fit before it is no accident."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question with its answer; `detail` says what was seen."""

    what: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back for one phantom.

    Attributes:
        answers: the node's rows.
        read: what each destination gave back, by its name.
        policies: what each destination may receive.
        routed: whether something before the node decides what reaches it.
    """

    answers: Answers
    read: Mapping[str, ReadBack]
    policies: Mapping[str, DestinationPolicy]
    routed: bool = False


def checks(phantom: Phantom, returned: Returned) -> list[Check]:
    """Every check of one phantom, in the order of its way; a phantom that did not arrive is asked nothing more."""
    if kept_back(phantom, returned):
        return [Check("kept back", passed=True, detail="the routing before the node does not send it")]
    arrived = _arrived(phantom, returned.answers)
    if not arrived.passed:
        return [arrived]
    found = [arrived, _answered_once(phantom, returned.answers)]
    if not returned.answers.said:
        return found
    found.append(_outcome(phantom, returned.answers))
    if phantom.laterality is not None and found[-1].passed:
        sides = [one.laterality for one in returned.answers.said]
        found.append(Check("side", set(sides) == {str(phantom.laterality)}, f"{_words(sides)}, true {phantom.laterality}"))
    found.append(_complete(phantom, returned))
    if returned.answers.sent:
        found.append(_delivered(returned.answers))
        found += _read_back(phantom, returned)
    return found


def kept_back(phantom: Phantom, returned: Returned) -> bool:
    """Whether a PACS rightly did not route what no model reads."""
    return returned.routed and phantom.outcome is Outcome.NOT_ELIGIBLE and not returned.answers.instances


def _arrived(phantom: Phantom, answers: Answers) -> Check:
    missing = set(phantom.sop_instance_uids) - answers.instances.keys()
    came = f"{len(phantom.sop_instance_uids) - len(missing)} of {len(phantom.sop_instance_uids)} instances"
    return Check("arrived", not missing, f"{came}{' from ' + _words(sorted(answers.calling_aes)) if answers.calling_aes else ''}")


def _answered_once(phantom: Phantom, answers: Answers) -> Check:
    """One outcome a model. A refusal may also be that no rule takes it."""
    models = [one.model for one in answers.said]
    if not models:
        unrouted = set(answers.instances.values()) == {NO_RULE}
        return Check(
            "one answer", unrouted and phantom.outcome is Outcome.NOT_ELIGIBLE, "no rule takes it" if unrouted else "no answer in time"
        )
    twice = sorted({model for model in models if models.count(model) > 1})
    return Check("one answer", not twice, f"twice by {_words(twice)}" if twice else f"by {_words(models)}")


def _outcome(phantom: Phantom, answers: Answers) -> Check:
    said = [f"{one.outcome}{f' ({one.reason})' if one.reason else ''}" for one in answers.said]
    right = all(one.outcome == phantom.outcome for one in answers.said)
    if phantom.reason is not None:
        right = right and all(one.reason == phantom.reason for one in answers.said)
    true = f"{phantom.outcome}{f' ({phantom.reason})' if phantom.reason else ''}"
    return Check("outcome", right, f"{_words(said)}, true {true}")


def _complete(phantom: Phantom, returned: Returned) -> Check:
    """Every destination got each kind that rule and policy agree on: an SR with each answer, SEG and SC with a mask."""
    missing = []
    answers = returned.answers
    positive = any(one.outcome == Outcome.POSITIVE for one in answers.said)
    read = any(one.outcome in (Outcome.POSITIVE, Outcome.NEGATIVE) for one in answers.said)
    asked, _ = agree([{"name": name, "kinds": kinds} for name, kinds in answers.asked], returned.policies)
    for destination in asked:
        expected = ({"sr"} if read else set()) | ({"seg"} if positive else set())
        got = {one.kind for one in answers.sent if one.destination == destination.name}
        missing += [f"{kind} for {destination.name}" for kind in sorted(expected & {str(kind) for kind in destination.kinds} - got)]
    kinds = sorted({one.kind for one in answers.sent})
    nothing = "nothing is sent" if phantom.outcome is Outcome.NOT_ELIGIBLE else "no results"
    return Check("results", not missing, f"missing: {_words(missing)}" if missing else _words(kinds) if kinds else nothing)


def _delivered(answers: Answers) -> Check:
    bad = [one for one in answers.sent if one.state == DeliveryState.FAILED or (one.state != DeliveryState.COMMITTED and one.proof is None)]
    if bad:
        return Check(
            "delivered", passed=False, detail=f"{bad[0].kind} to {bad[0].destination} is {bad[0].state}: {bad[0].error or 'no word'}"
        )
    return Check(
        "delivered",
        passed=True,
        detail=f"{len(answers.sent)}, proven by {_words(sorted({PROOFS.get(str(one.proof), str(one.proof)) for one in answers.sent}))}",
    )


def _read_back(phantom: Phantom, returned: Returned) -> Iterator[Check]:
    """For each destination: is all there, and does it say what the database says?"""
    for name in dict.fromkeys(one.destination for one in returned.answers.sent):
        sent = [one for one in returned.answers.sent if one.destination == name]
        back = returned.read.get(name)
        if back is None:
            yield Check(f"read back from {name}", passed=False, detail="no such destination is configured")
            continue
        there = back.datasets.keys() | back.found
        missing = [one.kind for one in sent if one.sop_instance_uid not in there]
        words = f"missing: {_words(missing)}" if missing else f"{len(sent)} by {back.by}"
        yield Check(f"read back from {name}", not missing, f"{words}{f' ({back.problem})' if back.problem else ''}")
        yield from _contents(
            phantom, returned.answers, [(one, back.datasets[one.sop_instance_uid]) for one in sent if one.sop_instance_uid in back.datasets]
        )


def _contents(phantom: Phantom, answers: Answers, pairs: list[tuple[Sent, Dataset]]) -> Iterator[Check]:
    for one, ds in pairs:
        wrong = [
            keyword
            for keyword in KEPT
            if str(ds.get(keyword)) != {"PatientID": phantom.patient_id}.get(keyword, phantom.study_instance_uid)
        ]
        if wrong:
            yield Check(f"{one.kind} belongs to the phantom", passed=False, detail=f"other {_words(wrong)}")
    trackings = {tracking_uid(ds) for one, ds in pairs if one.kind == "seg"}
    for one, ds in pairs:
        if one.kind == "sr":
            yield _report(phantom, answers, ds, trackings)
        elif one.kind == "seg":
            yield _segmentation(phantom, ds)


def _report(phantom: Phantom, answers: Answers, ds: Dataset, trackings: set[str | None]) -> Check:
    """The SR says what the database says, of the phantom's images, with the SEG's tracking UID."""
    says = report_says(ds)
    wrong = []
    heard = " ".join(str(part) for part in (says.outcome, says.laterality, says.reason) if part)
    if (says.outcome, says.laterality, says.reason) not in {(one.outcome, one.laterality, one.reason) for one in answers.said}:
        wrong.append(f"says {heard or 'nothing'}, which is not the node's answer")
    if not says.images & set(phantom.sop_instance_uids):
        wrong.append("refers to none of the images")
    if trackings and says.tracking_uid not in trackings:
        wrong.append("has another tracking UID than the segmentation")
    return Check("SR", not wrong, _words(wrong) if wrong else heard)


def _segmentation(phantom: Phantom, ds: Dataset) -> Check:
    """The SEG lies on the phantom's pixels and, where there is air, on it."""
    mask_ZHW = segmented(ds, phantom.sop_instance_uids)
    if mask_ZHW is None:
        return Check("SEG", passed=False, detail="a frame refers to none of the images")
    if phantom.mask is None:
        return Check("SEG", passed=False, detail=f"{int(mask_ZHW.sum())} pixels, but there is no air")
    truth_ZHW = phantom.mask.reshape(-1, *phantom.mask.shape[-2:])
    if truth_ZHW.shape != mask_ZHW.shape:
        return Check("SEG", passed=False, detail=f"its grid is {mask_ZHW.shape}, the images' {truth_ZHW.shape}")
    overlap = dice(mask_ZHW, truth_ZHW)
    mirrored = max(dice(np.flip(mask_ZHW, axes), truth_ZHW) for axes in MIRRORS)
    words = f"{int(mask_ZHW.sum())} pixels, Dice {overlap:.2f}"
    if mirrored > overlap + CLEARLY:
        return Check("SEG", passed=False, detail=f"{words}, mirrored {mirrored:.2f}: it lies the wrong way round")
    return Check("SEG", overlap > 0, words)


def _words(words: object) -> str:
    return ", ".join(map(str, words)) if isinstance(words, list | tuple | set) else str(words)
