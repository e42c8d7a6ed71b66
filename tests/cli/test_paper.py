"""``luksafe paper``: sheets out of files and back, as a user does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import escrow_samples as samples
import pexpect
import pypdfium2
import pyrage
import pytest
import sheet_examples as examples
from generators.headers import UUID, VOLUME_KEY, luks2_image

from luksafe.cli.app import App
from luksafe.cli.main import main
from luksafe.escrow.packet import seal
from luksafe.escrow.recipients.age import parse_recipient
from luksafe.paper.sheet import Head, SheetKind
from luksafe.paper.text import lines_of
from luksafe.secret import SecretBytes

PACKET = b"age-encryption.org/v1\n-> X25519 " + examples.payload(1200).reveal()


@dataclass
class Ran:
    status: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Desk:
    """A folder; ``run`` runs luksafe there."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[bytes]) -> None:
        self.folder = folder
        self._capture = capture

    def run(self, *arguments: object) -> Ran:
        App._current = None
        self._capture.readouterr()
        command = ["luksafe", "--vault", str(self.folder / "vault"), "paper", *map(str, arguments)]
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as leave:
            patch.setattr(sys, "argv", command)
            main()
        out, err = self._capture.readouterr()
        assert b"Traceback" not in err
        return Ran(int(leave.value.code or 0), out, err.decode())

    def file(self, name: str, data: bytes) -> Path:
        (self.folder / name).write_bytes(data)
        return self.folder / name

    def disk(self) -> Path:
        return self.file("disk.img", luks2_image() + bytes(1 << 20))


@pytest.fixture
def desk(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, capfdbinary)


def rows(data: bytes, kind: SheetKind) -> list[str]:
    payload = SecretBytes(data)
    return [line.printed for line in lines_of(Head.of(kind, payload), payload)]


def text_of(path: Path) -> str:
    document = pypdfium2.PdfDocument(path)
    text = "\n".join(page.get_textpage().get_text_bounded() for page in document)
    document.close()
    return text


def test_a_packet_goes_to_paper_and_back(desk: Desk) -> None:
    desk.file("packet.age", PACKET)
    printed = desk.run("print", "packet.age", "sheet.pdf", "--opens", desk.disk(), "--json")
    assert printed.status == 0, printed.err
    assert printed.json["kind"] == "packet"
    assert printed.json["pages"] >= 3
    assert (desk.folder / "sheet.pdf").stat().st_mode & 0o777 == 0o600
    read = desk.run("read", "sheet.pdf")
    assert (read.status, read.out) == (0, PACKET)
    assert printed.json["sheet_id"] in read.err
    text = text_of(desk.folder / "sheet.pdf")
    for wanted in (UUID, "aes-xts-plain64", "512 bits", "1048576 bytes (sector 2048)", "--offset 2048"):
        assert wanted in text


@pytest.mark.parametrize(
    ("name", "data", "kind", "read"),
    [
        ("p.age", pyrage.encrypt(b"{}", [samples.age_identity().to_public()], armored=True), "packet", None),
        ("p.p7m", b"\x30\x82\x01\x00" + bytes(60), "packet", None),
        ("key", examples.RECOVERY_KEY.encode(), "passphrase", None),
        ("share", examples.WORDS.encode(), "share", None),
        (
            "share-file",
            b"# luksafe: share 1 of 3. Keep it.\n# host: nas1\n"
            + "\n".join(f"{n:>2} {word.capitalize()}" for n, word in enumerate(examples.WORDS.split(), 1)).encode(),
            "share",
            examples.WORDS.encode(),
        ),
    ],
    ids=["age", "CMS", "recovery-key", "words", "share-file"],
)
def test_kinds_are_told_by_their_look(desk: Desk, name: str, data: bytes, kind: str, read: bytes | None) -> None:
    desk.file(name, data)
    printed = desk.run("print", name, "sheet.pdf", "--json")
    assert printed.json["kind"] == kind, printed.err
    assert desk.run("read", "sheet.pdf").out == (read or data)


def test_the_notes_of_a_share_file_are_printed(desk: Desk) -> None:
    desk.file("share", b"# luksafe: share 1 of 3.\n# host: nas1\n" + examples.WORDS.encode())
    assert desk.run("print", "share", "sheet.pdf", "--title", "Anna's share", "--note", "Ask Ben").status == 0
    text = text_of(desk.folder / "sheet.pdf")
    for wanted in ("Anna's share", "Ask Ben", "Host", "nas1", "set duckling enlarge"):
        assert wanted in text


def test_the_public_part_beside_a_packet_is_printed(desk: Desk) -> None:
    recipient = parse_recipient(str(samples.age_identity().to_public()))
    packet = seal(samples.contents(), [recipient], bytes)
    assert packet.public is not None
    desk.file("nas.age", packet.sealed)
    desk.file("nas.json", packet.public.to_bytes())
    assert desk.run("print", "nas.age", "sheet.pdf").status == 0
    text = text_of(desk.folder / "sheet.pdf")
    for wanted in (samples.UUID, "laptop-0042.example.org", packet.public.packet_id, "passphrase, volume-key"):
        assert wanted in text
    desk.file("nas.json", b"{}")
    assert desk.run("print", "nas.age", "sheet2.pdf").status == 12
    assert desk.run("print", "nas.age", "sheet2.pdf", "--opens", desk.disk()).status == 12


