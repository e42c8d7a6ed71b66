"""One session of a rescue: the conversation, and the commands that it runs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App
from luksafe.cli.progress import Progress
from luksafe.cli.prompts import ask
from luksafe.cli.rescue_console import Console
from luksafe.cli.scan_text import scan_lines
from luksafe.cli.terminal import echo
from luksafe.cli.text import human_size
from luksafe.device.identity import describe
from luksafe.errors import LuksafeError
from luksafe.ops.escrow.found import read_packet_file
from luksafe.ops.own_folder import FLAG, make_private_folder
from luksafe.ops.rescue.first_copy import keep_first_copy
from luksafe.ops.rescue.journal import Journal, journal_folder, read_journal, write_journal
from luksafe.ops.rescue.look import Look, look, search
from luksafe.ops.rescue.model import DONE_STATUSES, Step, Way
from luksafe.ops.rescue.other_backups import try_backup
from luksafe.ops.undo import CHANGED_FLAG
from luksafe.programs import environment, find_program
from luksafe.vault.record import timestamp

_STATUS_WORDS = {
    1: "it failed",
    2: "the command was not understood",
    10: "the answer is no",
    11: "the key was not accepted",
    12: "what it read is damaged",
    13: "it is of a kind that luksafe does not know",
    14: "it refused, for safety; it says which option overrides that",
    15: "something that it needs is not there",
    16: "the device is in use",
    127: "the program is not installed",
    130: "it was interrupted",
}


class Session:
    """Leads through the rescue of one device."""

    def __init__(self, app: App, device: str) -> None:
        self._app = app
        self._device = device
        self._workspace = app.workspace()
        self._console = Console(app)
        target_key = describe(device).target_key
        self._folder = journal_folder(self._workspace.require_own_state(), target_key)
        self._journal = Journal(device, target_key, timestamp(self._workspace.now()))
        self._is_left = False

    def run(self, *, anew: bool) -> int:
        """The whole conversation; the exit status."""
        before = None if anew else read_journal(self._folder)
        if before is not None and not before.is_finished:
            self._resume(before)
        seen = self._look()
        self._console.outlook(seen.outlook, self._device)
        if not self._copy_first(seen):
            return self._leave()
        while not self._is_left and not self._journal.is_finished:
            way = self._choose(seen)
            if way is None:
                break
            self._walk(way)
            if not self._is_left and not self._journal.is_finished:
                seen = self._look()
                self._console.outlook(seen.outlook, self._device)
        return self._farewell() if self._journal.is_finished else self._leave()

    def _look(self) -> Look:
        self._app.say(f"looking at {self._device} (nothing is written) …")
        return look(self._workspace, self._device, self._journal.guesses)

    def _resume(self, before: Journal) -> None:
        self._journal = before
        self._console.rule(f"You left a rescue of {before.device}, begun {before.begun}")
        for item in before.done[-8:]:
            self._console.line(f"  {'done' if item.status in DONE_STATUSES else 'failed'}: {item.command}")
        self._console.paragraph("It goes on from there; 'luksafe rescue --anew' begins anew.")

    def _copy_first(self, seen: Look) -> bool:
        """Make the copy of the header region, once. False when the user leaves."""
        if self._journal.copy_file:
            return True
        self._console.paragraph(
            "Before anything else luksafe keeps a copy of the beginning of the device as it is now, in two places. "
            "The device is not written to."
        )
        if self._console.choose("Enter makes the copy, q leaves:", ("", "q")) == "q":
            return False
        make_private_folder(self._folder)
        copy = keep_first_copy(self._workspace, self._device, self._folder, seen.header_bytes)
        self._journal.copy_file, self._journal.undo_id = str(copy.file), copy.undo_id
        self._save()
        self._console.success(f"kept {human_size(copy.size_bytes)}:")
        self._console.line(f"  {copy.file}")
        self._console.line("  and in " + ", ".join(map(str, copy.places)))
        self._console.line(f"  all back as it was: {self._undo(copy.undo_id)}")
        if copy.bad:
            self._console.warning(f"{copy.bad} bytes could not be read; the disk itself is failing: copy it first")
        return True

    def _undo(self, entry: str) -> str:
        # by the time that it is typed, the steps of the rescue have changed the device
        return shlex.join(["luksafe", *self._vault_options(), "undo", "--entry", entry, CHANGED_FLAG, self._device])

    def _choose(self, seen: Look) -> Way | None:
        """The way that the user takes; None when the user leaves."""
        ways = seen.outlook.ways
        going = next((way for way in ways if way.key == self._journal.way), None)
        if going is not None and self._journal.step:
            self._console.line(f"You were at step {self._journal.step + 1} of: {going.title}")
            if self._console.choose("Enter goes on there, w shows all ways:", ("", "w")) == "":
                return going
        while True:
            self._console.ways(ways)
            numbers = [str(number) for number in range(1, len(ways) + 1)]
            question = "Which way? A number; f: I have a backup or packet in a file; q: leave:"
            typed = self._console.choose(question, (*numbers, "f", "q") if numbers else ("f", "q"))
            if typed == "q":
                return None
            if typed == "f":
                way = self._import()
                if way is None:
                    return self._choose(self._look())
            else:
                way = ways[int(typed) - 1]
            self._journal.way, self._journal.step = way.key, 0
            self._save()
            return way

    def _import(self) -> Way | None:
        """Take a header backup or an escrow packet into the vault: then the ways that it opens are shown.

        What names a backup in the vault instead is the way to try that one.
        """
        path = ask("Its path, or a backup in the vault (Enter: none): ")
        if not path:
            return None
        if not os.path.lexists(path):
            try:
                with self._workspace.open_vault() as vault:
                    return try_backup(self._device, vault.resolve(path), "you named it")
            except LuksafeError:
                pass  # the command says what is wrong with the path
        verb = ("escrow", "import") if _is_packet(path) else ("import",)
        self._run(Step(("luksafe", *verb, path), ""))
        return None

    def _walk(self, way: Way) -> None:
        """Step by step along a way, until it ends, fails, or is left."""
        if way.key == "search":
            self._search(way.steps[0])
            return
        for number in range(self._journal.step, len(way.steps)):
            self._journal.step = number
            self._save()
            if not self._take(way.steps[number], number + 1, len(way.steps)):
                return
        self._journal.way, self._journal.step = "", 0
        self._save()

    def _take(self, step: Step, number: int, count: int) -> bool:
        """One step. False when the way ends here."""
        while True:
            self._console.step(step, number, count, self._shown(step))
            question = "r: run it, o: add an option, s: skip it, b: back to the ways, q: leave:"
            typed = self._console.choose(question, ("r", "o", "s", "b", "q"))
            if typed == "q":
                self._is_left = True
                return False
            if typed == "b":
                self._journal.way, self._journal.step = "", 0
                self._save()
                return False
            if typed == "s":
                return True
            if typed == "o":
                step = self._with_options(step)
                continue
            status = self._run(step)
            if status in DONE_STATUSES:
                self._note_success(step)
                return True
            self._console.rule(f"That did not work: {_STATUS_WORDS.get(status, f'exit status {status}')}")

    def _with_options(self, step: Step) -> Step:
        """The step with what its command says that it wants: the file of a key, a danger that is accepted."""
        try:
            return replace(step, command=(*step.command, *shlex.split(ask("Its options, as in a shell: "))))
        except ValueError:
            self._console.warning("a quotation mark is open; nothing was added")
            return step

    def _note_success(self, step: Step) -> None:
        if step.proves and not self._journal.is_finished:
            self._journal.is_finished = True
            self._save()
            self._console.success("The data can be read.")

    def _search(self, step: Step) -> None:
        self._console.step(step, 1, 1, self._shown(step))
        if self._console.choose("r: run it, b: back to the ways:", ("r", "b")) == "b":
            self._journal.way = ""
            return
        with Progress(self._app, "searching", None) as progress:
            found, self._journal.guesses = search(self._workspace, self._device, lambda label, size: progress)
        self._journal.note(step.shown, 0, timestamp(self._workspace.now()))
        self._journal.way, self._journal.step = "", 0
        self._save()
        for line in scan_lines(found, self._device, colored=self._app.is_colored):
            self._console.line(line)

    def _run(self, step: Step) -> int:
        """Run a command on this terminal; its exit status, which the journal keeps."""
        command = list(step.command)
        if command[0] == "luksafe":
            command = [sys.executable, "-P", "-m", "luksafe", *self._vault_options(), *command[1:]]
        else:
            command[0] = find_program(command[0]) or command[0]
        sys.stdout.flush()
        try:
            status = subprocess.run(command, check=False, env=environment()).returncode
        except OSError:
            status = 127
        except KeyboardInterrupt:
            echo()
            status = 130
        self._journal.note(self._shown(step), status, timestamp(self._workspace.now()))
        self._save()
        return status

    def _shown(self, step: Step) -> str:
        """The command as it can be typed again elsewhere."""
        options = self._vault_options() if step.command[0] == "luksafe" else []
        return shlex.join([step.command[0], *options, *step.command[1:]])

    def _vault_options(self) -> Sequence[str]:
        vault = self._app.vault
        named = [] if vault is None or os.environ.get("LUKSAFE_VAULT") == str(vault) else ["--vault", str(vault)]
        return [*named, *([FLAG] if self._app.allow_foreign_vault else [])]

    def _save(self) -> None:
        write_journal(self._folder, self._journal)

    def _leave(self) -> int:
        self._console.rule("You leave the rescue; nothing is lost")
        self._console.line(f"  to go on: {self._again()}")
        if self._journal.copy_file:
            self._console.line(f"  the copy of the header region: {self._journal.copy_file}")
        return EXIT_NEGATIVE

    def _again(self) -> str:
        return shlex.join(["luksafe", *self._vault_options(), "rescue", self._device])

    def _farewell(self) -> int:
        self._console.rule("The data can be read. What was done:")
        for item in self._journal.done:
            if item.status in DONE_STATUSES:
                self._console.line(f"  {item.command}")
        device = shlex.quote(self._device)
        self._console.line()
        self._console.paragraph("Now, before anything else:")
        self._console.line("  copy out what you cannot lose (luksafe cp, luksafe extract)")
        self._console.line(f"  luksafe backup {device}      if the header on it is whole again")
        self._console.line("  then check the filesystem read-only first: fsck -n")
        self._console.line(f"  the first copy stays in {self._journal.copy_file}")
        return 0 if all(item.status != EXIT_WARNINGS for item in self._journal.done) else EXIT_WARNINGS


def _is_packet(path: str) -> bool:
    try:
        read_packet_file(Path(path))
    except LuksafeError:
        return False
    return True
