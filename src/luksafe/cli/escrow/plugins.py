"""What an age plugin (a hardware key, a TPM) may ask of the user, asked on the terminal."""

from __future__ import annotations

from luksafe.cli.app import App
from luksafe.cli.keys import ask_passphrase
from luksafe.cli.prompts import ask
from luksafe.errors import UsageError
from luksafe.escrow.recipients.age import PluginCallbacks


class TerminalCallbacks(PluginCallbacks):
    """Shows messages on stderr and asks on the terminal; without one it cannot ask."""

    def __init__(self, app: App) -> None:
        self._app = app

    def display_message(self, message: str) -> None:
        """Show a message, such as "touch the key now"."""
        self._app.say(message)

    def confirm(self, message: str, yes_string: str, no_string: str | None) -> bool | None:
        """Ask which of two words."""
        try:
            return ask(f"{message} [{yes_string}/{no_string or 'no'}] ").lower() == yes_string.lower()
        except UsageError:
            return None

    def request_public_string(self, description: str) -> str | None:
        """Ask for something that is no secret."""
        try:
            return ask(f"{description}: ")
        except UsageError:
            return None

    def request_passphrase(self, description: str) -> str | None:
        """Ask for a PIN or passphrase, echo off."""
        try:
            with ask_passphrase(f"{description}: ") as typed:
                return typed.reveal().decode("utf-8", "replace")
        except UsageError:
            return None
