"""Each exit status of spec/exit-codes.md, reached the way a user reaches it; the error's object says the same."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from generators.headers import UUID, luks2_image, with_document


def failed(world, status: int, code: str, *arguments: object):
    ran = world.run("--json", *arguments)
    assert (ran.status, ran.json["error"]["code"]) == (status, code), ran.err
    assert ran.json["error"]["message"] in ran.err
    return ran


def test_done(world):
    assert world.run("show", world.image()).status == 0


def test_failed_the_store_of_the_vault(world):
    (world.folder / "vault").write_text("not a folder")
    disk = world.image()
    ran = world.run("--json", "backup", disk)
    assert ran.status == 1, ran.err
    assert ran.json["error"]["hint"]


def test_failed_half_way_through_a_write(world, monkeypatch):
    """A disk that takes the first phase and then no more."""
    disk = world.image()
    world.run("backup", disk)
    disk.write_bytes(bytes(40960) + disk.read_bytes()[40960:])
    real, calls = os.pwrite, []

    def failing(fd: int, data, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}") == str(disk):
            calls.append(offset)
            if len(calls) > 1:
                raise OSError(5, "Input/output error")
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", failing)
    ran = failed(world, 1, "write-failed", "restore", UUID, disk, "--yes")
    assert f"luksafe undo {disk}" in ran.err
    monkeypatch.undo()


def test_usage(world):
    disk = world.image()
    failed(world, 2, "usage", "backup")
    assert world.run("show").status == 2
    assert world.run("show", disk, "--no-such-option").status == 2


def test_done_with_warnings(world):
    image = bytearray(luks2_image() + bytes(1 << 20))
    image[100] ^= 1
    disk = world.image(data=bytes(image))
    assert world.run("prove", disk, "--key-file", world.key_file).status == 3


def test_a_negative_verdict(world):
    disk = world.image()
    assert world.run("check", disk).status == 10
    world.image(
        "other.img", with_document(luks2_image(), lambda d: d["tokens"].update({"0": {"type": "x", "keyslots": []}}))
    )
    assert world.run("diff", disk, "other.img").status == 10


def test_key_rejected(world):
    (world.folder / "wrong").write_text("wrong")
    failed(world, 11, "key-rejected", "prove", world.image(), "--key-file", "wrong")


def test_damaged_input(world):
    ran = world.run("--json", "show", world.image(data=bytes(1 << 20)))
    assert (ran.status, ran.json["format"]) == (12, "none")


def test_unsupported(world):
    def scrypt(document):
        document["keyslots"]["0"]["kdf"] = {"type": "scrypt", "salt": "AA=="}

    disk = world.image(data=with_document(luks2_image(), scrypt))
    failed(world, 13, "unsupported", "prove", disk, "--key-file", world.key_file)


def test_refused(world):
    disk = world.image()
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    world.image("other.img", luks2_image(uuid="00000000-0000-0000-0000-000000000000") + bytes(1 << 20))
    failed(world, 14, "other-uuid", "restore", backup, "other.img", "--yes")


def test_not_found(world):
    failed(world, 15, "not-found", "show", "no-such-file")


def test_busy(world):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = world.run("serve", world.image(), "--tcp", port, "--allow-local-users", "--key-file", world.key_file)
    assert ran.status == 16, ran.err
    assert f"cannot listen on port {port}" in ran.err


def test_interrupted(world):
    pexpect = pytest.importorskip("pexpect")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = ["-m", "luksafe", "--vault", str(world.vault), "prove", str(world.image())]
    child = pexpect.spawn(sys.executable, command, env=environment, timeout=60)
    child.expect("Passphrase for ")
    child.sendintr()
    child.expect("luksafe: interrupted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [["list"], ["--help"]])
def test_output_that_cannot_be_written(world, arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "luksafe", "--vault", world.vault, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "luksafe: No space left on device\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_an_object_that_cannot_be_written_is_one_line_of_error(world):
    """Larger than any buffer, and as JSON, which there is no place for either."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "luksafe", "show", world.image(), "--map", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "luksafe: No space left on device\n")


