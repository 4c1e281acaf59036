"""Reads the catalogue of what is sold: the shipped `products.toml`, or the file that is set."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from config.problem import Problem, SettingsError
from config.settings import Settings
from quota.account import AI_PREFIX, CAPACITY, EXAM
from quota.catalogue import (
    LICENCE_PREFIX,
    SERVICE_PREFIX,
    Catalogue,
    Item,
    Per,
    ways_of_selling,
)
from quota.service_term import ServiceKind

PRICE_MAX = 10**15
"""A limit on everything: an order of the most units at the most for a price fits 128 bits."""
FILE_BYTES_MAX = 1024 * 1024
_SHIPPED = Path(__file__).with_name("products.toml")
_GROUPS = tuple(prefix.removesuffix(":") for prefix in (AI_PREFIX, LICENCE_PREFIX, SERVICE_PREFIX))
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SLUG_LENGTH_MAX = 50
_TITLE_LENGTH_MAX = 100
_DECIMALS = 2
_DECIMALS_MAX = 4
_CURRENCY = re.compile(r"[A-Z]{3}")
_KEYS = ("en", "zh", "price", "includes")


def load_catalogue(settings: Settings) -> Catalogue:
    """The catalogue that the settings name. Raises SettingsError with everything wrong with it."""
    path = Path(settings.catalogue) if settings.catalogue else _SHIPPED
    try:
        # One byte more than is allowed tells that there is more.
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise ValueError(f"has more than {FILE_BYTES_MAX:,} bytes")
        document = tomllib.loads(content.decode())
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _unreadable(path, f"is no catalogue: {error}") from error
    reader = _Reader(path)
    catalogue = reader.catalogue(document)
    if reader.problems:
        raise SettingsError(reader.problems)
    return catalogue


def _unreadable(path: Path, what: str) -> SettingsError:
    return SettingsError([_problem(path, "catalogue", what)])


def _problem(path: Path, name: str, what: str) -> Problem:
    return Problem(key=name, where=f"file {path}", message=f"{name} (from file {path}) {what}")


class _Reader:
    """Collects every problem, for they are repaired together."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problems: list[Problem] = []

    def _wrong(self, name: str, what: str) -> None:
        self.problems.append(_problem(self._path, name, what))

    def catalogue(self, document: Mapping[str, Any]) -> Catalogue:
        currency = document.get("currency")
        if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
            self._wrong("currency", 'is to be three capitals, as "CNY" (ISO 4217)')
            currency = "XXX"
        items = {name: self._item(name, table) for name, table in self._products(document)}
        return Catalogue(currency=currency, decimals=self._decimals(document), items=items)

    def _decimals(self, document: Mapping[str, Any]) -> int:
        decimals = document.get("decimals", _DECIMALS)
        if type(decimals) is int and 0 <= decimals <= _DECIMALS_MAX:
            return decimals
        self._wrong("decimals", f"is to be a whole number from 0 to {_DECIMALS_MAX}")
        return _DECIMALS

    def _products(self, document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for name, value in document.items():
            if name in {"currency", "decimals"}:
                continue
            if name not in {EXAM, CAPACITY, *_GROUPS}:
                known = ", ".join((EXAM, CAPACITY, *(f"{group}.NAME" for group in _GROUPS)))
                self._wrong(name, f"is unknown: allowed are currency, decimals, {known}")
            elif not isinstance(value, dict):
                self._wrong(name, f"is a section: write [{name}] above its keys")
            elif name in _GROUPS:
                yield from self._group(name, value)
            else:
                yield name, value

    def _group(
        self, group: str, tables: Mapping[str, Any]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for slug, table in tables.items():
            name = f"{group}.{slug}"
            if not _SLUG.fullmatch(slug) or len(slug) > _SLUG_LENGTH_MAX:
                self._wrong(
                    name, "is to be named with a-z, 0-9 and single hyphens, 50 characters at most"
                )
            elif group == "service" and slug not in set(ServiceKind):
                self._wrong(name, f"is unknown: services are {', '.join(ServiceKind)}")
            elif not isinstance(table, dict):
                self._wrong(name, f"is a section: write [{name}] above its keys")
            else:
                yield f"{group}:{slug}", table

    def _item(self, name: str, table: Mapping[str, Any]) -> Item:
        key = name.replace(":", ".")
        for unknown in sorted(set(table) - set(_KEYS)):
            self._wrong(f"{key}.{unknown}", f"is unknown: allowed are {', '.join(_KEYS)}")
        return Item(
            name=name,
            title_en=self._title(f"{key}.en", table.get("en")),
            title_zh=self._title(f"{key}.zh", table.get("zh")),
            prices=self._prices(name, f"{key}.price", table.get("price")),
            includes=self._includes(f"{key}.includes", table.get("includes", [])),
        )

    def _title(self, key: str, title: object) -> str:
        if isinstance(title, str) and 1 <= len(title) <= _TITLE_LENGTH_MAX and title.isprintable():
            return title
        self._wrong(key, f"is to be a title of 1 to {_TITLE_LENGTH_MAX} printable characters")
        return ""

    def _prices(self, name: str, key: str, given: object) -> dict[Per, int]:
        ways = sorted(way for way in ways_of_selling(name) if _rendered_so(name, way))
        if not isinstance(given, dict) or not given:
            self._wrong(key, f"is to be a table with one or more of {', '.join(ways)}")
            return {}
        prices: dict[Per, int] = {}
        for way, price in given.items():
            if way not in ways:
                self._wrong(f"{key}.{way}", f"is unknown: allowed are {', '.join(ways)}")
            elif isinstance(price, bool) or not isinstance(price, int):
                self._wrong(f"{key}.{way}", "is to be a whole number of minor units (fen, cents)")
            elif not 0 <= price <= PRICE_MAX:
                self._wrong(f"{key}.{way}", f"is to be from 0 to {PRICE_MAX}")
            else:
                prices[Per(way)] = price
        return prices

    def _includes(self, key: str, given: object) -> tuple[str, ...]:
        if isinstance(given, list) and all(
            isinstance(one, str) and _SLUG.fullmatch(one) for one in given
        ):
            return tuple(given)
        self._wrong(key, "is to be a list of names (a-z, 0-9, hyphens)")
        return ()


def _rendered_so(name: str, way: Per) -> bool:
    """Of services only maintenance has a term, and it is never paid once."""
    if not name.startswith(SERVICE_PREFIX):
        return True
    return (way is not Per.ONCE) == (name == SERVICE_PREFIX + ServiceKind.MAINTENANCE)
