"""One session of a rescue: the conversation, and the commands that it runs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App
from luksafe.cli.progress import Progress
from luksafe.cli.prompts import ask
from luksafe.cli.rescue_answers import IN_VAIN, OTHER_ANSWERS, STATUS_WORDS, question
from luksafe.cli.rescue_console import Console
from luksafe.cli.scan_text import scan_lines
from luksafe.cli.terminal import echo
from luksafe.cli.text import human_size
from luksafe.device.identity import describe
from luksafe.errors import LuksafeError
from luksafe.ops.own_folder import FLAG, make_private_folder
from luksafe.ops.rescue.first_copy import keep_first_copy
from luksafe.ops.rescue.journal import Journal, journal_folder, read_journal, write_journal
from luksafe.ops.rescue.look import Look, look, search, searched_words
from luksafe.ops.rescue.model import DONE_STATUSES, Step, Way, after_write
from luksafe.ops.rescue.offered import way_with
from luksafe.ops.undo import CHANGED_FLAG
from luksafe.programs import environment, find_program
from luksafe.vault.record import timestamp


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
        self._shows_all = False

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
                before_it, seen = seen, self._look()
                if replace(before_it.outlook, ways=()) != replace(seen.outlook, ways=()):  # else it was told
                    self._console.outlook(seen.outlook, self._device)
        return self._farewell() if self._journal.is_finished else self._leave()

    def _look(self) -> Look:
        if not self._app.quiet:
            self._console.line(f"looking at {self._device} (nothing is written) …")
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
            way = self._ask_way(seen)
            if isinstance(way, Way):
                self._journal.way, self._journal.step = way.key, 0
                self._save()
                return way
            if way == "q":
                return None
            if way == "f":
                seen = self._look()

    def _ask_way(self, seen: Look) -> Way | str:
        """A way, or what was typed instead."""
        tried = self._journal.tried
        ways = seen.outlook.ways if self._shows_all else seen.outlook.left(tried)
        self._shows_all = False
        if tried:
            self._console.tried(tried)
        if ways:
            self._console.ways(ways)
        else:
            self._console.nothing_left(seen.outlook, self._device)
        numbers = [str(number) for number in range(1, len(ways) + 1)]
        again = ["a"] if len(ways) < len(seen.outlook.ways) else []
        typed = self._console.choose(question(bool(numbers), bool(again)), (*numbers, "f", *again, "q"))
        if typed == "f":
            return self._take_file(seen) or "f"
        self._shows_all = typed == "a"
        return typed if typed in ("a", "q") else ways[int(typed) - 1]

    def _take_file(self, seen: Look) -> Way | None:
        """What the user has: a way with it, or None where it is in the vault now, so that a new look shows its ways."""
        path = ask("Its path, or a backup in the vault (Enter: none): ")
        if not path:
            return None
        try:
            offer = way_with(self._workspace, self._device, path)
        except LuksafeError as problem:
            self._console.warning(str(problem))
            if problem.hint:
                self._console.paragraph(problem.hint)
            return None
        for step in offer.keep:
            if self._run(step) not in DONE_STATUSES:
                return None
        if offer.keep and any(way.key.startswith("packet:") for way in self._look().outlook.left(self._journal.tried)):
            return None
        return offer.way

    def _walk(self, way: Way) -> None:
        """Step by step along a way, until it ends, fails, or is left."""
        if way.key == "search":
            self._search(way)
            return
        for number in range(self._journal.step, len(way.steps)):
            self._journal.step = number
            self._save()
            if not self._take(way, way.steps[number], number + 1):
                return
        self._journal.way, self._journal.step = "", 0
        self._save()

    def _take(self, way: Way, step: Step, number: int) -> bool:
        """One step. False when the way ends here."""
        answers = ["r: run it", *OTHER_ANSWERS]
        while True:
            self._console.step(step, number, len(way.steps), self._shown(step))
            typed = self._console.choose(f"{', '.join(answers)}:", [answer[0] for answer in answers])
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
            self._console.after_command()
            self._console.rule(f"That did not work: {STATUS_WORDS.get(status, f'exit status {status}')}")
            if status in IN_VAIN:  # Enter does not ask the same again
                self._strike(way, f"{self._shown(step)}: {IN_VAIN[status]}")
                answers = ["b: back to the ways", "r: run it again", *OTHER_ANSWERS[:2], "q: leave"]

    def _strike(self, way: Way, answer: str) -> None:
        self._journal.strike(way, answer)
        self._save()

    def _with_options(self, step: Step) -> Step:
        """The step with what its command says that it wants: the file of a key, a danger that is accepted."""
        try:
            return replace(step, command=(*step.command, *shlex.split(ask("Its options, as in a shell: "))))
        except ValueError:
            self._console.warning("a quotation mark is open; nothing was added")
            return step

    def _note_success(self, step: Step) -> None:
        if step.writes:
            self._journal.tried = after_write(self._journal.tried)
            self._save()
        if step.proves and not self._journal.is_finished:
            self._journal.is_finished = True
            self._save()
            self._console.success("The data can be read.")

    def _search(self, way: Way) -> None:
        step = way.steps[0]
        self._console.step(step, 1, 1, self._shown(step))
        if self._console.choose("r: run it, b: back to the ways:", ("r", "b")) == "b":
            self._journal.way = ""
            return
        with Progress(self._app, "searching", None) as progress:
            found, self._journal.guesses = search(self._workspace, self._device, lambda label, size: progress)
        self._journal.note(step.shown, 0, timestamp(self._workspace.now()))
        self._journal.way, self._journal.step = "", 0
        if not self._journal.guesses:
            self._journal.strike(way, searched_words(found))
        self._save()
        for line in takewhile(
            lambda line: not line.startswith("next:"),  # what is next, the ways say
            scan_lines(found, self._device, colored=self._app.is_colored),
        ):
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
        self._console.rule("You leave the rescue; what was done and tried is kept")
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
