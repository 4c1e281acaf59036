"""`config show` and the annotated example agree with the models."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from config import Settings, example_path, example_text, explain, load_settings
from config.catalogue import KEYS
from config.origin import read_file

KEY_LINE = re.compile(r"^#(?=[a-z_]+ = )", re.MULTILINE)


def test_every_value_is_explained_with_its_origin(tmp_path: Path) -> None:
    """One row per key, in the words of the promise, ready for JSON."""
    file = tmp_path / "t.toml"
    file.write_text("http.port = 1\n")
    environ = {"TOLLGATE_DICOM__PORT": "2"}
    rows = {row.key: row for row in explain(file, environ, {"log.level": "error"})}
    assert list(rows) == list(KEYS)
    assert (rows["http.port"].value, rows["http.port"].origin) == (1, f"file {file}")
    assert rows["dicom.port"].origin == "environment TOLLGATE_DICOM__PORT"
    assert (rows["log.level"].value, rows["log.level"].origin) == ("error", "override")
    assert rows["dicom.host"].origin == "default"
    assert rows["data_dir"].value == str(Path.cwd() / "tollgate-data")
    assert json.loads(json.dumps([asdict(row) for row in rows.values()]))


def test_the_origin_of_a_secret_file_is_its_variable(tmp_path: Path) -> None:
    """An operator must see that the file was used."""
    (tmp_path / "url").write_text("sqlite:////srv/x.sqlite3")
    rows = explain(environ={"TOLLGATE_DATABASE__URL_FILE": str(tmp_path / "url")})
    row = next(row for row in rows if row.key == "database.url")
    assert (row.value, row.origin) == (
        "sqlite:////srv/x.sqlite3",
        "environment TOLLGATE_DATABASE__URL_FILE",
    )


def test_secrets_are_not_in_the_text_of_settings() -> None:
    """A log line or a traceback with the settings in it must not carry the URL."""
    settings = load_settings(environ={"TOLLGATE_DATABASE__URL": "sqlite:////srv/hidden"})
    assert "hidden" not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()


def test_every_key_has_a_meaning_a_limit_and_a_unit_that_fits_its_name() -> None:
    """Unit last in the name, the same unit in the explanation."""
    units = {"_s": "seconds", "_max_bytes": "bytes", "_bytes_min": "bytes"}
    for key in KEYS.values():
        assert key.doc
        assert key.allowed
        for ending, unit in units.items():
            if key.field.endswith(ending):
                assert key.unit == unit


def test_no_setting_moves_the_clock_or_the_grace_period() -> None:
    """TIME-6: grace is exactly 86,400 s, and only `demo` has a clock of its own."""
    assert not [name for name in KEYS if re.search("clock|grace|now|offset", name)]


def test_the_example_as_it_stands_sets_nothing() -> None:
    """Copying the example changes nothing."""
    layer = read_file(example_path())
    assert (layer.given, layer.problems) == ({}, [])


def test_the_example_without_comment_signs_equals_the_defaults(tmp_path: Path) -> None:
    """Every key of the models is in the example, with its default."""
    file = tmp_path / "all.toml"
    file.write_text(KEY_LINE.sub("", example_text()), encoding="utf-8")
    assert list(read_file(file).given) == list(KEYS)
    assert load_settings(file, environ={}) == load_settings(environ={}) == Settings()


def test_the_example_says_what_is_allowed_for_every_key() -> None:
    """The comment above a key has the limits of the model, word for word, and its unit."""
    comment, section = "", ""
    for line in example_text().splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = f"{header[1]}."
        if KEY_LINE.match(line):
            key = KEYS[section + line[1:].partition(" =")[0]]
            assert f"Allowed: {key.allowed}." in comment, key.name
            assert key.unit in comment.lower(), key.name
        comment = f"{comment} {line[2:]}" if line.startswith("# ") else ""
