"""Reads the sources: a TOML file, environment variables, overrides. Nothing is validated here.

Each reader returns what was given by key, with its origin, and the problems of the source itself.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from config.catalogue import ENVIRONMENT_PREFIX, FILE_SUFFIX, KEYS, SECTIONS, Key
from config.problem import Problem

CONFIG_FILE_VARIABLE = "TOLLGATE_CONFIG"
IGNORED_PREFIXES = ("TOLLGATE_TEST_", "TOLLGATE_REQUIRE_PEERS")
CONFIG_FILE_BYTES_MAX = 1024 * 1024
SECRET_FILE_BYTES_MAX = 64 * 1024

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_SERVICE_LINK = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT|_PORT_[0-9]+_(TCP|UDP|SCTP)|_PORT$")


class Source(StrEnum):
    """The kinds of places a value comes from, the weakest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    OVERRIDE = "override"


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a value came from; `name` is a file's path or a variable, else empty."""

    source: Source
    name: str = ""

    def __str__(self) -> str:
        """Return it as `config show` prints it: `environment TOLLGATE_DICOM__PORT`."""
        return f"{self.source} {self.name}" if self.name else str(self.source)

    @property
    def where(self) -> str:
        """Return it as error messages name it: the bare variable, `file PATH`, `override`."""
        return self.name if self.source is Source.ENVIRONMENT else str(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A value somebody gave: as written (for messages), as typed (for the model), from where."""

    written: object
    value: object
    origin: Origin


@dataclass(kw_only=True, slots=True)
class Layer:
    """What one source says."""

    given: dict[str, Given] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, name: str, value: object, origin: Origin, *, written: object = None) -> None:
        """Note a value for a known key."""
        shown = value if written is None else written
        self.given[name] = Given(written=shown, value=value, origin=origin)

    def unknown(
        self, kind: str, name: str, where: str, known: Iterable[str], *, hint: str = ""
    ) -> None:
        """Note a name that nobody knows. Its value is left out: it may be a mistyped secret."""
        text = f"unknown {kind} {name} (from {where}){_did_you_mean(name, list(known))}{hint}"
        self.problems.append(Problem(key=name, where=where, message=text))

    def unusable(self, name: str, where: str, message: str) -> None:
        """Note anything else that is wrong with the source."""
        self.problems.append(Problem(key=name, where=where, message=message))


def _did_you_mean(name: str, known: list[str]) -> str:
    # First the key under another section or none: "port" is no nearer to http.port than to
    # dicom.port, whatever the spelling says.
    guesses = [other for other in known if other.endswith(f".{name.rpartition('.')[2]}")]
    if not guesses:
        near = difflib.get_close_matches(name.upper(), [other.upper() for other in known], n=1)
        guesses = [other for other in known if other.upper() in near]
    return f": did you mean {' or '.join(guesses)}?" if guesses else ""


def read_overrides(overrides: Mapping[str, object]) -> Layer:
    """Take values by dotted key, typed as in the model (`{"dicom.port": 0}`)."""
    layer = Layer()
    origin = Origin(source=Source.OVERRIDE)
    for name, value in overrides.items():
        if name in KEYS:
            layer.add(name, value, origin)
        else:
            layer.unknown("key", name, origin.where, KEYS)
    return layer


def read_file(path: Path) -> Layer:
    """Read a TOML file of at most 1 MiB."""
    layer = Layer()
    origin = Origin(source=Source.FILE, name=str(path))
    try:
        text = _read_text(path, CONFIG_FILE_BYTES_MAX)
        document = tomllib.loads(text)
    except (OSError, ValueError) as error:
        layer.unusable(str(path), origin.where, f"{origin.where} {_reason(error)}")
        return layer
    for name, value in document.items():
        if name in SECTIONS and isinstance(value, dict):
            _read_section(layer, name, value, origin)
        elif name in SECTIONS:
            message = f"{name} (from {origin.where}) is a section: write [{name}] above its keys"
            layer.unusable(name, origin.where, message)
        elif name in KEYS and not KEYS[name].section:
            layer.add(name, value, origin)
        elif isinstance(value, dict):
            layer.unknown("section", name, origin.where, SECTIONS)
        else:
            layer.unknown("key", name, origin.where, KEYS)
    return layer


def _read_section(layer: Layer, section: str, table: Mapping[str, object], origin: Origin) -> None:
    for field_name, value in table.items():
        name = f"{section}.{field_name}"
        if name in KEYS:
            layer.add(name, value, origin)
        else:
            layer.unknown("key", name, origin.where, KEYS)


def read_environment(environ: Mapping[str, str]) -> Layer:
    """Take the `TOLLGATE_` variables of `environ`; an empty variable is a value like any other."""
    layer = Layer()
    by_variable = {key.variable: key for key in KEYS.values()}
    by_file_variable = {key.variable + FILE_SUFFIX: key for key in KEYS.values() if key.secret}
    for variable in _ours(environ):
        text = environ[variable]
        origin = Origin(source=Source.ENVIRONMENT, name=variable)
        if key := by_variable.get(variable):
            layer.add(key.name, _typed(key, text), origin, written=text)
        elif key := by_file_variable.get(variable):
            _read_secret(layer, key, text, origin, both=key.variable in environ)
        else:
            _unknown_variable(layer, variable, [*by_variable, *by_file_variable])
    return layer


def _ours(environ: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environ):
        # Also in the wrong case, so that tollgate_dicom__port is told rather than overlooked.
        if not name.upper().startswith(ENVIRONMENT_PREFIX) or name == CONFIG_FILE_VARIABLE:
            continue
        if not name.startswith(IGNORED_PREFIXES):
            yield name


def _unknown_variable(layer: Layer, variable: str, known: list[str]) -> None:
    base = variable.removesuffix(FILE_SUFFIX)
    if base != variable and base in known:
        message = f"{variable} cannot be used: only a secret is read from a file; set {base}"
        layer.unusable(variable, variable, message)
        return
    hint = ""
    if "__" not in variable and _SERVICE_LINK.search(variable):
        # Not ignored: TOLLGATE_DICOM_PORT may as well be a mistyped TOLLGATE_DICOM__PORT.
        hint = " (if Kubernetes set it for a Service: enableServiceLinks: false)"
    layer.unknown("variable", variable, "the environment", known, hint=hint)


def _read_secret(layer: Layer, key: Key, path: str, origin: Origin, *, both: bool) -> None:
    if both:
        message = f"{key.name}: {key.variable} and {origin.name} are both set; set one of them"
        layer.unusable(key.name, origin.where, message)
        return
    try:
        # Editors and `echo` end a file with a newline, which is no part of the secret.
        text = _read_text(Path(path), SECRET_FILE_BYTES_MAX).rstrip("\r\n")
    except (OSError, ValueError) as error:
        message = f"{key.name} (from {origin.where}): file {path} {_reason(error)}"
        layer.unusable(key.name, origin.where, message)
        return
    if text:
        layer.add(key.name, text, origin)
    else:
        # A secret that was not mounted in time must not become the default.
        message = f"{key.name} (from {origin.where}): file {path} is empty"
        layer.unusable(key.name, origin.where, message)


def _typed(key: Key, text: str) -> object:
    """Turn a variable's text into the key's type; what does not fit stays text and is refused."""
    plain = text.strip()
    if key.type is bool:
        return {"true": True, "false": False}.get(plain.lower(), text)
    if key.type is int:
        return int(plain) if _WHOLE_NUMBER.fullmatch(plain) else text
    if key.type is float:
        try:
            return float(plain)
        except ValueError:
            return text
    return text


def _read_text(path: Path, bytes_max: int) -> str:
    with path.open("rb") as file:
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise ValueError(f"is larger than {bytes_max} bytes")
    return content.decode("utf-8")


def _reason(error: OSError | ValueError) -> str:
    # The text of a decoding error quotes the bytes, which may be those of a secret.
    match error:
        case OSError():
            return f"cannot be read: {error.strerror}"
        case UnicodeDecodeError():
            return "is not UTF-8 text"
        case tomllib.TOMLDecodeError():
            return f"is not valid TOML: {error}"
        case _:
            return str(error)
