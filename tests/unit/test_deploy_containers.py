"""The compose file and the images: valid, hardened, without default passwords, and starting commands that exist."""

from __future__ import annotations

import fnmatch
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ptx_node.cli.app import main
from ptx_node.db import api_tokens, schema
from ptx_node.domain.access import Permission
from ptx_node.settings import load
from ptx_node.wiring import open_database

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted(DEPLOY.glob("*.Dockerfile"))
OURS = ("migrate", "receive", "worker-infer", "worker-flow", "schedule", "dashboard")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of this virtual environment."""
    program = Path(sys.executable).with_name(name)
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)


def test_the_compose_file_follows_the_compose_specification() -> None:
    outcome = tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_every_service_is_hardened(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] not in ("", "root", "0", "0:0"), name
        assert "privileged" not in service, name
        assert "latest" not in service["image"], name


def test_one_service_a_role_and_servers_that_say_whether_they_are_well(compose: dict[str, Any]) -> None:
    assert {"postgres", "redis", *OURS} == set(compose["services"])
    for name in ("postgres", "redis", "receive"):
        assert compose["services"][name]["healthcheck"]["test"], name
    for name in ("receive", "worker-infer", "worker-flow", "schedule"):
        assert compose["services"][name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}, name
    device = compose["services"]["worker-infer"]["deploy"]["resources"]["reservations"]["devices"][0]
    assert device["capabilities"] == ["gpu"]


def test_no_secret_stands_in_the_compose_file_and_none_has_a_default() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    for line in re.findall(r"^.*(?:password|requirepass|token).*$", text, flags=re.IGNORECASE | re.MULTILINE):
        assert line.strip().startswith("#") or "_FILE:" in line or "postgres_password" in line, line
    assert "${PTX_SECRETS:?" in text
    assert not re.search(r"\$\{PTX_SECRETS(:-|-|\})", text)


def test_the_servers_are_not_published(compose: dict[str, Any]) -> None:
    assert compose["networks"]["inside"]["internal"] is True
    for name in ("postgres", "redis"):
        assert "ports" not in compose["services"][name], name
        assert compose["services"][name]["networks"] == ["inside"], name


def test_the_secrets_that_are_made_are_the_ones_that_are_mounted_and_the_node_reads_them(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    script = ["sh", str(DEPLOY / "new-secrets.sh"), str(folder)]
    subprocess.run(script, check=True, timeout=30)
    assert folder.stat().st_mode & 0o077 == 0
    monitoring = yaml.safe_load((DEPLOY / "monitoring.yaml").read_text(encoding="utf-8"))
    mounted = (compose["secrets"] | monitoring["secrets"]).values()
    assert {Path(one["file"]).name for one in mounted} == {path.name for path in folder.iterdir()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}

    monkeypatch.setenv("PTX_SECRETS_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    settings = load()
    password = (folder / "postgres_password").read_text()
    assert settings.database_url == f"postgresql+psycopg://ptx:{password}@postgres:5432/ptx"
    broker_password = (folder / "redis_conf").read_text().split()[1]
    assert settings.broker.url.get_secret_value() == f"redis://:{broker_password}@redis:6379/0"
    assert len({password, broker_password}) == 2
    assert min(len(password), len(broker_password)) >= 32

    again = subprocess.run(script, check=False, capture_output=True, timeout=30)
    assert again.returncode == 1
    assert (folder / "postgres_password").read_text() == password


def test_a_folder_of_secrets_of_an_earlier_version_gets_those_of_monitoring_and_keeps_its_own(tmp_path: Path) -> None:
    script = ["sh", str(DEPLOY / "new-secrets.sh"), str(tmp_path)]
    subprocess.run(script, check=True, timeout=30)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(set(before.values())) == len(before), "no secret is used twice"
    missing = ("ptx_database", "metrics_token", "grafana_admin_password", "dashboards_password")
    for name in missing:
        (tmp_path / name).unlink()
    told = subprocess.run(script, check=True, capture_output=True, text=True, timeout=30).stdout
    assert f"made in {tmp_path}: {' '.join(missing)}\n" == told
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name for name in before if before[name] != after[name]} == set(missing) - {"ptx_database"}


def test_the_token_that_is_made_is_one_that_the_node_takes_for_prometheus(tmp_path: Path) -> None:
    """The command of the compose file, on the secret of the script, twice; then `/metrics` would open, and nothing else."""
    subprocess.run(["sh", str(DEPLOY / "new-secrets.sh"), str(tmp_path / "secrets")], check=True, timeout=30)
    (tmp_path / "ptx.toml").write_text('[node]\nhome = "home"\n')
    engine = open_database(load(tmp_path / "ptx.toml"))
    schema.upgrade(engine)
    services = yaml.safe_load((DEPLOY / "monitoring.yaml").read_text(encoding="utf-8"))["services"]
    command = [word.replace("/run/secrets", str(tmp_path / "secrets")) for word in services["metrics-token"]["command"][1:]]
    assert 0 == main([*command, "-c", str(tmp_path / "ptx.toml")])
    assert 0 == main([*command, "-c", str(tmp_path / "ptx.toml")])
    shown = f"Bearer {(tmp_path / 'secrets' / 'metrics_token').read_text()}"
    opened = {one for one in Permission if api_tokens.holds(engine, shown, one)}
    assert {Permission.METRICS} == opened
    (tmp_path / "weak").write_text("ptx_guessme")
    assert 2 == main([*command[:-1], str(tmp_path / "weak"), "-c", str(tmp_path / "ptx.toml")])
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][0]
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/ptx.yaml").read_text(encoding="utf-8"))["datasources"]
    assert scrape["authorization"]["credentials_file"] == "/run/secrets/metrics_token"
    assert "metrics_token" in services["prometheus"]["secrets"]
    assert sources[1]["secureJsonData"]["password"] == "$__file{/run/secrets/dashboards_password}"
    assert services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_admin_password"
    assert {"grafana_admin_password", "dashboards_password"} == set(services["grafana"]["secrets"])


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_redis_starts_with_the_password_file_that_is_made(tmp_path: Path) -> None:
    """The same option order as in the compose file; the configuration is read, then the program is asked for its version."""
    subprocess.run(["sh", str(DEPLOY / "new-secrets.sh"), str(tmp_path / "s")], check=True, timeout=30)
    outcome = subprocess.run(
        ["redis-server", str(tmp_path / "s" / "redis_conf"), "--save", "", "--appendonly", "no", "--dir", str(tmp_path / "absent")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert outcome.returncode == 1
    assert "--dir" in outcome.stdout + outcome.stderr or "absent" in outcome.stdout + outcome.stderr
    assert "requirepass" not in outcome.stderr


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_images_pass_the_linter(dockerfile: Path) -> None:
    if not Path(sys.executable).with_name("hadolint").exists():
        pytest.skip("hadolint is packaged for x86_64 only")
    outcome = tool("hadolint", dockerfile)
    assert outcome.returncode == 0, outcome.stdout
    assert outcome.stdout == ""


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_images_copy_what_exists_and_what_the_builder_is_sent(dockerfile: Path) -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for line in dockerfile.read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in sent), f"{source} is hidden by .dockerignore"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_images_are_built_in_two_stages_and_run_without_root(dockerfile: Path) -> None:
    lines = [line for line in dockerfile.read_text().splitlines() if line and not line.startswith("#")]
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(bases) == 2
    assert all(":" in base and not base.endswith(":latest") for base in bases)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001:10001"]


def test_the_receiver_image_has_no_torch_and_no_codecs() -> None:
    assert "worker.txt" not in (DEPLOY / "receiver.Dockerfile").read_text()
    base = (DEPLOY / "requirements" / "base.txt").read_text()
    for name in ("torch", "monai", "highdicom", "pillow", "pylibjpeg"):
        assert not re.search(rf"^{name}\b", base, flags=re.MULTILINE), name


def test_the_worker_image_installs_torch_before_everything_else() -> None:
    installs = [
        line
        for line in (DEPLOY / "worker.Dockerfile").read_text().splitlines()
        if line.startswith("RUN") and ("pip install" in line or "install-torch.sh" in line)
    ]
    assert "^torch==" in installs[0]
    assert "worker.txt" in installs[1]
