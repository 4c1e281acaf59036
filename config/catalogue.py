"""The list of all keys, derived from the models: names, variables, limits in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from config.settings import Settings

ENVIRONMENT_PREFIX = "TOLLGATE_"
FILE_SUFFIX = "_FILE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One key of the settings; `section` is empty for a key at the top of the file."""

    section: str
    field: str
    type: Any
    default: bool | int | float | str
    doc: str
    unit: str
    allowed: str
    secret: bool

    @property
    def name(self) -> str:
        """The dotted name, such as `dicom.port`."""
        return f"{self.section}.{self.field}" if self.section else self.field

    @property
    def variable(self) -> str:
        """The environment variable that sets it, such as `TOLLGATE_DICOM__PORT`."""
        return ENVIRONMENT_PREFIX + self.name.replace(".", "__").upper()


def _allowed(field: FieldInfo, written: str) -> str:
    """Say in words what a key accepts, from its type and limits unless `written` says it."""
    if written:
        return written
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(get_args(field.annotation))
    if field.annotation is bool:
        return "true or false"
    low = next(limit.ge for limit in field.metadata if hasattr(limit, "ge"))
    high = next(limit.le for limit in field.metadata if hasattr(limit, "le"))
    noun = "a whole number" if field.annotation is int else "a number"
    return f"{noun} from {low} to {high}"


def _key(section: str, name: str, field: FieldInfo) -> Key:
    extra = field.json_schema_extra
    assert isinstance(extra, dict), f"{name} was not declared with its unit"
    default = field.default
    return Key(
        section=section,
        field=name,
        type=field.annotation,
        default=default.get_secret_value() if isinstance(default, SecretStr) else default,
        doc=field.description or "",
        unit=str(extra["unit"]),
        allowed=_allowed(field, str(extra["allowed"])),
        secret=bool(extra["secret"]),
    )


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def _keys() -> Iterator[Key]:
    for name, field in Settings.model_fields.items():
        if name not in SECTIONS:
            yield _key("", name, field)
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            yield _key(section, name, field)


SECTIONS: Mapping[str, type[BaseModel]] = MappingProxyType(dict(_sections()))
"""Section name to model, in the order of the model."""

KEYS: Mapping[str, Key] = MappingProxyType({key.name: key for key in _keys()})
"""Dotted name to key, the top-level keys first."""
