"""Settings out of a file: where secrets are kept that no environment shows."""

from pathlib import Path

import pytest

from inset.cli import main
from inset.settings import Settings


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("INSET_PUBLIC_URL", "https://inset.example")
    monkeypatch.setenv("INSET_SIGNING_KEY_FILE", "signing.pem")
    monkeypatch.setenv("INSET_SETTINGS_FILE", str(tmp_path / "settings.env"))
    return tmp_path / "settings.env"


def test_a_file_says_what_the_environment_does_not(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSET_HUB__SEATS", "3")
    file.write_text("INSET_HUB__TOKEN=from-the-file\nINSET_HUB__SEATS=9\nINSET_DATABASE_URL=postgresql://a:b@c/d\n")

    settings = Settings()

    assert settings.hub.token.get_secret_value() == "from-the-file"
    assert settings.hub.seats == 3
    assert settings.database_url == "postgresql://a:b@c/d"


def test_what_is_empty_is_as_if_it_were_not_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POOL", "LOG_FORMAT", "OTLP_ENDPOINT", "IDLE_TIMEOUT", "SHUTDOWN_DELAY", "MAX_AGE"):
        monkeypatch.setenv(f"INSET_{name}", "")
    file.write_text("INSET_HUB__TOKEN=from-the-file\nINSET_METRICS_TOKEN=\n")

    settings = Settings()

    for name in ("pool", "log_format", "otlp_endpoint", "idle_timeout", "shutdown_delay", "max_age", "metrics_token"):
        assert getattr(settings, name) == Settings.model_fields[name].default


@pytest.mark.parametrize("name", ["INSET_DATA_POLICY", "INSET_MASTER_KEY_FILE"])
def test_what_protects_is_never_taken_for_unset(
    file: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("INSET_HUB__TOKEN=from-the-file\n")
    monkeypatch.setenv(name, "")

    assert main(["hosts", "list"]) == 2

    assert capsys.readouterr().err == f"inset: {name} is empty: unset it, or say what it is to be\n"


def test_a_word_that_is_no_setting_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("INSET_HUB__TOKEN=from-the-file\nINSET_DATABASE_ULR=postgresql://c/d\n")

    assert main(["hosts", "list"]) == 2

    assert "inset: " in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told_in_one_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hosts", "list"]) == 2

    assert capsys.readouterr().err == f"inset: INSET_SETTINGS_FILE: {file} can't be read\n"
