"""The audit trail's format: what a stranger needs, and no code of ours, to follow the chain."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from ptx_node.domain.audit import START, AuditKind, Event, Link, chain, check, peer, pixel_sha256
from ptx_node.domain.image import Radiograph, Volume

MOMENT = datetime(2026, 11, 21, 14, 5, 6, 70000, tzinfo=UTC)
EVENTS = [
    Event(AuditKind.RECEIPT, peer("CT1", "10.0.0.5"), {"sop_instance_uid": "1.2.3", "size_bytes": 524288}),
    Event(AuditKind.DECISION, "user zoé", {"what": "suspend", "reason": 'line\nbreak "and quotes"', "jobs": [1, 2]}),
    Event(AuditKind.INFERENCE, "node", {"probability": 0.1, "threshold": None}),
]


def test_the_bytes_that_are_hashed_never_change() -> None:
    """A trail of years is verified by later versions: this text is the format."""
    first = chain(START, EVENTS[:1], MOMENT)[0]
    expected = (
        '{"actor":"peer CT1@10.0.0.5","detail":{"size_bytes":524288,"sop_instance_uid":"1.2.3"},"kind":"receipt",'
        '"previous_sha256":"0000000000000000000000000000000000000000000000000000000000000000",'
        '"recorded_at":"2026-11-21T14:05:06.070000Z","sequence":1}'
    )
    assert expected == first.body
    assert hashlib.sha256(expected.encode()).hexdigest() == first.sha256


def test_a_stranger_follows_the_chain_with_a_hash_and_a_json_reader() -> None:
    before = "0" * 64
    for number, entry in enumerate(chain(START, EVENTS, MOMENT), start=1):
        assert entry.body.isascii()
        assert "\n" not in entry.body
        said = json.loads(entry.body)
        assert (number, before) == (said["sequence"], said["previous_sha256"])
        before = hashlib.sha256(entry.body.encode("ascii")).hexdigest()
        assert before == entry.sha256


def test_times_are_written_in_utc_whatever_the_zone() -> None:
    paris = MOMENT.astimezone(timezone(timedelta(hours=1)))
    assert chain(START, EVENTS, MOMENT) == chain(START, EVENTS, paris)


def test_appending_in_two_goes_is_appending_at_once() -> None:
    at_once = chain(START, EVENTS, MOMENT)
    assert at_once[1:] == chain(at_once[0].link, EVENTS[1:], MOMENT)


def test_an_unbroken_chain_passes() -> None:
    last = START
    for entry in chain(START, EVENTS, MOMENT):
        assert check(entry, last) is None
        last = entry.link


@pytest.mark.parametrize("value", [float("nan"), b"bytes", {1, 2}])
def test_what_is_no_json_is_refused_before_it_is_written(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        chain(START, [Event(AuditKind.LABEL, "node", {"value": value})], MOMENT)


def test_a_link_is_written_as_it_is_given_back() -> None:
    assert "3:abc" == str(Link(3, "abc"))


def test_the_pixel_hash_is_of_the_pixels_and_not_of_their_layout() -> None:
    rng = np.random.default_rng(1)
    image = rng.random((7, 5), dtype=np.float32)
    expected = hashlib.sha256(image.astype("<f4").tobytes()).hexdigest()
    for same in (image, np.asfortranarray(image), image.astype(">f4")):
        assert expected == pixel_sha256(Radiograph("1.2", same, None, None))
    hu = rng.integers(-1000, 1000, (3, 4, 5), dtype=np.int16)
    assert hashlib.sha256(hu.tobytes()).hexdigest() == pixel_sha256(Volume("1", ("1", "2", "3"), hu, None, None, None))
    changed = hu.copy()
    changed[1, 2, 3] += 1
    assert pixel_sha256(Volume("1", ("1", "2", "3"), hu, None, None, None)) != pixel_sha256(Volume("1", ("1",), changed, None, None, None))


def test_the_document_shows_a_true_trail_and_a_program_that_verifies_it() -> None:
    """What docs/audit-trail.md tells a stranger to do works on what it shows."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "audit-trail.md").read_text(encoding="utf-8")
    (trail,), (program,) = (re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL) for language in ("json", "python"))
    outcome = subprocess.run([sys.executable, "-c", program], input=trail, capture_output=True, text=True, check=True)
    said = [json.loads(line) for line in trail.splitlines()]
    last = START
    for one in said:
        event = Event(AuditKind(one["kind"]), one["actor"], one["detail"])
        (entry,) = chain(last, [event], datetime.fromisoformat(one["recorded_at"]))
        last = entry.link
    assert f"{last}\n" == outcome.stdout
    broken = trail.replace("service", "holiday").replace("1.2.3", "1.2.4")
    assert (
        "row 2 is broken"
        in subprocess.run([sys.executable, "-c", program], input=broken, capture_output=True, text=True, check=False).stderr
    )
