"""What HL7 messages say, from any content: reports and merges, or one error of ours with its place."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptx_node.domain.radiology_report import PatientIdentity
from ptx_node.inbound.hl7_acknowledge import Answer, Outcome, acknowledgements
from ptx_node.inbound.hl7_fields import Place, place, read_time
from ptx_node.inbound.hl7_message import parse
from ptx_node.inbound.hl7_reports import ContentError, merges, reports
from ptx_node.settings import Hl7Fields, Hl7Sender
from tests.hl7_sender import adt, oru

PARIS = ZoneInfo("Europe/Paris")
RIS = Hl7Sender(name="ris", authority="hospital")

VALUES = st.one_of(
    st.sampled_from(["", "TX", "ED", "FT", "F", "P", "X", "D", "1", "R1^x", "1^^^H&1.2&ISO^MR~2", "20260301113000", "99991231235959+0000"]),
    st.sampled_from(["00010101000000-1400", "20260301120060", "^application^pdf^Base64^JVBERi0=", "^TEXT^html^A^<p>x", "a\\X41\\b\\F\\"]),
    st.text(alphabet="|^~&\\.brX0A9 é\x00", max_size=12),
)
SEGMENTS = st.builds(
    lambda name, values: "|".join([name, *values]),
    st.sampled_from(["PID", "ORC", "OBR", "OBX", "MRG", "ZDS", "NTE", "EVN", "QQQ"]),
    st.lists(VALUES, max_size=26),
)


@given(st.lists(SEGMENTS, max_size=12), st.sampled_from(["R01", "A40", "A24", "A37", ""]))
def test_no_content_breaks_the_readers(segments: list[str], event: str) -> None:
    head = f"MSH|^~\\&|RIS|H|PTX|N|2026||ORU^{event}|1|P|2.5"
    message = parse("\r".join([head, *segments, ""]).encode())
    for read in (lambda: reports(message, RIS, PARIS), lambda: merges(message, event, RIS)):
        try:
            found = read()
        except ContentError:
            continue
        assert found
    (answer,) = acknowledgements(message, Answer(Outcome.ERROR, "a|b\r^c", "101", "PID^1^3"), PARIS)
    assert "AE" == parse(answer).value(parse(answer).first("MSA"), 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("OBR-18", Place("OBR", 18)),
        ("PID-3.4.2", Place("PID", 3, 4, 2)),
        ("OBX[113014]-5", Place("OBX", 5, code="113014")),
    ],
)
def test_places_are_read(text: str, expected: Place) -> None:
    assert expected == place(text)


@pytest.mark.parametrize("text", ["OBR", "obr-1", "OBR-1.2.3.4", "OBR-x", "OBX[]-5"])
def test_what_is_no_place_is_refused_by_the_settings_too(text: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        place(text)
    with pytest.raises(ValueError, match="pattern"):
        Hl7Fields(report=(text,))


@given(st.text(alphabet="0123456789+-. ", max_size=26))
def test_no_time_breaks_the_reader(value: str) -> None:
    read_time(value, PARIS)


def test_merges_name_each_prior_number_and_what_takes_its_place() -> None:
    (one, two) = merges(parse(adt("A40", "9^^^HOSPITAL^MR~77^^^STATE^SS", "1^^^HOSPITAL^MR~78^^^STATE^SS", control_id="1")), "A40", RIS)
    assert ("1", "9", "78", "77") == (one.prior.value, one.surviving.value, two.prior.value, two.surviving.value)
    (parted,) = merges(parse(adt("A37", "9", "1", control_id="1")), "A37", RIS)
    assert (PatientIdentity("hospital", "", "1"), True) == (parted.prior, parted.undo)


def test_two_orders_with_one_report_are_one_version() -> None:
    """Some systems send the parts of a report, or its procedures, each under an OBR with the same number."""
    second = oru("And the second.", order="R1").split(b"\rORC", 1)[1]
    (version,) = reports(parse(oru("First part.") + b"ORC" + second), RIS, PARIS)
    assert "First part.\n\nAnd the second." == version.text
