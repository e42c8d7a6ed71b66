"""A virtual machine with a real dm-crypt kernel, for what this machine's kernel cannot do.

Its scripts are found by the environment variable LUKSAFE_VM, else in ``../shared/vm`` beside the checkout.
"""

from __future__ import annotations

import compileall
import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(os.environ.get("LUKSAFE_VM", ROOT.parent / "shared" / "vm"))
SETUP_SECONDS = 900
FAILED = 125
NEVER_UP = ("IO-APIC + timer doesn't work", "no answer within")
"""What a machine says that did not boot, as happens to an emulated one on a busy host: nothing ran in it yet."""


class VirtualMachine:
    """Boots a fresh guest for each run. The guest sees ``share`` as ``/share`` and can import luksafe."""

    def __init__(self, share: Path, kernel: str) -> None:
        self.share = share
        self._environment = {**os.environ, "LUKS_VM_KERNEL": kernel} if kernel else dict(os.environ)

    def sh(
        self, script: str, *, disks: Sequence[Path | str] = (), options: Sequence[str] = (), timeout: int = 300
    ) -> str:
        """What a bash script, run as root with ``-e``, writes to standard output. A failing one fails the test.

        ``disks`` become /dev/vda, /dev/vdb …; ``options`` go to the ``run`` script, such as ``--memory-dump FILE``.
        """
        fd, name = tempfile.mkstemp(suffix=".sh", dir=self.share)
        with open(fd, "w") as out:
            out.write("export PYTHONPATH=/share/src:/share/packages PYTHONDONTWRITEBYTECODE=1\n" + script)
        command = [
            str(SCRIPTS / "run"),
            "--share",
            str(self.share),
            "--timeout",
            str(timeout),
            "--quiet",
            *with_no_timer_check(options),
        ]
        for disk in disks:
            command += ["--disk", str(disk)]
        command += ["--", "bash", "-e", f"/share/{Path(name).name}"]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment)
        if done.returncode == FAILED and any(words in done.stderr for words in NEVER_UP):
            done = subprocess.run(command, capture_output=True, text=True, env=self._environment)
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, source: str, *, before: str = "", **run: Any) -> Any:
        """The JSON that a Python program prints in the guest; ``before`` is a bash script run ahead of it."""
        (fd, name) = tempfile.mkstemp(suffix=".py", dir=self.share)
        with open(fd, "w") as out:
            out.write(source)
        return json.loads(self.sh(f"( {before or ':'}\n) >&2\npython3 /share/{Path(name).name}", **run))


def with_no_timer_check(options: Sequence[str]) -> list[str]:
    """With a parameter without which the kernel may panic when it boots, emulated, on a host that is very busy."""
    words = [*options] if "--append" in options else [*options, "--append", ""]
    words[words.index("--append") + 1] += " no_timer_check"
    return words


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _set_up(kernel: str) -> None:
    """Have the guest's image made, by one test process at a time; skips where that is impossible."""
    if not (SCRIPTS / "run").exists():
        pytest.skip(f"no virtual machine scripts at {SCRIPTS} (set LUKSAFE_VM)")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the guest has Python 3.11, and the packages come from the Python that runs the tests")
    environment = {**os.environ, "LUKS_VM_KERNEL": kernel} if kernel else dict(os.environ)
    with open(Path(tempfile.gettempdir(), "luksafe-vm-setup.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [SCRIPTS / "setup"], capture_output=True, text=True, env=environment, timeout=SETUP_SECONDS
        )
    if done.returncode != 0:
        pytest.skip(f"the virtual machine cannot be set up: {done.stderr.strip()[-300:]}")


@pytest.fixture(scope="session")
def vm_share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with luksafe's source and its dependencies, for the guest."""
    share = tmp_path_factory.mktemp("vm-share")
    shutil.copytree(ROOT / "src", share / "src", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(share / "src", quiet=1)  # emulated, the guest would take a minute for it
    shutil.copytree(sysconfig.get_path("purelib"), share / "packages", copy_function=_link, symlinks=True)
    return share


@pytest.fixture(scope="session")
def vm(vm_share: Path) -> VirtualMachine:
    """The virtual machine with the kernel of Debian 12."""
    _set_up("")
    return VirtualMachine(vm_share, "")


@pytest.fixture(scope="session")
def vm_newer_kernel(vm_share: Path) -> VirtualMachine:
    """The virtual machine with a newer kernel."""
    _set_up("linux-image-6.12-amd64")
    return VirtualMachine(vm_share, "linux-image-6.12-amd64")


@pytest.fixture
def vm_disk(tmp_path: Path) -> Path:
    """An empty disk of 64 MiB."""
    disk = tmp_path / "disk.img"
    with disk.open("wb") as out:
        out.truncate(64 << 20)
    return disk
