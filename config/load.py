"""Joins the sources and validates once: override > environment > file > default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, SecretStr, ValidationError

from config.catalogue import KEYS, SECTIONS, Key
from config.origin import (
    CONFIG_FILE_VARIABLE,
    Given,
    Layer,
    Origin,
    Source,
    read_environment,
    read_file,
    read_overrides,
)
from config.problem import Problem, SettingsError, masked, not_allowed
from config.settings import Settings

_DEFAULT = Origin(source=Source.DEFAULT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One row of `tollgate config show`.

    `value` is ready for JSON (secrets masked, the data directory absolute); `origin` is "default",
    "file PATH", "environment VARIABLE" or "override"; `unit` is "seconds", "bytes",
    "associations" or empty; `doc` is the meaning; `allowed` says in words what may be given;
    `variable` is the environment variable that would set it.
    """

    key: str
    value: bool | int | float | str
    origin: str
    unit: str
    doc: str
    allowed: str
    variable: str


def load_settings(
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read, join and validate the settings.

    `config_file` is a TOML file; without it the one named by `TOLLGATE_CONFIG`, if any. `environ`
    replaces the process's environment completely. `overrides` are typed values by dotted key
    (`{"dicom.port": 0}`) that beat everything. Relative paths are taken from the working directory.

    Raises:
        SettingsError: with every problem that was found. A value that is overruled by a stronger
            source is not examined.
    """
    settings, _ = _resolve(config_file, environ, overrides)
    return settings


def explain(
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> list[Setting]:
    """Say for every key its value and where it came from, in the order of the example file.

    Takes the arguments of `load_settings` and raises what it raises.
    """
    settings, given = _resolve(config_file, environ, overrides)
    return [_row(key, settings, given.get(key.name)) for key in KEYS.values()]


def _resolve(
    config_file: Path | None,
    environ: Mapping[str, str] | None,
    overrides: Mapping[str, object] | None,
) -> tuple[Settings, dict[str, Given]]:
    environ = os.environ if environ is None else environ
    layers = [
        _file_layer(config_file, environ),
        read_environment(environ),
        read_overrides(overrides or {}),
    ]
    given: dict[str, Given] = {}
    for layer in layers:
        given |= layer.given
    problems = [problem for layer in layers for problem in layer.problems]
    settings = _validated(given, problems)
    if settings is None:
        raise SettingsError(problems)
    return settings, given


def _file_layer(config_file: Path | None, environ: Mapping[str, str]) -> Layer:
    if config_file is not None:
        return read_file(config_file)
    if CONFIG_FILE_VARIABLE not in environ:
        return Layer()
    if path := environ[CONFIG_FILE_VARIABLE]:
        return read_file(Path(path))
    layer = Layer()
    message = f"{CONFIG_FILE_VARIABLE} is empty: allowed is the path of a TOML file; or unset it"
    layer.unusable(CONFIG_FILE_VARIABLE, CONFIG_FILE_VARIABLE, message)
    return layer


def _validated(given: Mapping[str, Given], problems: list[Problem]) -> Settings | None:
    """Build the settings, or add to `problems` and return nothing."""
    fields: dict[str, object] = {}
    for section, model in SECTIONS.items():
        fields[section] = _build(model, section, given, problems)
    for key in KEYS.values():
        if not key.section and key.name in given:
            fields[key.name] = given[key.name].value
    # A section that failed is replaced by its defaults, only to have the top-level keys examined.
    fields = {name: value for name, value in fields.items() if value is not None}
    try:
        settings = Settings.model_validate(fields)
    except ValidationError as error:
        _blame(error, "", given, problems)
        return None
    return None if problems else settings


def _build(
    model: type[BaseModel], section: str, given: Mapping[str, Given], problems: list[Problem]
) -> BaseModel | None:
    values = {
        key.field: given[key.name].value
        for key in KEYS.values()
        if key.section == section and key.name in given
    }
    try:
        return model.model_validate(values)
    except ValidationError as error:
        _blame(error, section, given, problems)
        return None


def _blame(
    error: ValidationError, section: str, given: Mapping[str, Given], problems: list[Problem]
) -> None:
    # One problem per key: `allowed` covers whatever the several errors of a field would say.
    fields = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors(include_url=False))
    for field in fields:
        key = KEYS[f"{section}.{field}" if section else field]
        # A default can be wrong too: ./tollgate-data in a directory whose path has a "?".
        default = Given(written=key.default, value=key.default, origin=_DEFAULT)
        wrong = given.get(key.name, default)
        problems.append(not_allowed(key, wrong.written, wrong.origin.where))


def _row(key: Key, settings: Settings, given: Given | None) -> Setting:
    holder = getattr(settings, key.section) if key.section else settings
    return Setting(
        key=key.name,
        value=_plain(getattr(holder, key.field)),
        origin=str(_DEFAULT if given is None else given.origin),
        unit=key.unit,
        doc=key.doc,
        allowed=key.allowed,
        variable=key.variable,
    )


def _plain(value: object) -> bool | int | float | str:
    match value:
        case SecretStr():
            return masked(value.get_secret_value())
        case bool() | int() | float() | str():
            return value
        case _:
            return str(value)
