"""Real parts on free ports: PostgreSQL, Redis, Orthanc. Each is started at most once a session, and ended by its id."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from sqlalchemy import Engine, create_engine, text

from ptx_node.db.session import open_engine
from ptx_node.db.tables import Table
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_port, port_answers, running

REAL = Path(__file__).resolve().parents[1].parent / "shared" / "real"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that ran in this process has sent the logs to its own standard error, which ends with its test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def real_files() -> Path:
    """The folder of real DICOM input; tests that need it are skipped where it is absent."""
    if not REAL.is_dir():
        pytest.skip("no folder of real DICOM files beside the project")
    return REAL


class PostgresServer:
    """A real PostgreSQL of this test session, which can be stopped and started again."""

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self.bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.folder = folder
        self.port = free_port()
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.options = " ".join(
            [
                f"-p {self.port}",
                "-c listen_addresses=127.0.0.1",
                f"-c unix_socket_directories={folder}",
                f"-c fsync={'on' if fsync else 'off'}",
            ]
        )

    def _as_server_user(self, *command: str | Path) -> list[str]:
        """PostgreSQL refuses to run as root: then it runs as the account that its package made."""
        words = [str(word) for word in command]
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *words] if os.getuid() == 0 else words

    def create(self) -> None:
        self.folder.mkdir(parents=True)
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._let_server_user_in()
        subprocess.run(
            self._as_server_user(
                self.bin / "initdb", "-D", self.folder / "data", "-U", self.user, "-A", "trust", "-E", "UTF8", "--locale=C"
            ),
            check=True,
            capture_output=True,
            cwd="/",
        )

    def _let_server_user_in(self) -> None:
        """Another pytest that starts closes the folder of all temporary folders again."""
        for parent in self.folder.parents if os.getuid() == 0 else ():
            if parent.stat().st_uid == os.getuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)

    def start(self) -> None:
        self._let_server_user_in()
        subprocess.run(
            self._as_server_user(
                self.bin / "pg_ctl",
                "-D",
                self.folder / "data",
                "-w",
                "-t",
                "240",  # after a kill it syncs every file of its databases, on a disk that may be slow
                "-l",
                self.folder / "log",
                "-o",
                self.options,
                "start",
            ),
            check=True,
            capture_output=True,
            cwd="/",
        )

    def stop(self, mode: str = "fast") -> None:
        subprocess.run(
            self._as_server_user(self.bin / "pg_ctl", "-D", self.folder / "data", "-w", "-m", mode, "stop"),
            check=False,
            capture_output=True,
            cwd="/",
        )

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str) -> str:
        self._as_admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Hundreds of them would take gigabytes."""
        self._as_admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _as_admin(self, *statements: str) -> None:
        admin = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            for one in statements:
                connection.execute(text(one))
        admin.dispose()


@contextmanager
def _postgres_server(folder: Path, *, fsync: bool) -> Iterator[PostgresServer]:
    server = PostgresServer(folder, fsync=fsync)
    server.create()
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The server of all tests that do not stop it: it need not survive anything, so it does not wait for the disk."""
    with _postgres_server(tmp_path_factory.mktemp("postgres") / "server", fsync=False) as server:
        yield server


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server for a test that kills it: as a site runs it, and with that test's files only to recover."""
    with _postgres_server(tmp_path_factory.mktemp("own_postgres") / "server", fsync=True) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind: a test that asks for it runs on both."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ptx.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"t{abs(hash(request.node.nodeid)) % 10**12}"
    yield server.new_database(name)
    server.drop_database(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with every table, on SQLite and on PostgreSQL."""
    engine = open_engine(database_url)
    Table.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with every table, on SQLite only."""
    engine = open_engine(f"sqlite:///{tmp_path / 'ptx.db'}")
    Table.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def tiny_bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small model bundles of random weights that answer positive: for tests of everything but the model."""
    from tests.node import write_bundles  # noqa: PLC0415 - torch, only where a test asks for it

    return write_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A real, empty Redis."""
    port = free_port()
    with running(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        log=tmp_path / "redis.log",
        ready=lambda: port_answers(port),
    ):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Pacs]:
    """A real, empty Orthanc with DICOMweb."""
    with running_pacs(tmp_path / "pacs") as pacs:
        yield pacs
