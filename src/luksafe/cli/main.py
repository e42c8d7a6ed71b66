"""The entry point: find the verb, run it, and turn every error into one clear message and an exit status."""

from __future__ import annotations

import importlib
import os
import resource
import sys
from typing import Any, NoReturn

import click

from luksafe import __version__
from luksafe.cli.app import App, global_options
from luksafe.cli.verbs import EXAMPLES, SECTIONS, VERBS
from luksafe.errors import LuksafeError

EXIT_INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a verb's module only when that verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return [verb.name for verb in VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command behind a verb; None when there is no such verb."""
        for verb in VERBS:
            if verb.name == cmd_name:
                command: click.Command = importlib.import_module(verb.module).command
                if verb.name in EXAMPLES:
                    command.epilog = f"\b\nExample:\n  {EXAMPLES[verb.name]}"
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs by section, from the table alone."""
        for section, title in SECTIONS.items():
            rows = [(verb.name, verb.help) for verb in VERBS if verb.section == section]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="luksafe")
@global_options
@click.pass_context
def cli(ctx: click.Context, /, **settings: Any) -> None:
    """Never lose access to a LUKS volume: keep its header, get back in, escrow its key."""
    ctx.obj = App.from_options(settings)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the status that DESIGN's table gives (see spec/exit-codes.md)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # it would hold keys
    _require_streams()
    for stream in (sys.stdout, sys.stderr):
        # a terminal without UTF-8 shows a question mark instead of ending in a traceback
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status = cli.main(arguments, standalone_mode=False, prog_name="luksafe")
        sys.stdout.flush()
    except LuksafeError as error:
        status = App.current().report_error(error)
    except click.exceptions.Exit as leave:
        status = leave.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("luksafe: interrupted", err=True)
        status = EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; Python would complain once more at exit
        status = 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"luksafe: {where}{error.strerror or error}", err=True)
        _drop_output()
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _require_streams() -> None:
    """With a standard stream closed, the next file that is opened, a device perhaps, would stand in its place."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            if sys.stderr is not None:
                sys.stderr.write(f"luksafe: {name} is closed; nothing was done\n  next: send it to /dev/null instead\n")
            os._exit(2)


def _drop_output() -> None:
    """What could not be written (a full disk) is not tried again when Python ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
