"""Changed rules over studies that are here: who would read them and where results would go, beside what happened. Changes nothing.

Headers are read again from the stored files, one at a time, and the answer holds none of their values. It ends by itself: after so many
headers, or so much time, with a word on what was left out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from ptx_node.db.session import begin_read
from ptx_node.db.tables import Instance, Job
from ptx_node.dicom.attributes import read_attributes
from ptx_node.domain.decision import Policy, decide
from ptx_node.domain.finding import ResultKind
from ptx_node.domain.job import JobState
from ptx_node.domain.study import Origin, Via
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Engine, Select
    from sqlalchemy.orm import Session

MOST_HEADERS = 4000
MOST_OF_A_STUDY = 60
"""Instances of one study whose headers are read: a CT has hundreds, which the rules treat alike."""
LONGEST_S = 20.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One model on one study: by which rule, whether it reads anything there (else why not), and which kinds go where.

    Where nothing is read, `destinations` has those that are told why not, which is nobody unless the rule wants it.
    """

    model: str
    rule: str
    reads: bool
    reason: str = ""
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """One study. `unlooked` instances were left out, `unreadable` ones could not be read; `changes` is empty where all stays."""

    study_instance_uid: str
    looked: int
    unlooked: int
    unreadable: int
    before: tuple[Reading, ...]
    after: tuple[Reading, ...]
    changes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Replay:
    """The studies that were looked at, and why it ended before the last one ("": it did not)."""

    studies: tuple[Replayed, ...]
    ended: str = ""


def replay(
    engine: Engine,
    to_path: Callable[[str], Path],
    policy: Policy,
    study_instance_uids: Sequence[str],
    *,
    most_headers: int = MOST_HEADERS,
    longest_s: float = LONGEST_S,
) -> Replay:
    """What `policy` would do with these studies. Late images and times of completion play no part: a study is taken as it is now.

    Raises:
        DatabaseUnavailableError: try again.
    """
    until, left, keywords = time.monotonic() + longest_s, most_headers, policy.keywords
    done: list[Replayed] = []
    for uid in study_instance_uids:
        if left <= 0:
            return Replay(tuple(done), f"{most_headers} headers were read")
        with begin_read(engine) as session:
            instances = session.scalars(_routable(uid).limit(min(MOST_OF_A_STUDY, left) + 1)).all()
            before = _happened(session, uid)
        after: dict[str, Reading] = {}
        looked = unreadable = 0
        chosen = instances[: min(MOST_OF_A_STUDY, left)]
        for one in chosen:
            if time.monotonic() > until:
                return Replay(tuple(done), f"{longest_s:.0f} s were over")
            looked += 1
            try:
                attributes = read_attributes(to_path(one.path), keywords)
            except (InputError, OSError):
                unreadable += 1
                continue
            attributes.setdefault("TransferSyntaxUID", (one.transfer_syntax_uid,))
            origin = Origin(Via(one.via), one.source, one.calling_ae, one.called_ae, one.peer_address)
            for placement in decide(policy, attributes, origin).placements:
                rule, refusal = placement.rule, placement.refusal
                kept = after.get(rule.model)
                if kept is None or (refusal is None and not kept.reads):
                    kinds = {to.name: to.kinds or tuple(ResultKind) for to in rule.destinations}
                    sent = _sent(kinds, reads=refusal is None, reports=rule.report_not_eligible)
                    after[rule.model] = Reading(rule.model, rule.name, refusal is None, str(refusal.reason) if refusal else "", sent)
        left -= looked
        would = tuple(after[model] for model in sorted(after))
        done.append(Replayed(uid, looked, len(instances) - len(chosen), unreadable, before, would, tuple(changes(before, would))))
    return Replay(tuple(done))


def _routable(uid: str) -> Select[Instance]:
    ours = (Instance.study_instance_uid == uid, Instance.via != Via.RETRIEVE)  # what an archive was asked for is read by no rule
    return select(Instance).where(*ours).order_by(Instance.id)


def _happened(session: Session, uid: str) -> tuple[Reading, ...]:
    """The newest job of each model on the study."""
    found: dict[str, Reading] = {}
    standing = (Job.study_instance_uid == uid, Job.state != JobState.SUPERSEDED)
    for job in session.scalars(select(Job).where(*standing).order_by(Job.id)):
        reads = job.state != JobState.NOT_ELIGIBLE
        if not reads and job.model in found and found[job.model].reads:
            continue
        sent = _sent({one["name"]: one["kinds"] for one in job.destinations}, reads=reads, reports=job.report_not_eligible)
        found[job.model] = Reading(job.model, job.rule, reads, "" if reads else job.cause or "", sent)
    return tuple(found[model] for model in sorted(found))


def _sent(kinds: Mapping[str, Iterable[str]], *, reads: bool, reports: bool) -> tuple[str, ...]:
    """What goes where: of an image that is not eligible the structured report alone, if the rule wants that told."""
    possible = frozenset(ResultKind) if reads else frozenset({ResultKind.SR} if reports else ())
    wanted = {name: sorted(str(kind) for kind in of if kind in possible) for name, of in kinds.items()}
    return tuple(f"{name} ({', '.join(of)})" for name, of in sorted(wanted.items()) if of)


def changes(before: Sequence[Reading], after: Sequence[Reading]) -> list[str]:
    """In words, what would be different."""
    then, would = {one.model: one for one in before}, {one.model: one for one in after}
    found = []
    for model in sorted(then.keys() | would.keys()):
        was, now = then.get(model), would.get(model)
        if now is not None and now.reads and (was is None or not was.reads):
            found.append(f"{model} would read it")
        elif was is not None and was.reads and (now is None or not now.reads):
            found.append(f"{model} would no longer read it" + (f" ({now.reason})" if now is not None and now.reason else ""))
        else:
            sent = now.destinations if now is not None else ()
            if sent != (was.destinations if was is not None else ()):
                what = f"results of {model}" if now is not None and now.reads else f"why {model} does not read it"
                found.append(f"{what} would go to {', '.join(sent) or 'nobody'}")
            if was is not None and now is not None and was.rule != now.rule:
                found.append(f"rule {now.rule} instead of {was.rule}")
    return found
