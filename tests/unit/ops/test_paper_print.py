"""From a packet or its shares to paper, through a bad scan, and back into the packet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import escrow_samples as samples
import pypdfium2
import pytest
from generators.headers import luks2_image
from PIL import Image, ImageFilter

from luksafe.errors import DamagedInput, Refused, UsageError
from luksafe.escrow.packet import Packet, open_packet, read_packet, seal
from luksafe.escrow.recipients.age import parse_identities, parse_recipient
from luksafe.escrow.share_file import render_share
from luksafe.escrow.sharing import ShareCollector, split_passphrase
from luksafe.luks.inspection import inspect
from luksafe.ops.paper_print import kind_of, make_content, print_sheet
from luksafe.ops.sheet_packet import packet_facts, subject_of_packet
from luksafe.ops.sheet_subject import SheetSubject
from luksafe.paper.scan import read_scans
from luksafe.paper.sheet import SheetKind
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

CONTENTS = samples.contents()
SPLIT = split_passphrase(3, 5, lambda count: bytes(range(count)))


def age_packet() -> Packet:
    recipient = parse_recipient(str(samples.age_identity().to_public()))
    return seal(CONTENTS, [recipient], bytes)


def bad_scans(pdf: Path, folder: Path) -> None:
    """Each page as a picture: turned by 3 degrees, blurred, JPEG of quality 40."""
    document = pypdfium2.PdfDocument(pdf)
    for number, page in enumerate(document):
        image = page.render(scale=200 / 72, grayscale=True).to_pil()
        image = image.rotate(3, expand=True, fillcolor=255, resample=Image.Resampling.BICUBIC)
        image.filter(ImageFilter.GaussianBlur(1.2)).save(folder / f"{pdf.stem}-{number}.jpg", quality=40)
    document.close()


def test_a_packet_through_a_bad_scan(tmp_path: Path) -> None:
    packet = age_packet()
    assert packet.public is not None
    assert len(packet.sealed) < 2048
    payload = SecretBytes(packet.sealed)
    assert kind_of(payload) is SheetKind.PACKET
    subject = subject_of_packet(packet.sealed, packet.public.to_bytes())
    content = make_content(payload, SheetKind.PACKET, subject)
    printed = print_sheet(content, tmp_path / "sheet.pdf")
    assert printed.is_new
    (tmp_path / "scans").mkdir()
    bad_scans(printed.path, tmp_path / "scans")
    sealed = read_scans([tmp_path / "scans"]).only().payload().payload.reveal()
    opened = open_packet(read_packet(sealed), parse_identities(str(samples.age_identity())))
    assert opened.contents.volume == CONTENTS.volume
    assert opened.contents.secrets[0].value == CONTENTS.secrets[0].value


def test_three_of_five_share_sheets(tmp_path: Path) -> None:
    packet = seal(CONTENTS, [SPLIT.recipient], bytes, SPLIT.public)
    assert packet.public is not None
    (tmp_path / "scans").mkdir()
    for share in (SPLIT.shares[4], SPLIT.shares[0], SPLIT.shares[2]):
        file = SecretBytes(render_share(share, packet.public))
        assert kind_of(file) is SheetKind.SHARE
        content = make_content(file, SheetKind.SHARE)
        assert ("Share", f"number {share.number} of set {share.share_set}") in content.parameters
        assert any(packet.public.uuid in text for _, text in content.parameters)
        bad_scans(print_sheet(content, tmp_path / f"share{share.number}.pdf").path, tmp_path / "scans")
    collector = ShareCollector(packet.public.shares)
    scan = read_scans([tmp_path / "scans"])
    assert len(scan.sheets) == 3
    for parts in scan.sheets.values():
        assert parts.payload().kind is SheetKind.SHARE
        collector.add(parts.payload().payload.reveal().decode())
    opened = open_packet(packet, [collector.passphrase()])
    assert opened.contents.secrets[0].value == CONTENTS.secrets[0].value


def test_the_public_part_is_on_the_sheet() -> None:
    packet = seal(CONTENTS, [SPLIT.recipient], bytes, SPLIT.public)
    assert packet.public is not None
    facts = dict(packet_facts(packet.public))
    assert facts["Packet"] == "0123456789abcdef, made 2026-11-02 10:00 UTC"
    assert facts["Holds"] == "passphrase, volume-key"
    assert facts["Shares"] == f"any 3 of 5, set {SPLIT.public.share_set}"
    subject = subject_of_packet(packet.sealed, packet.public.to_bytes())
    assert subject.opens == (("Volume", samples.UUID), ("Host", "laptop-0042.example.org"))
    assert subject.header is None


def test_packet_and_volume_belong_together() -> None:
    packet = age_packet()
    assert packet.public is not None
    public = packet.public.to_bytes()
    header = inspect(BytesReader(luks2_image())).require_header()
    other = SheetSubject("other", (), (), header)
    with pytest.raises(UsageError, match="--opens names volume"):
        subject_of_packet(packet.sealed, public, other)
    same = SheetSubject("nas", (("Label", "x"),), (("Cipher", "y"),), replace(header, uuid=samples.UUID))
    subject = subject_of_packet(packet.sealed, public, same)
    assert (subject.name, subject.opens) == ("nas", (("Label", "x"),))
    assert [label for label, _ in subject.parameters][-1] == "Cipher"
    with pytest.raises(DamagedInput, match="not the one"):
        subject_of_packet(packet.sealed + b"x", public)


def test_words_that_are_no_share_are_refused() -> None:
    words = list(SPLIT.shares[0].words)
    words[7], words[8] = words[8], words[7]
    with pytest.raises(DamagedInput):
        make_content(SecretBytes(" ".join(words).encode()), SheetKind.SHARE)


def test_what_is_no_packet_is_refused() -> None:
    with pytest.raises(DamagedInput, match="no sealed packet"):
        make_content(SecretBytes(b"hello"), SheetKind.PACKET)


def test_the_same_sheet_is_not_written_twice_and_another_never_over_it(tmp_path: Path) -> None:
    share = make_content(SPLIT.shares[0].text, SheetKind.SHARE)
    path = tmp_path / "sheet.pdf"
    assert print_sheet(share, path).is_new
    assert not print_sheet(share, path).is_new
    with pytest.raises(Refused, match="exists already"):
        print_sheet(make_content(SPLIT.shares[1].text, SheetKind.SHARE), path)
    assert not print_sheet(share, path).is_new


def test_a_sheet_that_does_not_read_back_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_content(SPLIT.shares[1].text, SheetKind.SHARE)
    print_sheet(other, tmp_path / "other.pdf")
    found = read_scans([tmp_path / "other.pdf"])
    monkeypatch.setattr("luksafe.ops.paper_print.read_scans", lambda paths, sheet_id: found)
    with pytest.raises(DamagedInput, match="does not read back"):
        print_sheet(make_content(SPLIT.shares[0].text, SheetKind.SHARE), tmp_path / "sheet.pdf")
    assert not (tmp_path / "sheet.pdf").exists()