def test_what_cannot_be_told_is_asked_for(desk: Desk) -> None:
    desk.file("secret", b"hunter2")
    refused = desk.run("print", "secret", "sheet.pdf")
    assert refused.status == 2
    assert "--kind" in refused.err
    printed = desk.run("print", "secret", "sheet.pdf", "--kind", "passphrase")
    assert printed.status == 0
    assert "in the clear" in printed.err


def test_a_passphrase_with_a_line_end_is_warned_of(desk: Desk) -> None:
    desk.file("key", examples.RECOVERY_KEY.encode() + b"\n")
    printed = desk.run("print", "key", "sheet.pdf")
    assert printed.status == 0
    assert "line end" in printed.err


def test_a_volume_key_needs_its_volume(desk: Desk) -> None:
    desk.file("vk", VOLUME_KEY)
    alone = desk.run("print", "vk", "sheet.pdf", "--kind", "volume-key")
    assert alone.status == 2
    assert "--opens" in alone.err
    disk = desk.disk()
    printed = desk.run("print", "vk", "sheet.pdf", "--kind", "volume-key", "--opens", disk, "--paper", "letter")
    assert printed.status == 0, printed.err
    assert desk.run("read", "sheet.pdf", "--json").json["payload_hex"] == VOLUME_KEY.hex()
    desk.file("other", bytes(64))
    wrong = desk.run("print", "other", "sheet2.pdf", "--kind", "volume-key", "--opens", disk)
    assert wrong.status == 11
    assert not (desk.folder / "sheet2.pdf").exists()


def test_another_file_is_never_overwritten(desk: Desk) -> None:
    desk.file("packet.age", PACKET)
    desk.file("sheet.pdf", b"mine")
    assert desk.run("print", "packet.age", "sheet.pdf").status == 14
    assert (desk.folder / "sheet.pdf").read_bytes() == b"mine"
    (desk.folder / "sheet.pdf").unlink()
    assert desk.run("print", "packet.age", "sheet.pdf", "--json").json["new"] is True
    assert desk.run("print", "packet.age", "sheet.pdf", "--json").json["new"] is False
    desk.file("out", b"mine")
    assert desk.run("read", "sheet.pdf", "--output", "out").status == 14
    assert desk.run("read", "sheet.pdf", "--output", "new").status == 0
    assert (desk.folder / "new").read_bytes() == PACKET
    assert (desk.folder / "new").stat().st_mode & 0o777 == 0o600


def test_typed_lines(desk: Desk) -> None:
    typed = rows(PACKET, SheetKind.PACKET)
    desk.file("lines.txt", "\n".join(typed).lower().encode())
    assert desk.run("read", "--typed", "lines.txt").out == PACKET


