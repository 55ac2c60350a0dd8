"""Files made to do harm: they are turned down in words, soon, and with little memory."""

from __future__ import annotations

import builtins
import io
import random
import socket
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from lab.errors import UploadError
from lab.music.melody import HIGHEST_PITCH, LOWEST_PITCH
from lab.music.upload import MAX_NOTES, read_upload
from lab.music.upload_parts import BROKEN, TOO_LARGE, TOO_MANY
from tests.lab.music.files import (
    C_MAJOR,
    TUNES,
    as_midi,
    as_xml,
    attributes,
    midi,
    packed,
    read,
    run_of,
    score,
    track,
    xml_note,
)


def smf(*tracks: bytes, division: int = 480, count: int | None = None) -> bytes:
    """A standard MIDI file of raw tracks."""
    head = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks) if count is None else count, division)
    return head + b"".join(b"MTrk" + struct.pack(">I", len(raw)) + raw for raw in tracks)


def renamed(archive: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new) and old in archive
    return archive.replace(old, new)


def lying(archive: bytes, true: int, told: int) -> bytes:
    """An archive that tells another size than it unpacks to."""
    return renamed(archive, struct.pack("<I", true), struct.pack("<I", told))


def laughs() -> bytes:
    lines = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return score([attributes() + "&l9;"], doctype=f'<!DOCTYPE lolz [<!ENTITY l0 "ha">{lines}]>')


def nested(tag: str) -> bytes:
    """A score whose twenty thousand notes lie within 44 parts, or measures, each within the one before."""
    whole = score([attributes() + xml_note(60, 8) * 19_999]).replace(b' id="P0"', b"")
    opening, closing = f"<{tag}>".encode(), f"</{tag}>".encode()
    return whole.replace(opening, opening * 44).replace(closing, closing * 44)


