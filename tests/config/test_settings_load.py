"""Which value wins, how text becomes a value, and that nothing but the given sources is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from config import DicomSettings, HttpSettings, Settings, SettingsError, load_settings

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a TOML file."""

    def write_toml(text: str) -> Path:
        path = tmp_path / "tollgate.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_toml


def test_without_any_source_the_documented_defaults_hold() -> None:
    """A gateway started with nothing listens on the addresses that the README promises."""
    settings = load_settings(environ={})
    assert settings.dicom == DicomSettings(host="127.0.0.1", port=11112, ae_title="TOLLGATE")
    assert settings.http == HttpSettings(host="127.0.0.1", port=8080)
    assert settings.data_dir == Path.cwd() / "tollgate-data"
    assert settings.database_url == f"sqlite:///{settings.data_dir}/tollgate.sqlite3"


def test_an_override_beats_the_environment_beats_the_file_beats_the_default(write: Write) -> None:
    """Precedence is per key, so that one variable changes one key of a file."""
    file = write("[dicom]\nport = 1\nae_title = 'FILE'\nassociations_max = 7\n")
    environ = {"TOLLGATE_DICOM__PORT": "2", "TOLLGATE_DICOM__AE_TITLE": "ENV"}
    dicom = load_settings(file, environ, {"dicom.port": 3}).dicom
    assert (dicom.port, dicom.ae_title, dicom.associations_max) == (3, "ENV", 7)
    assert dicom.host == "127.0.0.1"


def test_the_file_comes_from_the_argument_or_else_from_the_variable(write: Write) -> None:
    """`--config` beats TOLLGATE_CONFIG, which is not even opened then."""
    file = write("http.port = 9")
    assert load_settings(environ={"TOLLGATE_CONFIG": str(file)}).http.port == 9
    assert load_settings(file, {"TOLLGATE_CONFIG": "/does/not/exist"}).http.port == 9


def test_an_injected_environment_is_the_only_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests and the demo inject an environment; the process's own must not leak in."""
    monkeypatch.setenv("TOLLGATE_HTTP__PORT", "1")
    monkeypatch.setenv("TOLLGATE_HTTP", '{"port": 2}')
    monkeypatch.setenv("TOLLGATE_CONFIG", "/does/not/exist")
    assert load_settings(environ={}).http.port == 8080
    with pytest.raises(SettingsError, match="TOLLGATE_HTTP "):
        load_settings()


def test_text_of_the_environment_becomes_the_type_of_the_key() -> None:
    """Variables are text; numbers and switches are read from it, with outer spaces ignored."""
    settings = load_settings(
        environ={
            "TOLLGATE_DICOM__PORT": " 0 ",
            "TOLLGATE_DICOM__OFFER_DEFLATED": "True",
            "TOLLGATE_EXAMINATION__QUIET_PERIOD_S": "0.5",
            "TOLLGATE_LOG__LEVEL": "debug",
            "TOLLGATE_DICOM__AE_TITLE": "  CT 1 ",
        }
    )
    assert settings.dicom.port == 0
    assert settings.dicom.offer_deflated is True
    assert settings.examination.quiet_period_s == 0.5
    assert settings.log.level == "debug"
    assert settings.dicom.ae_title == "CT 1"


def test_paths_are_absolute_once_loaded(tmp_path: Path) -> None:
    """A later change of the working directory must not move the data."""
    environ = {"TOLLGATE_DATA_DIR": "here", "TOLLGATE_DATABASE__URL": "sqlite:///db/l.sqlite3"}
    settings = load_settings(environ=environ)
    assert settings.data_dir == Path.cwd() / "here"
    assert settings.database_url == f"sqlite:///{Path.cwd()}/db/l.sqlite3"
    assert load_settings(overrides={"data_dir": tmp_path}, environ={}).data_dir == tmp_path


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    """Container platforms hand secrets over as files that end with a newline."""
    secret = tmp_path / "url"
    secret.write_text("sqlite:////srv/ledger.sqlite3\n")
    settings = load_settings(environ={"TOLLGATE_DATABASE__URL_FILE": str(secret)})
    assert settings.database_url == "sqlite:////srv/ledger.sqlite3"


def test_variables_of_test_runs_and_of_others_are_left_alone() -> None:
    """Only our own prefix is ours, and test runs may add names to it."""
    load_settings(environ={"TOLLGATE_TEST_X": "1", "TOLLGATE_REQUIRE_PEERS": "1", "PATH": "/bin"})


def test_settings_are_frozen_and_can_be_built_directly(tmp_path: Path) -> None:
    """Other packages' tests build the values they need; nobody changes them afterwards."""
    settings = Settings(data_dir=tmp_path, dicom=DicomSettings(port=0))
    assert settings.dicom.port == 0
    with pytest.raises(ValidationError):
        settings.dicom.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        DicomSettings(port=70000)


def test_loading_changes_nothing_on_disk(tmp_path: Path) -> None:
    """`config show` on a machine must not create the directories it talks about."""
    load_settings(environ={"TOLLGATE_DATA_DIR": str(tmp_path / "new")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgresql_url_may_be_spelled_as_usual(scheme: str) -> None:
    """Whatever the spelling, one with the driver's name leaves the package."""
    environ = {"TOLLGATE_DATABASE__URL": f"{scheme}://u:p@db.example:5432/tollgate?sslmode=require"}
    expected = "postgresql+psycopg://u:p@db.example:5432/tollgate?sslmode=require"
    assert load_settings(environ=environ).database_url == expected
