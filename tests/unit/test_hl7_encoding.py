"""HL7 v2 bytes: frames out of any stream, characters out of any set, fields out of any message; never another error than ours."""

from __future__ import annotations

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptx_node.inbound.hl7_charset import decode
from ptx_node.inbound.hl7_frames import Frame, FrameReader, Wrong, framed
from ptx_node.inbound.hl7_message import HeaderError, Message, parse

HEAD = b"MSH|^~\\&|RIS|HOSPITAL|PTX|NODE|20260301120000||ORU^R01|%s|P|2.5"


def message(text: bytes, *, charset: bytes = b"", end: bytes = b"\r") -> bytes:
    head = HEAD % b"1" + b"|" * 6 + charset
    return end.join([head, b"PID|1||123^^^HOSPITAL^MR~77^^^&1.2.3&ISO^SS", b"OBX|1|TX|18782-3||" + text, b""])


def frames_of(*pieces: bytes, max_bytes: int = 1000) -> list[Frame]:
    reader = FrameReader(max_bytes=max_bytes)
    found = [frame for piece in pieces for frame in reader.feed(piece)]
    return found + reader.close()


def text_of(data: bytes, **options: str) -> str:
    read = parse(data, **options)
    return read.value(read.first("OBX"), 5)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (framed(b"MSH|a\r") + framed(b"MSH|b\r"), [b"MSH|a\r", b"MSH|b\r"]),
        (b"noise\n" + framed(b"MSH|a\r") + b"\r\n\x00\x1c" + framed(b"MSH|b\r"), [b"MSH|a\r", b"MSH|b\r"]),
        (b"\x0bMSH|a\r\x1c\x0bMSH|b\r\x1c\r", [b"MSH|a\r", b"MSH|b\r"]),
        (b"MSH|a\r\x1c\rMSH|b\r\x1c\r", [b"MSH|a\r", b"MSH|b\r"]),
        (b"\x0b\x0bMSH|a\r\x1c", [b"MSH|a\r"]),
    ],
    ids=["two", "garbage", "no carriage return", "no start block", "two starts"],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_are_found_however_they_are_cut_and_wrapped(stream: bytes, expected: list[bytes], size: int) -> None:
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [Frame(content) for content in expected] == frames_of(*pieces)


def test_a_message_without_its_end_block_is_given_and_said_to_be_so() -> None:
    """It is whole as far as anybody can tell; a person sees that it may not be."""
    assert [Frame(b"MSH|a\r", Wrong.UNENDED), Frame(b"MSH|b\r")] == frames_of(b"\x0bMSH|a\r", framed(b"MSH|b\r"))
    assert [Frame(b"MSH|a\r", Wrong.UNENDED)] == frames_of(b"\x0bMSH|a\r")


def test_a_message_that_breaks_off_inside_a_segment_is_said_to_be_cut_off() -> None:
    """Half a report may say the opposite of the whole: it is never taken for one."""
    assert [Frame(b"MSH|a\rOBX|1|TX|||no pneu", Wrong.CUT_OFF), Frame(b"MSH|b\r")] == frames_of(
        b"\x0bMSH|a\rOBX|1|TX|||no pneu", framed(b"MSH|b\r")
    )


def test_a_message_that_is_too_large_is_reported_once_with_its_beginning_and_the_next_is_read() -> None:
    reader = FrameReader(max_bytes=10)
    found = [frame for _ in range(1000) for frame in reader.feed(b"\x0bMSH|" if not reader.inside else b"x" * 100)]
    found += reader.feed(b"\x1c\r" + framed(b"MSH|b\r"))
    assert [Frame(b"MSH|xxxxxx", Wrong.TOO_LARGE), Frame(b"MSH|b\r")] == found


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_stream_breaks_the_reader(pieces: list[bytes]) -> None:
    reader = FrameReader(max_bytes=50)
    for piece in pieces:
        for frame in reader.feed(piece):
            assert len(frame.content) <= 50
    reader.close()
    assert [Frame(b"MSH|z\r")] == reader.feed(framed(b"MSH|z\r"))


@given(st.lists(st.binary(max_size=60).filter(lambda b: b and not {0x0B, 0x1C} & set(b)), min_size=1, max_size=5), st.data())
def test_whatever_the_packets_the_messages_are_the_same(contents: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(framed(content) for content in contents)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [Frame(content) for content in contents] == frames_of(*pieces)


FRENCH = "Décollement pleural gauche, œdème — 5 µm"


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("8859/15", "iso8859_15"),
        ("UNICODE UTF-8", "utf_8"),
        ("WINDOWS-1252", "cp1252"),
        ("GB 18030-2000", "gb18030"),
        ("", "utf_8"),
    ],
)
def test_the_declared_character_set_is_believed(charset: str, codec: str) -> None:
    text = FRENCH.replace("—", "-") if codec.startswith("iso") else FRENCH
    read = parse(message(text.encode(codec), charset=charset.encode()))
    assert text == read.value(read.first("OBX"), 5)
    assert not read.doubtful


def test_latin_1_in_french() -> None:
    read = parse(message("Épanchement gazeux à droite".encode("latin-1"), charset=b"8859/1"))
    assert "Épanchement gazeux à droite" == read.value(read.first("OBX"), 5)
    assert not read.doubtful


