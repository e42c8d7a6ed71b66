"""A passphrase typed on a terminal: never shown, and not lost however fast it is typed."""

from __future__ import annotations

import os
import sys

import pexpect
from generators.headers import PASSPHRASE

from .conftest import World

# the machine is slow just when the echo is about to be turned off
SLOW = """
import sys, termios, time
real = termios.tcsetattr
termios.tcsetattr = lambda *about: (time.sleep(0.5), real(*about))
from luksafe.cli.main import main
main(sys.argv[1:])
"""


def test_echo_is_off_when_the_prompt_appears(world: World) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = ["-c", SLOW, "--vault", str(world.vault), "prove", str(world.image())]
    terminal = pexpect.spawn(sys.executable, arguments, env=env, encoding="utf-8", timeout=60)
    terminal.delaybeforesend = None  # as fast as a paste
    terminal.expect("Passphrase for [^\r\n]*: ")
    assert not terminal.getecho()
    terminal.sendline(PASSPHRASE.decode())
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert PASSPHRASE.decode() not in terminal.before
    assert terminal.exitstatus == 0


def test_repair_asks_for_the_passphrase_that_proves_a_guess(world: World) -> None:
    image = bytearray(world.image().read_bytes())
    image[168:208] = image[16384 + 168 : 16384 + 208] = bytes(range(100, 140))  # the UUID of both copies
    disk = world.image(data=bytes(image))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = ["-m", "luksafe", "--vault", str(world.vault), "repair", "--time", "5", str(disk)]
    for answer, status in (("yes", 14), ("YES", 0)):
        terminal = pexpect.spawn(sys.executable, arguments, env=env, encoding="utf-8", timeout=60)
        terminal.expect("Passphrase for [^\r\n]*: ")
        terminal.sendline(PASSPHRASE.decode())
        terminal.expect("proven: the passphrase opens keyslot 0")
        terminal.expect("Type YES to go on: ")
        terminal.sendline(answer)
        if status:
            terminal.expect("you typed 'yes', not YES")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == status
    assert disk.read_bytes() != bytes(image)


# slow work, as of a large device, before anything is asked
WORK = """
import sys, time
import luksafe.ops.target as target
real = target.read_moment
def slow(*about, **how):
    print("at work", flush=True)
    time.sleep(2)
    return real(*about, **how)
target.read_moment = slow
from luksafe.cli.main import main
main(sys.argv[1:])
"""


def test_a_passphrase_typed_ahead_during_slow_work_is_not_shown(world: World) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = ["-c", WORK, "--vault", str(world.vault), "prove", str(world.image())]
    terminal = pexpect.spawn(sys.executable, arguments, env=env, encoding="utf-8", timeout=60)
    terminal.delaybeforesend = None
    terminal.expect("at work")
    terminal.sendline("typed ahead of time")
    terminal.expect("Passphrase for [^\r\n]*: ")
    assert "typed ahead" not in terminal.before
    terminal.sendline(PASSPHRASE.decode())
    terminal.expect(pexpect.EOF)
    assert "typed ahead" not in terminal.before
    terminal.close()
    assert terminal.exitstatus == 0


def test_the_terminal_shows_again_what_is_typed_when_the_verb_has_ended(world: World) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    once = f"trap : INT; {sys.executable} -m luksafe --vault {world.vault} prove {world.image()}; stty -a; sleep 30"
    terminal = pexpect.spawn("sh", ["-c", once], env=env, encoding="utf-8", timeout=60)
    terminal.expect("Passphrase for [^\r\n]*: ")
    terminal.sendintr()
    terminal.expect("interrupted")
    terminal.expect("[ -]echo ")
    assert terminal.after == " echo "
    terminal.close(force=True)