def test_standard_input(desk: Desk) -> None:
    command = [sys.executable, "-m", "luksafe", "paper"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    printing = subprocess.run(
        [*command, "print", "-", "sheet.pdf"], env=environment, input=examples.WORDS.encode(), capture_output=True
    )
    assert printing.returncode == 0, printing.stderr
    lines = "\n".join(rows(PACKET, SheetKind.PACKET)).encode()
    reading = subprocess.run([*command, "read", "--typed", "-"], env=environment, input=lines, capture_output=True)
    assert reading.stdout == PACKET


def test_three_errors_are_named_and_put_right_only_on_demand(desk: Desk) -> None:
    typed = rows(PACKET, SheetKind.PACKET)
    typed[5] = typed[5][:-1] + ("Q" if typed[5][-1] != "Q" else "P")
    typed[17] = typed[17][:-1]
    typed[40] = typed[40] + "R"
    desk.file("lines.txt", "\n".join(typed).encode())
    failed = desk.run("read", "--typed", "lines.txt")
    assert (failed.status, failed.out) == (12, b"")
    assert "3 lines of the typed text are wrong: 5, 17, 40" in failed.err
    assert failed.err.count("perhaps:") >= 3
    assert desk.run("read", "--typed", "lines.txt", "--correct").out == PACKET


def test_missing_lines_are_named(desk: Desk) -> None:
    typed = rows(PACKET, SheetKind.PACKET)
    del typed[7:9]
    desk.file("lines.txt", "\n".join(typed).encode())
    failed = desk.run("read", "--typed", "lines.txt", "--json")
    assert failed.status == 12
    assert failed.json["missing_lines"] == [7, 8]
    assert "type lines 7-8" in failed.err


def test_a_torn_scan_is_completed_by_typing(desk: Desk) -> None:
    desk.file("packet.age", PACKET)
    assert desk.run("print", "packet.age", "sheet.pdf").status == 0
    document = pypdfium2.PdfDocument(desk.folder / "sheet.pdf")
    page = next(page for page in document if "Code 1 of" in page.get_textpage().get_text_bounded())
    image = page.render(scale=200 / 72).to_pil()
    document.close()
    image.crop((0, 0, image.width // 2, image.height)).save(desk.folder / "half.png")
    failed = desk.run("read", "half.png", "--json")
    assert failed.status == 12
    missing = failed.json["missing_lines"]
    typed = rows(PACKET, SheetKind.PACKET)
    desk.file("rest.txt", "\n".join(typed[number] for number in missing).encode())
    assert desk.run("read", "half.png", "--typed", "rest.txt").out == PACKET


def test_one_sheet_of_several(desk: Desk) -> None:
    desk.file("a", examples.WORDS.encode())
    desk.file("b", examples.RECOVERY_KEY.encode())
    ids = [desk.run("print", name, f"{name}.pdf", "--json").json["sheet_id"] for name in ("a", "b")]
    assert desk.run("read", "a.pdf", "b.pdf").status == 2
    read = desk.run("read", "a.pdf", "b.pdf", "--sheet", ids[1].lower())
    assert read.out == examples.RECOVERY_KEY.encode()
    assert f"is of sheet {ids[0]}" in read.err
    assert desk.run("read", "a.pdf", "--sheet", "nonsense").status == 2


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["read", "absent.pdf"], 15),
        (["read", "--typed", "absent.txt"], 15),
        (["print", "absent", "sheet.pdf"], 15),
        (["read", "plain.txt"], 12),
        (["print", "large", "sheet.pdf", "--kind", "packet"], 2),
        (["print", "empty", "sheet.pdf", "--kind", "passphrase"], 2),
        (["print", "plain.txt", "sheet.pdf", "--kind", "packet"], 12),
        (["print", "plain.txt", "no/such/folder.pdf", "--kind", "passphrase"], 2),
    ],
)
def test_bad_input_is_one_clear_error(desk: Desk, arguments: list[str], status: int) -> None:
    desk.file("plain.txt", b"no picture")
    desk.file("large", bytes(30_000))
    desk.file("empty", b"")
    ran = desk.run(*arguments)
    assert ran.status == status
    assert ran.err.startswith("luksafe: ")
    assert not (desk.folder / "sheet.pdf").exists()


def spawn(desk: Desk, *arguments: str) -> pexpect.spawn:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return pexpect.spawn(sys.executable, ["-m", "luksafe", "paper", *arguments], env=environment, timeout=60)  # type: ignore[arg-type]


def test_typing_at_the_terminal(desk: Desk) -> None:
    typed = rows(examples.RECOVERY_KEY.encode(), SheetKind.PASSPHRASE)
    terminal = spawn(desk, "read", "--output", str(desk.folder / "key"))
    terminal.expect("line +0: ")
    terminal.sendline(typed[0][6:])
    terminal.expect("line +1: ")
    terminal.sendline(typed[1][6:-1])
    terminal.expect("1 character is missing")
    terminal.expect(r"\(y/n\) ")
    terminal.sendline("n")
    while terminal.expect(["line +1: ", r"\(y/n\) "]) == 1:
        terminal.sendline("n")
    wrong = "Q" if typed[1][-1] != "Q" else "P"
    terminal.sendline(typed[1][:-1] + wrong)
    terminal.expect("does not fit")
    terminal.expect(r"\(y/n\) ")
    terminal.sendline("y")
    for number in (2, 3, 4):
        terminal.expect(f"line +{number}: ")
        terminal.sendline(typed[number].lower())
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert (desk.folder / "key").read_bytes() == examples.RECOVERY_KEY.encode()


def test_typing_ended_early(desk: Desk) -> None:
    terminal = spawn(desk, "read")
    terminal.expect("line +0: ")
    terminal.sendline("")
    terminal.expect("ended before the sheet was complete")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 12


def test_bytes_are_not_poured_on_a_terminal(desk: Desk) -> None:
    desk.file("packet.age", PACKET)
    assert desk.run("print", "packet.age", "sheet.pdf").status == 0
    terminal = spawn(desk, "read", "sheet.pdf")
    terminal.expect("not for a terminal")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 14


def test_without_a_terminal_typing_fails(desk: Desk) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "luksafe", "paper", "read"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
    )
    assert run.returncode == 2


@pytest.mark.parametrize("is_honest", [True, False])
def test_the_quiz(desk: Desk, is_honest: bool) -> None:
    desk.file("key", examples.RECOVERY_KEY.encode())
    typed = rows(examples.RECOVERY_KEY.encode(), SheetKind.PASSPHRASE)
    terminal = spawn(desk, "print", "key", "sheet.pdf", "--quiz")
    asked = 0
    while terminal.expect([r"Type line (\d+): ", pexpect.EOF]) == 0:
        asked += 1
        number = int(terminal.match[1])
        terminal.sendline(typed[number] if is_honest else "I have it somewhere")
    terminal.close()
    assert asked == 3
    assert terminal.exitstatus == (0 if is_honest else 10)
