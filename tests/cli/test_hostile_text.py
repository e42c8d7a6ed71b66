"""Every verb over headers, records, certificates and names that want to command the terminal: nothing of it arrives."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import escrow_samples as samples
import pexpect
import pytest
from generators.headers import encrypted, luks2_image, with_binary, with_document

EVIL = "\x1b[2J\x1b]0;x\x07\r\nTYPE YES\u202e\u2028\x9b31m\u2066\x7f\u200b"
SURROGATE = "a\udcff\ud800"
RAW = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff]")
TEXTS = [EVIL, SURROGATE, "\x1b[8mhidden", "\u202egpj.exe"]


def harmless(ran, text=EVIL):
    for stream in (ran.out, ran.err):
        assert not RAW.search(stream), RAW.search(stream)
        assert "\nTYPE YES" not in stream
    assert "Traceback" not in ran.err
    assert ran.status not in (1, None), ran.err
    return ran


def hostile_luks2(text: str) -> bytes:
    label = text.encode("utf-8", "surrogatepass")[:47].decode("utf-8", "surrogateescape")
    image = with_binary(luks2_image(), label=label, subsystem=label)

    def change(document):
        document["tokens"]["0"] = {"type": text, "keyslots": ["0"]}
        document["config"]["flags"] = [text]
        document["keyslots"]["1"] = {
            "type": text,
            "key_size": 64,
            "area": {"type": "none", "offset": "524288", "size": "4096"},
        }
        document["digests"]["0"]["keyslots"].append("1")

    return with_document(image, change) + bytes(1 << 20)


VERBS = [
    ("show", "DISK"),
    ("show", "DISK", "--map"),
    ("show", "DISK", "--raw"),
    ("backup", "DISK"),
    ("list",),
    ("diff", "DISK", "OTHER"),
    ("check", "DISK"),
    ("check", "--all"),
    ("diagnose", "DISK", "--map"),
    ("diagnose", "DISK", "--html", "report.html"),
    ("scan", "DISK"),
    ("repair", "DISK", "--dry-run"),
    ("restore", "BACKUP", "DISK", "--dry-run"),
    ("restore", "BACKUP", "OTHER", "--dry-run"),
    ("prove", "BACKUP", "--key-file", "PASSPHRASE"),
    ("ls", "DISK", "--key-file", "PASSPHRASE"),
    ("export", "BACKUP", "EVILPATH"),
    ("show", "EVILPATH"),
    ("EVILPATH",),
    ("show", "--EVILPATH"),
    ("forget", "BACKUP", "--why", "EVILPATH"),
    ("sync",),
    ("stores",),
    ("undo", "DISK", "--list"),
]


@pytest.mark.parametrize("text", TEXTS, ids=["escape", "surrogate", "conceal", "bidi"])
def test_no_verb_passes_on_what_a_header_says(world, text):
    disk = world.image("disk.img", hostile_luks2(text))
    other = world.image("other.img", luks2_image(label="plain") + bytes(1 << 20))
    world.stores(1)
    assert harmless(world.run("backup", disk)).status in (0, 3)
    backup = world.run("list", "--json").json["backups"][0]["id"]
    evil_path = str(world.folder / text.replace("\ud800", "").replace("/", "").replace("\0", ""))
    names = {
        "DISK": disk,
        "OTHER": other,
        "BACKUP": backup,
        "PASSPHRASE": world.key_file,
        "EVILPATH": evil_path,
        "--EVILPATH": f"--{text}".replace("\ud800", ""),
    }
    for words in VERBS:
        call = [names.get(word, word) for word in words]
        harmless(world.run(*call))
        as_json = world.run(*call, "--json")
        if words[0] != "show" or "--raw" not in words:
            json.loads(as_json.out or "{}")
        harmless(as_json)
    report = (world.folder / "report.html").read_text()
    assert not RAW.search(report) and "\nTYPE YES" not in report


def test_json_says_exactly_what_the_header_says(world):
    label = EVIL.encode()[:40].decode("utf-8", "ignore")
    disk = world.image("disk.img", with_binary(luks2_image(), label=label) + bytes(1 << 20))
    shown = world.run("show", disk, "--json")
    assert shown.json["label"] == label
    assert not RAW.search(shown.out)
    lone = with_document(luks2_image(), lambda d: d["tokens"].update({"0": {"type": "\ud800", "keyslots": []}}))
    raw = world.run("show", world.image("lone.img", lone), "--raw")
    assert json.loads(raw.out)["tokens"]["0"]["type"] == "\ud800"


def test_no_verb_passes_on_what_a_record_says(world):
    disk = world.image()
    world.run("backup", disk)
    (path,) = (
        world.vault.glob("volumes/*/*.json")
        if (world.vault / "volumes").is_dir()
        else [p for p in world.vault.rglob("*.json") if b'"image_sha256"' in p.read_bytes()]
    )
    from luksafe.vault.document import decode_document, encode_document

    members = decode_document(path.read_bytes())
    members |= {"label": EVIL, "host": EVIL, "why": EVIL, "created": EVIL, "tool": EVIL, "luks": EVIL}
    members["device"] |= {"path": EVIL, "by_id": EVIL, "model": EVIL, "serial": EVIL}
    path.chmod(0o600)
    path.write_bytes(encode_document(members))
    backup = world.run("list", "--json").json["backups"][0]["id"]
    for words in (
        ("list",),
        ("show", backup),
        ("check", disk),
        ("check", "--all"),
        ("diff", backup, disk),
        ("diagnose", disk),
        ("restore", backup, disk, "--dry-run"),
        ("sync",),
        ("backup", disk),
        ("forget", backup, "--why", "x"),
        ("list", "--json"),
        ("check", disk, "--json"),
    ):
        ran = world.run(*words)
        harmless(ran)


def test_colours_of_ours_pass_and_no_other(monkeypatch):
    import io

    from luksafe.cli.terminal import Screened, style

    out = io.StringIO()
    Screened(out).write(style("good", fg="green") + "\x1b[32mevil\x1b[0m\n")
    assert out.getvalue() == "\x1b[32mgood\x1b[0m\\x1b[32mevil\\x1b[0m\n"


def test_no_verb_passes_on_what_a_certificate_says(world):
    disk = world.image()
    certificate = world.folder / "officer.pem"
    certificate.write_bytes(samples.pem(samples.certificate(samples.rsa_key(), EVIL[:40])))
    saved = world.run("escrow", "save", disk, "--recipient", certificate, "--key-file", world.key_file)
    assert harmless(saved).status in (0, 3), saved.err
    for words in (("escrow", "show", disk), ("list",), ("check", disk), ("diagnose", disk)):
        harmless(world.run(*words))


@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="mkfs.ext4 is not installed")
def test_no_verb_passes_on_what_a_filesystem_says(world):
    plain = world.folder / "plain"
    subprocess.run(["mkfs.ext4", "-q", "-O", "^metadata_csum", "-L", "LABELLABEL", plain, "8M"], check=True)
    evil = "\x1b[2Ja\u202e\nb".encode()
    data = plain.read_bytes().replace(b"LABELLABEL", evil.ljust(10, b"x")[:10])
    disk = world.image("disk.img", luks2_image() + encrypted(data))
    assert disk.read_bytes().count(b"LABEL") == 0
    key = ("--key-file", world.key_file)
    for words in (("prove", disk, *key), ("ls", disk, *key), ("diagnose", disk)):
        harmless(world.run(*words))
    harmless(world.run("scan", world.image("bare.img", data)))


@pytest.mark.parametrize("text", TEXTS[:2], ids=["escape", "surrogate"])
def test_the_plan_that_asks_for_yes_is_harmless_on_a_terminal(world, text):
    disk = world.image("disk.img", hostile_luks2(text))
    world.run("backup", disk)
    backup = world.run("list", "--json").json["backups"][0]["id"]
    with disk.open("r+b") as file:
        file.write(bytes(4096))
    command = ["-m", "luksafe", "--no-color", "--vault", str(world.vault), "restore", backup, str(disk)]
    talk = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=60, dimensions=(60, 200))
    talk.expect_exact("(Enter skips): ")
    talk.sendline("")
    talk.expect_exact("Type YES to go on")
    shown = talk.before
    assert "PLAN: " in shown
    assert not RAW.search(shown.replace("\r\n", "\n")), RAW.search(shown.replace("\r\n", "\n"))
    talk.sendline("no")
    talk.expect(pexpect.EOF)
    talk.close()
    assert talk.exitstatus == 14


def test_a_sheet_spells_out_what_nobody_would_see():
    fonts = pytest.importorskip("luksafe.paper.fonts")
    text = fonts.printable("a\u202eb\x1b\x7f\u200bc", fonts.MONO)
    assert text == "a<U+202E>b<U+001B><U+007F><U+200B>c"
