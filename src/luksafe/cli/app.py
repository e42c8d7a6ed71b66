"""What every verb gets: the global options, and one way to print results, warnings and errors."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, is_dataclass
from enum import Enum
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, Self

import click

from luksafe.cli.faults import show_faults
from luksafe.cli.terminal import echo, style
from luksafe.errors import LuksafeError
from luksafe.visible import ascii_json

if TYPE_CHECKING:
    from luksafe.ops.workspace import Workspace

Parameters = ParamSpec("Parameters")

ROOT_VAULT = Path("/var/lib/luksafe")
EXIT_DONE, EXIT_WARNINGS, EXIT_NEGATIVE = 0, 3, 10
KEY_NAMES = (
    *("key_file", "keyfile_offset", "keyfile_size", "key_slot", "volume_key_file", "packet", "identity", "share"),
    *("max_kdf_memory", "max_kdf_time", "max_kdf_iterations"),
)
"""Options that say with which key, and how hard to try it; with the same meaning wherever they are."""
_GLOBAL_NAMES = ("vault", "json", "yes", "verbose", "quiet", "no_color", "allow_foreign_vault")


@dataclass
class App:
    """The settings of one run. ``vault`` is the folder of the vault; results go to stdout, all prose to stderr."""

    vault: Path | None = None
    json: bool = False
    yes: bool = False
    verbose: bool = False
    quiet: bool = False
    no_color: bool = False
    allow_foreign_vault: bool = False
    words: tuple[str, ...] = ()
    """The command line as it was typed, without the name of the program."""
    warned: set[str] = field(default_factory=set)

    _current: ClassVar[App | None] = None

    @classmethod
    def begin(cls, words: Sequence[str]) -> Self:
        """The settings before any option is read."""
        App._current = app = cls(words=tuple(words))
        return app

    @classmethod
    def from_options(cls, options: dict[str, Any], inner: App | None = None) -> Self:
        """Options given before the verb, and those given after it (which win)."""
        base = asdict(inner) if inner else {}
        given = {name: value for name, value in options.items() if value}
        app = cls(**{**base, **given})
        show_faults(wanted=app.verbose)
        App._current = app
        return app

    @classmethod
    def current(cls) -> App:
        """The settings of this run, also when it failed before they were read."""
        return App._current or App()

    def vault_home(self) -> Path:
        """Where the vault is: the option, the variable, else the place for this user."""
        if self.vault:
            return self.vault
        if os.environ.get("LUKSAFE_VAULT"):
            return Path(os.environ["LUKSAFE_VAULT"])
        if os.geteuid() == 0:
            return ROOT_VAULT
        return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "luksafe"

    def has_root_another_vault(self) -> bool:
        """Whether this user's vault is the default one, and root has one as well."""
        is_default = not self.vault and not os.environ.get("LUKSAFE_VAULT")
        return is_default and os.geteuid() != 0 and os.path.lexists(ROOT_VAULT)

    def workspace(self) -> Workspace:
        """What operations work with."""
        from luksafe.ops.workspace import Workspace  # `--help` needs none

        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "luksafe"
        allowed = self.allow_foreign_vault
        return Workspace(self.vault_home(), state_folder=state, warn=self.warn_once, allow_foreign=allowed)

    @property
    def is_colored(self) -> bool:
        """Whether stdout is a terminal that wants colour."""
        return sys.stdout.isatty() and not self.no_color and "NO_COLOR" not in os.environ

    def emit(self, result: dict[str, Any], render: Callable[[], Iterable[str] | None]) -> None:
        """Print a result: the object with ``--json``, else the lines that ``render`` gives (or prints itself)."""
        if self.json:
            click.echo(to_json(result))
            return
        for line in render() or ():
            echo(line)

    def say(self, text: str) -> None:
        """Prose about what is going on, to stderr; silent with ``-q``. That nobody reads it stops no write half way."""
        if not self.quiet:
            with suppress(OSError):
                echo(text, err=True)

    def warn(self, text: str) -> None:
        """A warning, to stderr, always."""
        label = style("warning:", fg="yellow") if self._stderr_is_colored() else "warning:"
        with suppress(OSError):
            echo(f"{label} {text}", err=True)

    def warn_once(self, text: str) -> None:
        """A warning that several parts of one run may have; told the first time."""
        if text not in self.warned:
            self.warned.add(text)
            self.warn(text)

    def report_error(self, error: LuksafeError) -> int:
        """Print an error and its hint to stderr (with ``--json`` the object to stdout as well); gives the status."""
        label = style("luksafe:", fg="red", bold=True) if self._stderr_is_colored() else "luksafe:"
        echo(f"{label} {error}", err=True)
        if error.hint:
            echo(f"  next: {error.hint}", err=True)
        self.emit_error(error)
        return error.exit_status

    def emit_error(self, error: LuksafeError) -> None:
        """Print an error as an object on stdout, with ``--json``."""
        if self.json:
            body = {"code": error.code, "message": str(error), "hint": error.hint}
            findings = [plain(f) for f in getattr(error, "findings", ())] or error.result.get("findings", [])
            click.echo(to_json({**error.result, "error": body, "findings": findings}))

    def _stderr_is_colored(self) -> bool:
        return sys.stderr.isatty() and not self.no_color and "NO_COLOR" not in os.environ


def plain(value: Any) -> Any:
    """Dataclasses, enums, bytes and paths as JSON has them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(item) for name, item in asdict(value).items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def to_json(result: Any) -> str:
    """One JSON object, indented: exact, and harmless to a terminal all the same."""
    return ascii_json(json.dumps(plain(result), indent=2, ensure_ascii=False))


def global_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every verb takes, before or after its name."""
    options = (
        click.option(
            "--vault",
            type=click.Path(path_type=Path, readable=False),
            help="Folder of the vault; else $LUKSAFE_VAULT, else /var/lib/luksafe (root) or ~/.local/share/luksafe.",
        ),
        click.option("--json", is_flag=True, help="Print one JSON object on stdout."),
        click.option("--yes", is_flag=True, help="Take the plan as confirmed."),
        click.option("-v", "--verbose", is_flag=True, help="Say more."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing of what is well."),
        click.option("--no-color", is_flag=True, help="No colours."),
        click.option("--allow-foreign-vault", is_flag=True, help="As root, use a vault of another user."),
    )
    for option in reversed(options):
        function = option(function)
    return function


class SectionedCommand(click.Command):
    """A verb whose help has its own options first, then those of keys, then those that every verb has."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section for each kind of options that it has."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Key options": [], "Options of every verb": []}
        for parameter in self.get_params(ctx):
            # what a verb takes stands in its usage line
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections[_section(parameter)].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _section(parameter: click.Parameter) -> str:
    if parameter.name in _GLOBAL_NAMES or "--help" in parameter.opts:
        return "Options of every verb"
    return "Key options" if parameter.name in KEY_NAMES else "Options"


def verb(function: Callable[Concatenate[App, Parameters], int | None]) -> click.Command:
    """A function of the app and its own options becomes a click command; what it returns is the exit status."""

    @click.pass_context
    def run(ctx: click.Context, /, *args: Any, **options: Any) -> int:
        from luksafe.cli.private_memory import keep_memory_private  # `--help` needs no ctypes

        keep_memory_private()
        settings = {name: options.pop(name) for name in _GLOBAL_NAMES}
        app = App.from_options(settings, ctx.obj)
        return function(app, *args, **options) or EXIT_DONE

    update_wrapper(run, function)
    context = {"help_option_names": ["-h", "--help"], "max_content_width": 80}
    return click.command(cls=SectionedCommand, context_settings=context)(global_options(run))