ON, OFF = b"\x00\x90\x3c\x40", b"\x60\x80\x3c\x40"
GOOD = as_midi(*TUNES[0][::2][:2])
BIG = b"<score-partwise>" + b" " * 6_000_000 + b"</score-partwise>"
SUBSET = '<!DOCTYPE score-partwise [<!ATTLIST note x CDATA "%s">]>' % ("y" * 100_000)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"Freude, schoener Goetterfunken\n" * 100,
    "png": lambda: b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "random": lambda: random.Random(1).randbytes(100_000),
    "100 MB": lambda: b"MThd" + bytes(100_000_000),
    "midi: header alone": lambda: b"MThd",
    "midi: zeros": lambda: b"MThd" + bytes(1_000_000),
    "midi: ones": lambda: b"MThd" + b"\xff" * 1_900_000,
    "midi: no tracks": lambda: smf(),
    "midi: tracks promised": lambda: smf(count=65535),
    "midi: no notes": lambda: smf(b"\x00\xff\x2f\x00"),
    "midi: drums alone": lambda: midi(track(run_of(C_MAJOR), channel=9)),
    "midi: cut short": lambda: GOOD[: len(GOOD) // 2],
    "midi: cut in a chunk's head": lambda: GOOD[:18],
    "midi: zero ticks per quarter": lambda: smf(ON + OFF, division=0),
    "midi: SMPTE": lambda: smf(ON + OFF, division=0xE728),
    "midi: absurd delta": lambda: smf(ON + b"\xff\xff\xff\x7f\x80\x3c\x40", division=1),
    "midi: absurd deltas": lambda: smf((ON + b"\xff\xff\xff\x7f\x80\x3c\x40") * 5000, division=1),
    "midi: endless number": lambda: smf(b"\xff" * 1_900_000),
    "midi: number of 2 MB": lambda: smf(b"\x81" * 1_900_000 + b"\x00"),
    "midi: running status from nothing": lambda: smf(b"\x00\x3c\x40" * 1000),
    "midi: undefined status": lambda: smf(ON + b"\x00\xf4\x00"),
    "midi: data beyond 127": lambda: smf(b"\x00\x90\xff\xff"),
    "midi: meta longer than its track": lambda: smf(b"\x00\xff\x01\xff\xff\xff\x7f"),
    "midi: sysex longer than its track": lambda: smf(b"\x00\xf0\xff\xff\xff\x7f"),
    "midi: chunk of 4 GB": lambda: smf(ON)[:-8] + b"\xff\xff\xff\xff" + ON,
    "midi: header of 4 GB": lambda: b"MThd\xff\xff\xff\xff" + GOOD[8:],
    "midi: too many events": lambda: smf(b"\x00\x90\x3c\x40" + b"\x00\x3c\x40" * 600_000),
    "midi: too many empty tracks": lambda: smf(*[b""] * 65535),
    "xml: not well-formed": lambda: score([attributes()])[:-20],
    "xml: HTML": lambda: b"<!DOCTYPE html><html><body><p>404</body></html>",
    "xml: SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "xml: timewise": lambda: score([attributes()]).replace(b"partwise", b"timewise"),
    "xml: no notes": lambda: score([attributes() + xml_note(None, 32)]),
    "xml: no parts": lambda: score(),
    "xml: drums alone": lambda: score([attributes() + "<note><unpitched/><duration>8</duration></note>"]),
    "xml: billion laughs": laughs,
    "xml: external entity": lambda: score(["&x;"], doctype='<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    "xml: parameter entity": lambda: score([], doctype='<!DOCTYPE s [<!ENTITY % x SYSTEM "http://localhost/"> %x;]>'),
    "xml: undeclared entity": lambda: score([attributes() + "&nbsp;"]),
    "xml: default attributes": lambda: score([attributes() + xml_note(60, 8) * 9000], doctype=SUBSET),
    "xml: nested": lambda: b"<a>" * 100_000 + b"</a>" * 100_000,
    "xml: nested and left open": lambda: b"<score-partwise>" + b"<part>" * 300_000,
    "xml: nested parts with notes": lambda: nested("part"),
    "xml: nested measures with notes": lambda: nested("measure"),
    "xml: too many elements": lambda: b"<score-partwise>" + b"<a/>" * 490_000 + b"</score-partwise>",
    "xml: too many notes": lambda: score([attributes() + "<note/>" * 20_001]),
    "xml: many attributes": lambda: b"<a " + b" ".join(b'a%d=""' % n for n in range(180_000)) + b"/>",
    "xml: an endless name": lambda: b"<" + b"a" * 1_900_000,
    "xml: UTF-16": lambda: as_xml(*TUNES[0][:2]).decode().replace("UTF-8", "UTF-16").encode("utf-16"),
    "xml: UTF-16 without a mark": lambda: score([attributes()]).decode().encode("utf-16-le"),
    "xml: unknown encoding": lambda: b'<?xml version="1.0" encoding="rot13"?><a/>',
    "xml: codec of bytes": lambda: b'<?xml version="1.0" encoding="zlib"?><a/>',
    "xml: bytes that are no UTF-8": lambda: b"<score-partwise>\xff\xfe</score-partwise>",
    "xml: divisions of 0": lambda: score([attributes(divisions=0) + xml_note(60, 8)]),
    "xml: divisions nan": lambda: score([attributes(divisions=float("nan")) + xml_note(60, 8)]),
    "xml: a note for ever": lambda: score([attributes() + xml_note(60, 1e6)]),
    "xml: infinite": lambda: score([attributes() + xml_note(60, float("inf"))]),
    "xml: 1e999999999": lambda: score([attributes() + xml_note(60, 8).replace(">8<", ">1e999999999<")]),
    "xml: no such step": lambda: score([attributes() + xml_note(60, 8).replace(">C<", ">X<")]),
    "xml: octave of digits": lambda: score([attributes() + xml_note(60, 8).replace(">4<", f">{'9' * 5000}<")]),
    "xml: beats of digits": lambda: score([attributes("9" * 5000 + "/4") + xml_note(60, 8)]),
    "xml: negative duration": lambda: score([attributes() + xml_note(60, -8)]),
    "mxl: cut short": lambda: packed(score([attributes()]))[:100],
    "mxl: head alone": lambda: b"PK\x03\x04",
    "mxl: bomb": lambda: packed(BIG),
    "mxl: bomb that tells a small size": lambda: lying(packed(BIG), len(BIG), 1000),
    "mxl: bomb in bzip2": lambda: packed(b" " * 10_000_000, method=zipfile.ZIP_BZIP2),
    "mxl: bomb in LZMA": lambda: packed(b" " * 10_000_000, method=zipfile.ZIP_LZMA),
    "mxl: bzip2 that tells a small size": lambda: lying(packed(BIG, method=zipfile.ZIP_BZIP2), len(BIG), 1000),
    "mxl: container too large": lambda: packed(b" " * 200_000, "META-INF/container.xml", container=False),
    "mxl: nothing in it": lambda: packed(b"x", "readme.txt", container=False),
    "mxl: names another": lambda: renamed(packed(b"x", "a.txt", method=zipfile.ZIP_STORED), b'"a.txt"', b'"b.xml"'),
    "mxl: climbing path": lambda: packed(b"x", "../../../../tmp/climbed.xml"),
    "mxl: encrypted": lambda: packed(b"x").replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    ),
    "mxl: laughs": lambda: packed(laughs()),
    "mxl: many entries": lambda: many_entries(),
}


