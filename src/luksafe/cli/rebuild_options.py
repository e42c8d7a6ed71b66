"""Options of ``rebuild`` that are groups of their own: the parameters of a volume, and what a new keyslot costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import click

from luksafe.cli.keys import ask_new_passphrase, read_key_file
from luksafe.errors import UsageError
from luksafe.luks.create import KdfChoice, Parameters
from luksafe.ops.rebuild.new_header import default_kdf
from luksafe.secret import SecretBytes

PARAMETER_NAMES = ("type_", "uuid", "label", "cipher", "sector_size", "data_offset", "iv_offset", "hash_")
NEW_KEY_NAMES = ("new_key_file", "pbkdf", "pbkdf_force_iterations", "pbkdf_memory", "pbkdf_parallel", "hash_")
KdfType = Literal["pbkdf2", "argon2i", "argon2id"]
LEAST_ITERATIONS = {"pbkdf2": 1000, "argon2i": 4, "argon2id": 4}


@dataclass(frozen=True)
class StatedParameters:
    """What the command line says of the volume; offsets in bytes, the IV offset in 512-byte sectors."""

    type_: str | None = None
    uuid: str | None = None
    label: str | None = None
    cipher: str | None = None
    sector_size: int | None = None
    data_offset: int | None = None
    iv_offset: int | None = None
    hash_: str | None = None

    def parameters(self) -> Parameters | None:
        """All parameters, None where none but the UUID is stated. Raises UsageError where some lack."""
        stated = (self.type_, self.cipher, self.data_offset, self.sector_size, self.iv_offset)
        if all(value is None for value in stated):
            return None
        needed: dict[str, object] = {
            "--type": self.type_,
            "--uuid": self.uuid,
            "--cipher": self.cipher,
            "--data-offset": self.data_offset,
        }
        if self.type_ != "luks1":
            needed["--sector-size"] = self.sector_size
        missing = [name for name, value in needed.items() if value is None]
        if missing or not (self.uuid and self.cipher) or self.data_offset is None:
            raise UsageError(f"the parameters are not complete: {' '.join(missing)}", hint="state all of them, or none")
        return Parameters(
            format="luks1" if self.type_ == "luks1" else "luks2",
            uuid=self.uuid,
            encryption=self.cipher,
            data_offset=self.data_offset,
            sector_size=self.sector_size or 512,
            iv_tweak=self.iv_offset or 0,
            label=self.label or "",
            hash=self.hash_ or "sha256",
        )


def parameter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The parameters of a volume; the function gets them as one ``stated: StatedParameters``."""

    def run(*args: Any, **options: Any) -> Any:
        values = {name: options.pop(name) for name in PARAMETER_NAMES if name != "hash_"}
        return function(*args, stated=StatedParameters(**values, hash_=options.get("hash_")), **options)

    return _decorate(
        run,
        function,
        click.option("--type", "type_", type=click.Choice(["luks1", "luks2"]), help="Format of the header."),
        click.option("--uuid", help="UUID of the volume."),
        click.option("--label", help="Label of the volume."),
        click.option("--cipher", help="Cipher of the data, such as aes-xts-plain64."),
        click.option("--sector-size", type=click.Choice(["512", "1024", "2048", "4096"]), callback=_number),
        click.option("--data-offset", type=click.IntRange(0), help="Where the data begin, in bytes."),
        click.option("--iv-offset", type=click.IntRange(0), help="What is added to the IV, in 512-byte sectors."),
    )


def _number(ctx: click.Context, option: click.Parameter, value: str | None) -> int | None:
    return None if value is None else int(value)


@dataclass(frozen=True)
class NewKey:
    """The new passphrase and what deriving its key costs."""

    new_key_file: str | None = None
    pbkdf: KdfType | None = None
    pbkdf_force_iterations: int | None = None
    pbkdf_memory: int | None = None
    pbkdf_parallel: int | None = None
    hash_: str | None = None

    def passphrase(self, what_for: str) -> SecretBytes:
        """From ``--new-key-file``, else typed twice. Raises UsageError when it is empty."""
        if not self.new_key_file:
            return ask_new_passphrase(f"New passphrase for {what_for}", "--new-key-file")
        found = read_key_file(self.new_key_file)
        if not len(found):
            raise UsageError(f"{self.new_key_file} is empty; nothing was done")
        return found

    def kdf(self, is_luks1: bool) -> KdfChoice:
        """cryptsetup's choice with what was asked for. Raises UsageError for what LUKS1 cannot have."""
        if is_luks1 and self.pbkdf not in (None, "pbkdf2"):
            raise UsageError("LUKS1 knows PBKDF2 only", hint="leave --pbkdf out")
        kdf = default_kdf()
        kdf = replace(kdf, type="pbkdf2" if is_luks1 else self.pbkdf or kdf.type, hash=self.hash_ or kdf.hash)
        if self.pbkdf_force_iterations is not None:
            least = LEAST_ITERATIONS[kdf.type]
            if self.pbkdf_force_iterations < least:
                raise UsageError(f"{kdf.type} has at least {least} iterations")
            name = "iterations" if kdf.type == "pbkdf2" else "time"
            kdf = replace(kdf, **{name: self.pbkdf_force_iterations})  # type: ignore[arg-type]
        return replace(kdf, memory_kib=self.pbkdf_memory or kdf.memory_kib, cpus=self.pbkdf_parallel or kdf.cpus)


def new_key_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The new passphrase; the function gets it as one ``new_key: NewKey``."""

    def run(*args: Any, **options: Any) -> Any:
        values = {name: options.pop(name) for name in NEW_KEY_NAMES}
        return function(*args, new_key=NewKey(**values), **options)

    kinds = click.Choice(["pbkdf2", "argon2i", "argon2id"])
    return _decorate(
        run,
        function,
        click.option("--new-key-file", help="The new passphrase from a file, bytes exact; - is standard input."),
        click.option("--pbkdf", type=kinds, help="Key derivation of the new keyslot (LUKS2: argon2id)."),
        click.option("--pbkdf-force-iterations", type=click.IntRange(1), help="Its iterations, or passes of Argon2."),
        click.option("--pbkdf-memory", type=click.IntRange(32, 4 << 20), help="Memory of Argon2, in KiB."),
        click.option("--pbkdf-parallel", type=click.IntRange(1, 4), help="Lanes of Argon2."),
        click.option("--hash", "hash_", help="Hash of PBKDF2 and of the digest."),
    )


def _decorate(
    run: Callable[..., Any], function: Callable[..., Any], *options: Callable[..., Any]
) -> Callable[..., Any]:
    run.__doc__, run.__name__ = function.__doc__, function.__name__
    run.__dict__.update(function.__dict__)
    for option in reversed(options):
        run = option(run)
    return run
