"""The tree keeps its promises: names that cannot clash, borders, secrets, and container files that are true."""

import importlib.util
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name in SERVICES if SERVICES[name].get("image") == "imagesmith:local"]


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def test_no_package_under_tests_shadows_a_plugin() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_airflow_runs_only_our_plugin_file() -> None:
    lines = (ROOT / "plugins/.airflowignore").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["*", "!/imagesmith_plugin.py"]


def test_airflow_reads_the_ignore_file_as_we_mean_it(tmp_path: Path) -> None:
    from airflow._shared.module_loading.file_discovery import find_path_from_directory

    (tmp_path / ".airflowignore").write_text((ROOT / "plugins/.airflowignore").read_text())
    for name in ("imagesmith_plugin.py", "hooks/ec2_hook.py", "other.py", "hooks/imagesmith_plugin.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_path_from_directory(tmp_path, ".airflowignore", "glob")
    assert [Path(path).name for path in found if path.endswith(".py")] == ["imagesmith_plugin.py"]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda path: path.stem)
def test_no_plugin_takes_the_name_of_an_importable_module(path: Path) -> None:
    spec = importlib.util.find_spec(path.stem)
    assert spec is None or Path(str(spec.origin)).is_relative_to(ROOT / "plugins")


def test_no_secret_lies_among_the_users_files() -> None:
    pattern = re.compile(r"(password|secret|token|access_key)\w*['\"]?\s*[:=]\s*['\"]?(?!ask\b)[^\s'\"${,}]+", re.I)
    keys = re.compile(r"\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----")
    for path in [one for one in tracked("include") if one.is_file()]:
        text = path.read_text()
        assert not keys.search(text), path
        if path.suffix == ".yaml":
            assert not pattern.search(text), path


def test_no_file_names_where_packages_come_from() -> None:
    address = re.compile(r"https?://|file:|--(extra-)?index-url|--find-links")
    for path in tracked("requirements*.txt", "pyproject.toml", "tools", "Dockerfile", ".ci"):
        assert not address.search(path.read_text()), path


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=\[;]", name)[0]).lower()


def test_the_lock_holds_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for direct, lock in (
        (project["project"]["dependencies"], "requirements.txt"),
        (project["dependency-groups"]["dev"], "requirements-dev.txt"),
    ):
        pinned = re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.M)
        assert {normal(one) for one in direct} <= {normal(one) for one in pinned}


def test_src_imports_no_airflow_even_where_nobody_looks() -> None:
    pattern = re.compile(r"^\s*(from|import) (airflow|operators|hooks|triggers)\b", re.M)
    assert [path for path in (ROOT / "src").rglob("*.py") if pattern.search(path.read_text())] == []


def test_every_shell_script_stops_at_the_first_failure() -> None:
    example = ROOT / "include/scripts/dstat.sh"  # what a user brings along, word for word
    scripts = [path for path in tracked("*.sh", ".ci/run") if path != example]
    assert [path for path in scripts if not re.search(r"^\s*set -eu", path.read_text(), re.M)] == []


@pytest.mark.parametrize("service", OURS)
def test_compose_mounts_what_there_is(service: str) -> None:
    for mount in SERVICES[service]["volumes"]:
        source, target = mount.split(":")[:2]
        if source.startswith("."):
            assert (ROOT / source).is_dir(), mount
            assert f"COPY {source.removeprefix('./')} " in (ROOT / "Dockerfile").read_text()
        else:
            assert source in COMPOSE["volumes"], mount
            assert target in (ROOT / "Dockerfile").read_text(), "the image must make it, or root owns it"


@pytest.mark.parametrize("service", OURS)
def test_compose_calls_programs_the_lock_installs(service: str) -> None:
    command = SERVICES[service]["command"]
    words = command[2].split() if command[:2] == ["sh", "-c"] else command
    assert words[0] == "airflow"
    assert (ROOT / ".venv/bin/airflow").exists() or importlib.util.find_spec("airflow")
    for module in re.findall(r"python -m ([\w.]+)", " ".join(words)):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("name", ["DAGS_FOLDER", "PLUGINS_FOLDER"])
def test_compose_points_airflow_at_what_it_mounts(name: str) -> None:
    folder = SERVICES["worker"]["environment"][f"AIRFLOW__CORE__{name}"]
    assert [mount for mount in SERVICES["worker"]["volumes"] if mount.split(":")[1] == folder]


def test_compose_gives_all_of_airflow_the_same_secrets() -> None:
    for name in ("CORE__FERNET_KEY", "API_AUTH__JWT_SECRET", "API__SECRET_KEY", "DATABASE__SQL_ALCHEMY_CONN"):
        assert len({SERVICES[one]["environment"][f"AIRFLOW__{name}"] for one in OURS}) == 1


def test_compose_publishes_to_loopback_only_and_watches_every_service() -> None:
    published = [port for one in SERVICES.values() for port in one.get("ports", [])]
    assert published == ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"]
    assert [name for name in SERVICES if "healthcheck" not in SERVICES[name]] == ["init"]


def test_env_has_every_secret_compose_asks_for_and_is_written_once(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    script = tmp_path / "tools/write_env.sh"
    script.write_text((ROOT / "tools/write_env.sh").read_text())
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    written = (tmp_path / ".env").read_text()
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    assert (tmp_path / ".env").read_text() == written
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yaml").read_text()))
    given = dict(line.split("=", 1) for line in written.splitlines() if not line.startswith("#"))
    assert asked <= set(given)
    assert all(given.values())
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def test_the_dockerfile_copies_what_there_is() -> None:
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            assert all((ROOT / source).exists() for source in line.split()[1:-1]), line
            assert all(f"!{source}" in (ROOT / ".dockerignore").read_text() for source in line.split()[1:-1])


@pytest.mark.parametrize("script", ["tools/setup.sh", "tools/lock.sh", "tools/write_env.sh", ".ci/run"])
def test_scripts_can_be_called(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
