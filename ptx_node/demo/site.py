"""The settings of the demonstration's node: free ports, one PACS, rules for radiographs and CT."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.errors import PtxError
from ptx_node.simulator.processes import free_ports
from ptx_node.simulator.ris import APPLICATION, FACILITY

if TYPE_CHECKING:
    from pathlib import Path

    from ptx_node.simulator.pacs import Pacs

MODALITY_AE = "DEMO_MODALITY"
NODE_AE = "PTX"
MARK = ".ptx-demo"


@dataclass(frozen=True, slots=True)
class Site:
    """Where the demonstration's node lives and listens."""

    folder: Path
    dicom_port: int
    hl7_port: int
    dashboard_port: int

    @property
    def config(self) -> Path:
        """Its ptx.toml."""
        return self.folder / "ptx.toml"


def prepare(folder: Path) -> Site:
    """An empty folder for this run: an earlier demonstration's is cleared, anything else is left alone.

    Raises:
        PtxError: the folder holds something that is not a demonstration's.
    """
    import shutil  # noqa: PLC0415

    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise PtxError(f"{folder} is not empty and is not an earlier demonstration's; give another one with --home")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text("made by `ptx demo`, which clears this folder at its next run\n", encoding="ascii")
    return Site(folder.resolve(), *free_ports(3))


def write_settings(site: Site, pacs: Pacs | None) -> None:
    """Write the node's ptx.toml: results go to the PACS, or to a folder where there is none."""
    if pacs is None:
        destination = '[[destinations]]\nname = "pacs"\ntype = "folder"\nfolder = "results"\nkinds = ["seg", "sr", "sc"]\n'
    else:
        destination = (
            '[[destinations]]\nname = "pacs"\ntype = "dimse"\nhost = "127.0.0.1"\n'
            f'port = {pacs.dicom_port}\ncalled_ae = "{pacs.ae_title}"\ncalling_ae = "{NODE_AE}"\nkinds = ["seg", "sr", "sc"]\n'
        )
    site.config.write_text(
        f"""# Written by `ptx demo`.
[node]
home = "node"
site = "SIMULATED HOSPITAL"

[store]
watermark_bytes = 200_000_000

[dicom]
port = {site.dicom_port}
ae_title = "{NODE_AE}"

[[dicom.peers]]
ae_title = "{MODALITY_AE}"
addresses = ["127.0.0.1"]

[[dicom.peers]]
ae_title = "PACS"
addresses = ["127.0.0.1"]

[hl7]
enabled = true
port = {site.hl7_port}

[[hl7.senders]]
name = "ris"
application = "{APPLICATION}"
facility = "{FACILITY}"
addresses = ["127.0.0.1"]

[dashboard]
port = {site.dashboard_port}

[worker]
sweep_interval_s = 1.0

[export]
secret = "{secrets.token_hex(32)}"  # of a simulated hospital; a real one keeps it in the secrets folder

{destination}
[[rules]]
name = "chest radiographs"
model = "ptx-cxr-demo"
trigger = "instance"
priority = 60
report_not_eligible = true
match = {{ keyword = "Modality", any_of = ["CR", "DX"] }}
destinations = [{{ name = "pacs" }}]

[[rules]]
name = "chest CT"
model = "ptx-ct-demo"
trigger = "series"
quiet_s = 2
priority = 40
match = {{ keyword = "Modality", any_of = ["CT"] }}
destinations = [{{ name = "pacs" }}]
""",
        encoding="utf-8",
    )
