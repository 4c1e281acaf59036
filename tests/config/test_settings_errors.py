"""A wrong setting is told so that a person can repair it, and no secret is told with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import SettingsError, load_settings

PASSWORD = "hunter2"


def problems(
    environ: dict[str, str],
    toml: Path | None = None,
    overrides: dict[str, object] | None = None,
) -> list[str]:
    """Return the sentences that loading ends with; it must fail."""
    with pytest.raises(SettingsError) as caught:
        load_settings(toml, environ, overrides)
    sentences = [str(problem) for problem in caught.value.problems]
    assert all(sentence in str(caught.value) for sentence in sentences)
    return sentences


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """Return a path for a TOML file that does not exist yet."""
    return tmp_path / "tollgate.toml"


def test_an_error_names_the_key_the_value_the_variable_and_what_is_allowed() -> None:
    """The promise, word for word."""
    (sentence,) = problems({"TOLLGATE_DICOM__PORT": "eleven"})
    assert sentence == (
        'dicom.port = "eleven" (from TOLLGATE_DICOM__PORT): '
        "allowed is a whole number from 0 to 65535"
    )


def test_an_error_names_the_file(toml: Path) -> None:
    """A file has types: a quoted number is a mistake there."""
    toml.write_text('[dicom]\nport = "104"\n')
    assert problems({}, toml) == [
        f'dicom.port = "104" (from file {toml}): allowed is a whole number from 0 to 65535'
    ]


def test_every_problem_of_every_source_is_told_at_once(toml: Path) -> None:
    """Nobody should have to start a gateway five times to find five mistakes."""
    toml.write_text("[dicom]\nport = -1\nprot = 1\n[log]\nlevel = 'loud'\n")
    environ = {"TOLLGATE_DATA_DIR": "", "TOLLGATE_ARCHIVE__FREE_BYTES_MIN": "x"}
    found = problems(environ, toml, {"http.port": 1.5})
    starts = ("dicom.port", "unknown key dicom.prot", "log.level", "http.port", "data_dir")
    for start in (*starts, "archive.free_bytes_min"):
        assert [start] == [start for sentence in found if sentence.startswith(start + " ")]
    assert len(found) == 6


@pytest.mark.parametrize(
    "variable,text",
    [
        ("TOLLGATE_DICOM__PORT", "65536"),
        ("TOLLGATE_DICOM__PORT", "1_0"),
        ("TOLLGATE_DICOM__PORT", "9" * 5000),
        ("TOLLGATE_DICOM__PORT", ""),
        ("TOLLGATE_DICOM__HOST", ""),
        ("TOLLGATE_DICOM__HOST", "local host"),
        ("TOLLGATE_DICOM__HOST", "localhost\n"),
        ("TOLLGATE_DICOM__AE_TITLE", "   "),
        ("TOLLGATE_DICOM__AE_TITLE", "A" * 17),
        ("TOLLGATE_DICOM__AE_TITLE", "A\\B"),
        ("TOLLGATE_DICOM__AE_TITLE", "A\tB"),
        ("TOLLGATE_DICOM__AE_TITLE", "AB\t"),
        ("TOLLGATE_DICOM__AE_TITLE", "青岛"),
        ("TOLLGATE_DICOM__PDU_LENGTH_MAX_BYTES", "0"),
        ("TOLLGATE_DICOM__ASSOCIATIONS_MAX", "0"),
        ("TOLLGATE_DICOM__ASSOCIATE_TIMEOUT_S", "0"),
        ("TOLLGATE_DICOM__NETWORK_TIMEOUT_S", "inf"),
        ("TOLLGATE_DICOM__OFFER_DEFLATED", "1"),
        ("TOLLGATE_SHUTDOWN__DRAIN_TIMEOUT_S", "nan"),
        ("TOLLGATE_LOG__FORMAT", "JSON"),
        ("TOLLGATE_DATA_DIR", "~/data"),
        ("TOLLGATE_DATA_DIR", "what?"),
        ("TOLLGATE_DATA_DIR", "a\x00b"),
        ("TOLLGATE_DATABASE__URL", "sqlite://"),
        ("TOLLGATE_DATABASE__URL", "sqlite:///"),
        ("TOLLGATE_DATABASE__URL", "sqlite:///:memory:"),
        ("TOLLGATE_DATABASE__URL", "sqlite:///file:x"),
        ("TOLLGATE_DATABASE__URL", "sqlite:////x?nolock=1"),
        ("TOLLGATE_DATABASE__URL", "postgresql://h"),
        ("TOLLGATE_DATABASE__URL", "postgresql://h/a/b"),
        ("TOLLGATE_DATABASE__URL", "mysql://h/db"),
    ],
)
def test_what_is_not_allowed_is_refused(variable: str, text: str) -> None:
    """Limits, empty values, odd characters and databases that are not durable or not supported."""
    (sentence,) = problems({variable: text})
    assert f"(from {variable}): allowed is " in sentence
    assert len(sentence) < 500


@pytest.mark.parametrize(
    "line,key",
    [
        ("dicom.port = true", "dicom.port"),
        ("dicom.port = 1.0", "dicom.port"),
        ("dicom.offer_deflated = 1", "dicom.offer_deflated"),
        ("dicom.network_timeout_s = inf", "dicom.network_timeout_s"),
        ("dicom.network_timeout_s = nan", "dicom.network_timeout_s"),
        ("dicom.network_timeout_s = true", "dicom.network_timeout_s"),
        ("dicom.ae_title = 2024-01-01", "dicom.ae_title"),
        ("data_dir = 5", "data_dir"),
        ("database.url = 5", "database.url"),
        ("dicom.port = {a = 1}", "dicom.port"),
    ],
)
def test_a_file_must_use_the_type_of_the_key(toml: Path, line: str, key: str) -> None:
    """TOML has types, so nothing is guessed."""
    toml.write_text(line)
    (sentence,) = problems({}, toml)
    assert sentence.startswith(f"{key} = ")


@pytest.mark.parametrize(
    "text,told",
    [
        ("port = 1", "unknown key port (from file {}): did you mean dicom.port or http.port?"),
        ("[dicmo]\nport = 1", "unknown section dicmo (from file {}): did you mean dicom?"),
        ("log.levl = 'info'", "unknown key log.levl (from file {}): did you mean log.level?"),
        ("dicom = 5", "dicom (from file {}) is a section: write [dicom] above its keys"),
        ('"dicom.port" = 1', "unknown key dicom.port (from file {})"),
        ("[x", "file {} is not valid TOML: "),
    ],
)
def test_an_unknown_name_in_a_file_is_told_with_a_suggestion(
    toml: Path, text: str, told: str
) -> None:
    """A mistyped limit that is ignored would be a limit that is not there."""
    toml.write_text(text)
    (sentence,) = problems({}, toml)
    assert sentence.startswith(told.format(toml))


@pytest.mark.parametrize(
    "variable,told",
    [
        ("TOLLGATE_DICOM_PORT", "did you mean TOLLGATE_DICOM__PORT? (if Kubernetes"),
        ("tollgate_dicom__port", "did you mean TOLLGATE_DICOM__PORT?"),
        ("TOLLGATE_DATADIR", "did you mean TOLLGATE_DATA_DIR?"),
        ("TOLLGATE_DICOM__PORT_FILE", "only a secret is read from a file; set "),
        ("TOLLGATE_SERVICE_HOST", "enableServiceLinks: false"),
        ("TOLLGATE_CONFIG", "is empty"),
    ],
)
def test_an_unknown_variable_is_told_with_a_suggestion(variable: str, told: str) -> None:
    """The environment is held to the same rule as the file."""
    (sentence,) = problems({variable: ""})
    assert variable in sentence
    assert told in sentence


def test_an_unknown_override_is_told() -> None:
    """An option of the command line that sets nothing is a mistake in the program."""
    assert problems({}, None, {"dicom.prt": 1}) == [
        "unknown key dicom.prt (from override): did you mean dicom.port?"
    ]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{PASSWORD}@h",
        f"postgresql://u:a@/{PASSWORD}@h/db",
        f"mysql://h/db?password={PASSWORD}",
        f"sqlite:////x?key={PASSWORD}",
        PASSWORD,
    ],
)
def test_no_secret_is_in_a_message(tmp_path: Path, toml: Path, url: str) -> None:
    """Messages end up in logs and tickets; also an unknown name may carry a secret."""
    toml.write_text(f"[database]\nurll = '{url}'\n[databas]\nurl = '{url}'\n")
    secret = tmp_path / "secret"
    secret.write_text(url)
    found = [
        *problems({"TOLLGATE_DATABASE__URL": url}),
        *problems({"TOLLGATE_DATABASE__URL_FILE": str(secret)}),
        *problems({"TOLLGATE_DATABASE_URL": url}),
        *problems({}, toml),
        *problems({}, overrides={"database.url": {"url": url}}),
    ]
    assert len(found) == 6
    assert PASSWORD not in "".join(found)


def test_a_secret_file_must_be_there_alone_and_not_empty(tmp_path: Path) -> None:
    """A secret that was not mounted in time must not turn into the default database."""
    empty, binary, large = (tmp_path / name for name in ("empty", "binary", "large"))
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    large.write_bytes(b"x" * 70_000)
    name = "TOLLGATE_DATABASE__URL_FILE"
    assert problems({name: str(empty)})[0].endswith("is empty")
    assert problems({name: str(binary)})[0].endswith("is not UTF-8 text")
    assert problems({name: str(large)})[0].endswith("is larger than 65536 bytes")
    assert "cannot be read: " in problems({name: str(tmp_path / "none")})[0]
    both = problems({name: str(empty), "TOLLGATE_DATABASE__URL": ""})
    assert both[0].endswith("are both set; set one of them")


def test_a_missing_configuration_file_is_an_error(tmp_path: Path) -> None:
    """Whoever names a file means it."""
    missing = tmp_path / "none.toml"
    told = [f"file {missing} cannot be read: No such file or directory"]
    assert problems({}, missing) == told
    assert problems({"TOLLGATE_CONFIG": str(missing)}) == told


def test_a_default_that_does_not_work_here_is_told_as_a_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default directory is relative, so the working directory can spoil it."""
    (tmp_path / "odd?").mkdir()
    monkeypatch.chdir(tmp_path / "odd?")
    (sentence,) = problems({})
    assert sentence.startswith('data_dir = "./tollgate-data" (from default): allowed is ')
