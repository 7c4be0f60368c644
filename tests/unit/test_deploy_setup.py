"""The set-up: pinned requirements, make targets, Debian packages, units and scripts. Checked by linters and by running."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PINS = {name: DEPLOY / "requirements" / f"{name}.txt" for name in ("base", "worker", "export", "training", "dev")}
SCRIPTS = sorted([*DEPLOY.rglob("*.sh"), *(ROOT / "training" / "recipes").glob("*.sh"), ROOT / ".ci" / "run"])
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload]


def tool(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def pinned(group: str) -> dict[str, str]:
    lines = [line for line in PINS[group].read_text().splitlines() if line and not line.startswith("#")]
    found = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        assert "*" not in specifier.version
        assert "+" not in specifier.version, f"{line}: a local version exists on one index only"
        found[canonicalize_name(requirement.name)] = specifier.version
    return found


def test_every_dependency_of_the_project_is_pinned_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    base, worker, export, training, dev = (pinned(name) for name in PINS)
    groups = (
        ([*project["dependencies"], *extras["dashboard"]], base),
        ([*extras["worker"], *extras["embedded"]], base | worker),
        (extras["export"], base | worker | export),
        (extras["training"], base | worker | export | training),
        ([*extras["dev"], *extras["tensorboard"]], base | worker | export | training | dev),
    )
    for requirements, available in groups:
        for requirement in map(Requirement, requirements):
            version = available.get(canonicalize_name(requirement.name))
            assert version, f"{requirement.name} is not pinned: make lock"
            assert requirement.specifier.contains(version), f"{requirement} but pinned {version}"


def test_the_pinned_files_do_not_overlap_and_the_demo_needs_no_test_tools() -> None:
    base, worker, training, dev = (set(pinned(group)) for group in ("base", "worker", "training", "dev"))
    assert not base & worker
    assert not (base | worker) & training
    assert not (base | worker | training) & dev
    assert {"pytest", "mypy", "ruff"} <= dev


def test_torch_is_pinned_exactly_and_installed_first() -> None:
    assert pinned("worker")["torch"] == "2.13.0"
    plan = run("make", "--no-print-directory", "--always-make", "--dry-run", "demo", cwd=ROOT).stdout
    assert 0 < plan.index("install-torch.sh") < plan.index("-r deploy/requirements/worker.txt")


def test_make_passes_its_arguments_to_the_demo_and_installs_no_test_tools_for_it() -> None:
    plan = run("make", "--no-print-directory", "--always-make", "--dry-run", "demo", "ARGS=--once", cwd=ROOT)
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.splitlines()[-1] == ".venv/bin/ptx demo --once"
    assert "dev.txt" not in plan.stdout


def test_make_test_lints_and_ends_with_pytest() -> None:
    plan = run("make", "--no-print-directory", "--always-make", "--dry-run", "test", cwd=ROOT).stdout
    for step in ("debian-packages.sh test", "ruff check", "ruff format --quiet --check", "mypy", "lint-imports"):
        assert step in plan, step
    assert "-m pytest" in plan.splitlines()[-1]
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_make_help_names_every_target_with_a_description() -> None:
    text = run("make", "help", cwd=ROOT).stdout
    for target in ("demo", "test", "bench", "faults", "lint", "setup", "help"):
        assert re.search(rf"^  make {target} +\S", text, flags=re.MULTILINE), target


@pytest.fixture
def bare_machine(tmp_path: Path) -> dict[str, str]:
    """A machine without a single one of our Debian packages, whose apt-get and sudo refuse; PATH reaches nothing else."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "grep", "id", "mktemp", "rm", "tail", "env", "cat"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    for name, text in {"dpkg-query": "exit 1", "apt-get": "echo 'E: no network'; exit 100", "sudo": "exit 1"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    return {"PATH": str(programs), "TMPDIR": str(tmp_path)}