def many_entries() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(5000):
            archive.writestr(f"{number}.xml", b"")
    return buffer.getvalue()


@pytest.mark.parametrize("case", HOSTILE)
def test_harm_is_turned_down_in_words(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = HOSTILE[case]()

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("an upload touched the disk or the network")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", forbidden)
        patch.setattr(builtins, "open", forbidden)
        patch.setattr(io, "open", forbidden)
        patch.setattr("logging.Logger.warning", lambda *_, **__: None)  # which reads source files for its trace
        begin = time.process_time()
        with pytest.raises(UploadError) as caught:
            read_upload(data, "tune.mid")
        taken = time.process_time() - begin
    assert taken < 3
    message = str(caught.value)
    assert message[0].isupper() and message.endswith(".") and "Please" in message and len(message) < 200


@pytest.mark.parametrize(
    "case",
    [
        "mxl: bomb",
        "mxl: bomb that tells a small size",
        "mxl: bzip2 that tells a small size",
        "xml: default attributes",
        "midi: number of 2 MB",
        "xml: billion laughs",
    ],
)
def test_harm_takes_little_memory(case: str) -> None:
    data = HOSTILE[case]()
    tracemalloc.start()
    try:
        with pytest.raises(UploadError):
            read_upload(data, "tune")
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("case", "message"),
    [("100 MB", TOO_LARGE), ("mxl: bomb", TOO_LARGE), ("midi: too many events", TOO_MANY), ("midi: cut short", BROKEN)],
)
def test_messages_fit_the_harm(case: str, message: str) -> None:
    with pytest.raises(UploadError, match=message[:30]):
        read(HOSTILE[case]())


def test_the_message_minds_a_misleading_name() -> None:
    with pytest.raises(UploadError, match="In spite of its name"):
        read(HOSTILE["png"](), "song.MID")
    with pytest.raises(UploadError, match="The file holds no MIDI"):
        read(HOSTILE["png"](), "song.png")


def test_damage_gives_a_melody_or_words_and_nothing_else() -> None:
    """Bytes changed, dropped or doubled at random places."""
    chooser = random.Random(2)
    wholes = [GOOD, as_xml(*TUNES[1][:2]), packed(as_xml(*TUNES[1][:2])), as_midi(TUNES[3][0], "Em")]
    for number in range(1500):
        data = bytearray(wholes[number % 4])
        for _ in range(chooser.randint(1, 6)):
            place = chooser.randrange(len(data))
            if chooser.random() < 0.6:
                data[place] = chooser.randrange(256)
            elif chooser.random() < 0.5:
                del data[place : place + chooser.randint(1, 30)]
            else:
                data[place:place] = data[place : place + chooser.randint(1, 30)]
        try:
            upload = read(bytes(data))
        except UploadError:
            continue
        assert 0 < len(upload.melody.notes) <= MAX_NOTES
        assert all(LOWEST_PITCH <= p <= HIGHEST_PITCH for p in upload.melody.pitches)
        assert all(n.duration > 0 for n in upload.melody.notes) and 0 <= upload.melody.pickup < upload.melody.meter.bar


def test_odd_but_honest_midi() -> None:
    """Running status across a meta event, chunks of other kinds, notes never ended, an odd key signature."""
    body = (
        b"\x00\xff\x59\x02\x10\x05"
        + ON
        + b"\x60\xff\x01\x01x"
        + b"\x00\x3c\x00"
        + b"\x00\x90\x40\x40"
        + b"\x60\xff\x2f\x00"
    )
    data = smf(body, division=96)
    data = data[:14] + b"XFIH\x00\x00\x00\x03abc" + data[14:] + b"trailing"
    assert [(n.pitch, n.duration) for n in read(data).melody.sounding().notes] == [(60, 8), (64, 8)]


def test_an_ordinary_file_is_read_at_once() -> None:
    bars = [attributes() + "".join(xml_note(p, 4) for p in C_MAJOR)] + ["".join(xml_note(p, 4) for p in C_MAJOR)] * 49
    data = score(*[bars] * 4)
    begin = time.process_time()
    read(data)
    assert time.process_time() - begin < 1
