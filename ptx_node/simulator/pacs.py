"""The simulated hospital's PACS: a real Orthanc with its DICOMweb plugin, on free ports, in a folder of its own."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from ptx_node.errors import PtxError
from ptx_node.simulator.processes import free_ports, port_answers, running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

PLUGIN_FOLDERS = (Path("/usr/share/orthanc/plugins"), Path("/usr/lib/orthanc"))


@dataclass(frozen=True, slots=True)
class Pacs:
    """A running Orthanc: where it listens, and as whom."""

    ae_title: str
    dicom_port: int
    http_port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def http_url(self) -> str:
        """Root of Orthanc's own pages and REST API."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        """Root of its DICOMweb service."""
        return f"{self.http_url}/dicom-web"

    def instances(self) -> list[dict[str, str]]:
        """Main tags of every instance it holds (PS3.6 keywords, SOPInstanceUID among them)."""
        answer = httpx.get(f"{self.http_url}/instances?expand", timeout=30)
        answer.raise_for_status()
        return [item["MainDicomTags"] for item in answer.json()]


def orthanc_program() -> Path | None:
    """The Orthanc program of this machine, or None."""
    found = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


@contextmanager
def running_pacs(
    folder: Path,
    *,
    ae_title: str = "PACS",
    ports: tuple[int, int] | None = None,
    modalities: Mapping[str, tuple[str, str, int]] | None = None,
    lua: Path | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Iterator[Pacs]:
    """An Orthanc that runs while the block does; its data stay in `folder`, so that it can be started again.

    Args:
        folder: storage, index, configuration and log.
        ae_title: Orthanc's own AE title.
        ports: (DICOM, HTTP) ports; free ones by default.
        modalities: symbolic name -> (AE title, host, port), for its C-STORE and Storage Commitment reports.
        lua: a routing script to load.
        extra: more Orthanc settings, which win.

    Raises:
        PtxError: Orthanc is not installed, or does not start.
    """
    program = orthanc_program()
    if program is None:
        raise PtxError("Orthanc is not installed. On Debian or Ubuntu: apt-get install orthanc orthanc-dicomweb")
    folder.mkdir(parents=True, exist_ok=True)
    dicom_port, http_port = ports or tuple(free_ports(2))
    settings: dict[str, Any] = {
        "Name": "simulated hospital",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": ae_title,
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomCheckModalityHost": False,
        "StableAge": 1,
        "SyncStorageArea": True,
        "OverwriteInstances": True,
        "Plugins": [str(plugin) for plugin in _plugins()],
        "DicomModalities": {name: list(peer) for name, peer in (modalities or {}).items()},
        "LuaScripts": [str(lua)] if lua else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **(extra or {}),
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    with running(
        [program, configuration],
        log=folder / "orthanc.log",
        ready=lambda: port_answers(http_port) and port_answers(dicom_port),
        env={"TCP_NODELAY": "1"},
    ) as process:
        yield Pacs(ae_title, dicom_port, http_port, folder, process)


def _plugins() -> list[Path]:
    for folder in PLUGIN_FOLDERS:
        plugin = folder / "libOrthancDicomWeb.so"
        if plugin.exists():
            return [plugin]
    return []