@pytest.mark.parametrize(("purpose", "goes_on"), [("demo", True), ("test", False)])
def test_where_packages_cannot_be_installed_it_says_which_and_how(bare_machine: dict[str, str], purpose: str, goes_on: bool) -> None:
    outcome = run("sh", DEPLOY / "debian-packages.sh", purpose, env=bare_machine)
    assert outcome.returncode == 1
    assert "apt-get install --no-install-recommends" in outcome.stderr
    assert "orthanc-dicomweb" in outcome.stderr
    assert ("postgresql" in outcome.stderr) is not goes_on
    assert ("delivers its results to a folder" in outcome.stderr) is goes_on


def test_missing_packages_are_installed_after_an_update(bare_machine: dict[str, str], tmp_path: Path) -> None:
    """As root at once, else by sudo without a password; done when dpkg knows them all."""
    programs = Path(bare_machine["PATH"])
    (programs / "sudo").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (programs / "apt-get").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/apt\ncase "$*" in *install*) : >{tmp_path}/done ;; esac\n')
    (programs / "dpkg-query").write_text(f"#!/bin/sh\n[ -e {tmp_path}/done ] && echo 'install ok installed'\n")
    outcome = run("sh", DEPLOY / "debian-packages.sh", "demo", env=bare_machine)
    assert outcome.returncode == 0, outcome.stderr
    update, install = (tmp_path / "apt").read_text().splitlines()
    assert update.endswith("update")
    assert install.endswith("python3-venv orthanc orthanc-dicomweb")
    (tmp_path / "apt").unlink()
    assert run("sh", DEPLOY / "debian-packages.sh", "demo", env=bare_machine).returncode == 0
    assert not (tmp_path / "apt").exists(), "the second time, nothing is asked of apt"


def test_a_machine_without_a_suitable_python_is_told_so(bare_machine: dict[str, str], tmp_path: Path) -> None:
    outcome = run("sh", DEPLOY / "new-venv.sh", tmp_path / "venv", env=bare_machine)
    assert outcome.returncode == 1
    assert "apt-get install python3-venv" in outcome.stderr


@pytest.mark.parametrize(
    ("variables", "expected"), [({}, ""), ({"TORCH_INDEX": "https://mirror.example/cpu"}, "https://mirror.example/cpu")]
)
def test_torch_comes_from_where_pip_looks_unless_the_site_names_an_index(
    bare_machine: dict[str, str], tmp_path: Path, variables: dict[str, str], expected: str
) -> None:
    """With a stand-in for `python -m pip` that notes what it is asked."""
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n')
    program.chmod(0o755)
    outcome = run("sh", DEPLOY / "install-torch.sh", program, "torch==2.13.0", env={**bare_machine, **variables})
    assert outcome.returncode == 0, outcome.stderr
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert (re.findall(r"--index-url (\S+)", asked) or [""])[0] == expected
    assert asked.endswith("torch==2.13.0")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shell_scripts_pass_shellcheck() -> None:
    outcome = run("shellcheck", *SCRIPTS)
    assert outcome.returncode == 0, outcome.stdout
    assert all(os.access(script, os.X_OK) for script in SCRIPTS)


def test_yaml_files_pass_yamllint() -> None:
    outcome = run(tool("yamllint"), "--strict", ".pre-commit-config.yaml", "deploy", cwd=ROOT)
    assert outcome.returncode == 0, outcome.stdout


def test_the_commit_hooks_are_valid_and_use_the_projects_own_tools() -> None:
    outcome = run(tool("pre-commit"), "validate-config", ROOT / ".pre-commit-config.yaml")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    entries = re.findall(r"^ +entry: (.*)$", (ROOT / ".pre-commit-config.yaml").read_text(), flags=re.MULTILINE)
    assert entries
    for entry in entries:
        (program,) = re.findall(r"\.venv/bin/([a-z-]+)", entry)
        assert tool(program).exists(), entry


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_units_are_understood_by_systemd_in_full(tmp_path: Path) -> None:
    """With another program in place of ours, which is not in /opt here. An unknown key is a warning: there must be none."""
    for unit in UNITS:
        name = unit.name.replace("@.", "@infer.")
        (tmp_path / name).write_text(re.sub(r"/opt/ptx-node/\.venv/bin/ptx", "/bin/true", unit.read_text()))
    outcome = run("systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir()))
    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_come_back_and_are_confined(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    for needed in ("Restart=always", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "User=ptx"):
        assert needed in lines, needed