def test_japanese_in_its_own_set() -> None:
    text = "気胸なし"
    read = parse(message(text.encode("iso2022_jp"), charset=b"ISO IR87"))
    assert text == read.value(read.first("OBX"), 5)


@pytest.mark.parametrize(
    ("charset", "configured", "data", "text", "doubtful"),
    [
        (b"", "8859/1", "à gauche".encode("latin-1"), "à gauche", False),
        (b"", "", "à gauche".encode("latin-1"), "à gauche", True),
        (b"UNICODE UTF-8", "8859/1", "à gauche".encode("latin-1"), "à gauche", False),
        (b"UNICODE UTF-8", "", "à gauche".encode("latin-1"), "à gauche", True),
        (b"ASCII", "", "à gauche".encode(), "à gauche", True),
        (b"8859/1", "", "l\u2019œdème".encode("cp1252"), "l\u2019œdème", True),
        (b"8859/1", "", "à gauche".encode(), "Ã\xa0 gauche", True),
        (b"XYZ/9", "", b"caf\xe9 \x81", "café \x81", True),
    ],
    ids=[
        "configured",
        "windows-1252",
        "declared wrongly, configured",
        "declared wrongly",
        "not ASCII",
        "not quite Latin-1",
        "UTF-8 that says Latin-1",
        "unknown",
    ],
)
def test_what_does_not_fit_goes_down_the_ladder_and_is_flagged(
    charset: bytes, configured: str, data: bytes, text: str, *, doubtful: bool
) -> None:
    read = parse(message(data, charset=charset), charset=configured)
    assert text == read.value(read.first("OBX"), 5)
    assert doubtful == read.doubtful


@given(st.binary(max_size=200), st.sampled_from(["", "ASCII", "8859/1", "UNICODE UTF-8", "ISO IR87", "GB 18030-2000", "BIG-5", "nonsense"]))
def test_every_byte_becomes_text(data: bytes, name: str) -> None:
    read = decode(data, [name])
    assert read.text or not data


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_every_line_end_ends_a_segment(end: bytes) -> None:
    assert "no pneumothorax" == text_of(message(b"no pneumothorax", end=end))


@pytest.mark.parametrize(
    ("escaped", "meant"),
    [
        (rb"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (rb"one\.br\two\.sp2\three", "one\ntwo\n\nthree"),
        (rb"\H\loud\N\ \.in+4\\.ti-2\plain", "loud plain"),
        (rb"caf\XC3A9\ \XE9\ ", "café é"),
        (rb"C:\dir\file", r"C:\dir\file"),
        (rb"5 \ 6", "5 \\ 6"),
        (rb"\Zlocal\ \X4\ \F\ ", "\\Zlocal\\ \\X4\\ |"),
        (rb'""', ""),
        (b"nul \\X00\\ nul", "nul \ufffd nul"),
    ],
)
def test_escapes(escaped: bytes, meant: str) -> None:
    assert meant == text_of(message(escaped))


def test_repetitions_components_and_subcomponents_agree_with_another_parser() -> None:
    data = message(b"text")
    ours, theirs = parse(data), hl7.parse(data.decode())
    pid = ours.first("PID")
    assert pid is not None
    first, second = ours.repetitions(pid, 3)
    assert [theirs["PID.F3.R1.C1"], theirs["PID.F3.R1.C4"], theirs["PID.F3.R1.C5"]] == [ours.part(first, n) for n in (1, 4, 5)]
    assert theirs["PID.F3.R2.C4.S2"] == ours.part(second, 4, 2)
    assert theirs["MSH.F9.R1.C2"] == ours.value(ours.header, 9, 2)


def test_delimiters_are_those_of_the_header() -> None:
    read = parse(b"MSH#*!%$#RIS#H\rPID#1##9***A$B*MR!8\rOBX#1#TX###a%F%b\r")
    pid = read.first("PID")
    assert pid is not None
    assert ["9", "8"] == [read.part(one) for one in read.repetitions(pid, 3)]
    assert "B" == read.value(pid, 3, 4, 2)
    assert "a#b" == read.value(read.first("OBX"), 5)


def test_text_that_somebody_broke_over_lines_stays_whole() -> None:
    assert "first\nsecond line\nthird" == text_of(message(b"first\nsecond line\nthird"))


@pytest.mark.parametrize("data", [b"", b"PID|1", b"MSH", b"MSH|", b"MSH|^^^^|", b"MSHabcdef", b"MSH|\x01\x02\x03\x04|", b"\xff\xfe"])
def test_a_message_without_a_readable_header_is_one_error(data: bytes) -> None:
    with pytest.raises(HeaderError):
        parse(data)


def read_everything(read: Message) -> None:
    for segment in read.segments:
        for number in range(len(segment.fields)):
            for repetition in read.repetitions(segment, number):
                for component in range(1, 1 + len(read.components(repetition))):
                    read.part(repetition, component).encode()


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda tail: HEAD + b"|" * 6 + tail)))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    try:
        read_everything(parse(data))
    except HeaderError:
        return


@given(st.text(alphabet="|^~\\&FSTREX.br0A\r\nOBXMSH ", max_size=200))
def test_no_mixture_of_delimiters_breaks_the_parser(tail: str) -> None:
    read_everything(parse(HEAD % b"1" + b"\r" + tail.encode()))
