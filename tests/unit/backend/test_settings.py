from __future__ import annotations

from pathlib import Path

import pytest

from backend.settings import read_settings


def test_the_home_that_the_launcher_owns_holds_data_and_logs(tmp_path: Path) -> None:
    settings = read_settings([], {"PEFT_STUDIO_HOME_STATE": str(tmp_path)})
    assert settings.data_dir == tmp_path / "data"
    assert settings.log_dir == tmp_path / "logs"


def test_without_a_home_logs_go_into_the_data_folder(tmp_path: Path) -> None:
    settings = read_settings(["--data-dir", str(tmp_path)], {})
    assert settings.log_dir == tmp_path / "logs"


def test_a_relative_data_folder_becomes_absolute() -> None:
    assert read_settings(["--data-dir", "here"], {}).data_dir == Path.cwd() / "here"


def test_an_empty_token_is_no_token() -> None:
    assert read_settings([], {"PEFT_STUDIO_TOKEN": ""}).token is None


def test_only_development_lets_vites_pages_in() -> None:
    assert read_settings([], {}).origins == {"peft-studio://app"}
    assert "http://localhost:5173" in read_settings(["--no-token"], {}).origins


@pytest.mark.parametrize(
    "arguments", [["--dat", "x"], ["--port", "65536"], ["--port", "-1"], ["--port", "http"], ["x"]]
)
def test_a_wrong_command_line_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments, {})
    assert ended.value.code == 2
    assert "usage: python -m backend" in capsys.readouterr().err


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(["--help"], {})
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "exit status:" in text
