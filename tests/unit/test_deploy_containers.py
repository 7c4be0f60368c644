"""The compose file and the images: valid, hardened, without default passwords, and starting commands that exist."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ptx_node.settings import load

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
    assert {Path(one["file"]).name for one in compose["secrets"].values()} == {path.name for path in folder.iterdir()}

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