UNREAD = ("list", "show disk.img", "show disk.img --json", "--help", "extract disk.img - {key}")


@pytest.mark.parametrize("arguments", UNREAD)
def test_output_that_nobody_reads(world, arguments):
    """As tools of C end by the signal: nothing is said, and a shell sees 141."""
    world.image()
    words = arguments.format(key=f"--key-file {world.key_file}").split()
    done = unread(world, *words, stderr=subprocess.PIPE)
    assert done.returncode == 141
    assert done.stderr == "" or (words[0] == "extract" and "Error" not in done.stderr)


@pytest.mark.parametrize(("words", "status"), [(["show", "nothing"], 15), (["nothing"], 2)])
def test_an_error_is_told_where_it_is_read(world, words, status):
    done = unread(world, *words, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr.count("othing")) == (status, 1)
    assert unread(world, *words, stderr=subprocess.STDOUT).returncode == 141


def unread(world, *words: object, stderr: int) -> subprocess.CompletedProcess[str]:
    """A run whose standard output is a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "luksafe", "--vault", world.vault, *words]
    done = subprocess.run(command, stdout=writer, stderr=stderr, text=True)
    os.close(writer)
    return done


def test_a_pipe_that_is_read_in_part(world):
    world.image()
    script = 'set -o pipefail; "$0" -m luksafe --vault "$1" show disk.img --json | head -c 1; echo " $?"'
    done = subprocess.run(["bash", "-c", script, sys.executable, world.vault], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout in ("{ 0\n", "{ 141\n")  # the pipe may have taken it all before its reader went


def test_an_error_that_nothing_expected_is_an_object_too(world):
    """Here a terminal to extract to, of a process that has none."""
    ran = world.process("extract", world.image(), "/dev/tty", "--key-file", world.key_file, "--json")
    assert (ran.status, ran.json["error"]["code"]) == (1, "failed"), ran.err
    assert ran.json["error"]["message"] == "/dev/tty: No such device or address"
    assert "luksafe: /dev/tty: No such device or address\n" in ran.err


def test_a_wrong_command_line_is_an_object_too(world):
    for words in (("restore",), ("no-such-verb",), ("list", "--no-such-option")):
        ran = world.run(*words, "--json")
        assert (ran.status, ran.json["error"]["code"]) == (2, "usage")
        assert ran.json["error"]["message"] in ran.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("diagnos",), "luksafe diagnose --help   (did you mean diagnose?)"),
        (("escrow", "opn"), "luksafe escrow open --help   (did you mean open?)"),
        (("qqqq",), "luksafe --help"),
        (("show",), "luksafe show --help"),
        (("list", "--no-such-option"), "luksafe list --help"),
    ],
)
def test_a_wrong_command_line_names_what_to_type(world, words, hint):
    ran = world.run(*words, "--json")
    assert ran.status == 2
    assert ran.err.endswith(f"  next: {hint}\n")
    assert ran.json["error"]["hint"] == hint


@pytest.mark.parametrize("stream", ["0<", "1>"])
def test_a_closed_stream_ends_before_a_device_could_take_its_place(world, stream):
    command = f'exec "$0" -m luksafe --vault "$1" list {stream}&-'
    done = subprocess.run(["sh", "-c", command, sys.executable, world.vault], capture_output=True, text=True)
    assert done.returncode == 2
    assert "is closed; nothing was done" in done.stderr


def test_the_option_wins_over_the_variable(world, monkeypatch):
    """Before the verb too."""
    world.run("backup", world.image())
    monkeypatch.setenv("LUKSAFE_VAULT", str(world.folder / "none"))
    assert "no backups yet" not in world.run("list").out
    world.vault = world.folder / "empty"
    monkeypatch.setenv("LUKSAFE_VAULT", str(world.folder / "vault"))
    assert "no backups yet" in world.run("list").out
