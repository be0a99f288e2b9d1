"""The environment of Airflow's components: complete, private, and only overruled by what the user set."""

import subprocess
from pathlib import Path

import pytest

from imagesmith import settings
from imagesmith.local import environment, keys
from imagesmith.local.environment import Databases

DATABASES = Databases(airflow="postgresql+psycopg2://a/airflow", catalog="postgresql+psycopg2://a/catalog")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path))
    for name in ("IMAGESMITH_CATALOG_URL", "IMAGESMITH_SECRET", "IMAGESMITH_AIRFLOW_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("URL", "USER", "PASSWORD"):
        monkeypatch.delenv(f"IMAGESMITH_AIRFLOW_{name}", raising=False)
    return tmp_path


@pytest.fixture
def own_keys(tmp_path: Path) -> keys.Keys:
    return keys.load_or_make(tmp_path / "keys.json")


def composed(own_keys: keys.Keys) -> dict[str, str]:
    return environment.compose(DATABASES, own_keys, port=8123, connections={"ec2": '{"conn_type": "x"}'})


def write(variables: dict[str, str]) -> None:
    keys.write_private(settings.environment_file(), environment.as_shell(variables))


def test_every_address_is_loopback(home: Path, own_keys: keys.Keys) -> None:
    variables = composed(own_keys)
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8123"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"


def test_a_connection_becomes_its_variable(home: Path, own_keys: keys.Keys) -> None:
    assert composed(own_keys)["AIRFLOW_CONN_EC2"] == '{"conn_type": "x"}'


def test_a_cloud_with_hyphens_has_a_variable_airflow_looks_for() -> None:
    assert environment.connection_variable("openstack-hotel") == "AIRFLOW_CONN_OPENSTACK-HOTEL"


def test_the_file_gives_back_what_was_written(home: Path, own_keys: keys.Keys) -> None:
    variables = {**composed(own_keys), "IMAGESMITH_ODD": 'it\'s $HOME = "odd" # no comment'}
    write(variables)
    assert settings.recorded_environment() == variables


def test_a_shell_can_source_the_file(home: Path, own_keys: keys.Keys) -> None:
    odd = {"IMAGESMITH_ODD": "it's $HOME", "AIRFLOW_CONN_OPENSTACK-HOTEL": "{}"}
    write({**composed(own_keys), **odd})
    script = '. "$1"; printf %s "$IMAGESMITH_ODD"'
    ran = subprocess.run(
        ["sh", "-eu", "-c", script, "sh", str(settings.environment_file())], capture_output=True, text=True
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("it's $HOME", "", 0)


def test_the_command_line_finds_the_api_and_the_catalog_in_the_file(home: Path, own_keys: keys.Keys) -> None:
    write(composed(own_keys))
    api = settings.airflow_api()
    assert (api.url, api.username, api.password) == (
        "http://127.0.0.1:8123",
        "admin",
        own_keys.admin_password,
    )
    assert settings.catalog_url() == DATABASES.catalog
    assert settings.secret_text() == own_keys.deployment_secret


def test_without_a_file_the_defaults_hold(home: Path) -> None:
    assert settings.recorded_environment() == {}
    assert settings.airflow_api().password is None
    assert settings.catalog_url().startswith("sqlite:///")


def test_the_databases_that_are_prepared_are_those_the_components_get(
    home: Path, own_keys: keys.Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment.databases_of(composed(own_keys)) == DATABASES
    monkeypatch.setenv("IMAGESMITH_CATALOG_URL", "sqlite:////srv/catalog.db")
    variables = environment.with_own_settings(composed(own_keys), recorded={})
    assert environment.databases_of(variables) == Databases(DATABASES.airflow, "sqlite:////srv/catalog.db")


def test_what_the_user_set_wins(home: Path, own_keys: keys.Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "3")
    variables = environment.with_own_settings(composed(own_keys), recorded={})
    assert variables["AIRFLOW__CORE__PARALLELISM"] == "3"


def test_a_default_of_an_older_version_that_was_sourced_does_not_win(
    home: Path, own_keys: keys.Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "4")
    variables = environment.with_own_settings(composed(own_keys), recorded={"AIRFLOW__CORE__PARALLELISM": "4"})
    assert variables["AIRFLOW__CORE__PARALLELISM"] == composed(own_keys)["AIRFLOW__CORE__PARALLELISM"]


def test_the_users_own_setting_stays_his_at_the_next_start(
    home: Path, own_keys: keys.Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "3")
    first = environment.with_own_settings(composed(own_keys), recorded={})
    second = environment.with_own_settings(composed(own_keys), recorded=first)
    assert second["AIRFLOW__CORE__PARALLELISM"] == "3"


def test_an_own_setting_that_is_taken_back_gives_way_to_the_default(
    home: Path, own_keys: keys.Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "3")
    first = environment.with_own_settings(composed(own_keys), recorded={})
    monkeypatch.delenv("AIRFLOW__CORE__PARALLELISM")
    second = environment.with_own_settings(composed(own_keys), recorded=first)
    assert second["AIRFLOW__CORE__PARALLELISM"] == composed(own_keys)["AIRFLOW__CORE__PARALLELISM"]


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    first = keys.load_or_make(path)
    assert keys.load_or_make(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert len({*vars(first).values()}) == len(vars(first))


def test_a_private_file_is_never_readable_by_others_even_if_it_was(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    keys.write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_keys_are_what_airflow_and_the_steps_take(tmp_path: Path) -> None:
    from cryptography.fernet import Fernet

    own = keys.load_or_make(tmp_path / "keys.json")
    fernet = Fernet(own.fernet_key)
    assert fernet.decrypt(fernet.encrypt(b"text")) == b"text"
    assert own.admin_password in environment.passwords_text(own)
