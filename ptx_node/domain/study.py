"""Who sent an instance, and what the node keeps of its header. No file, no network, no DICOM library."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PHANTOM_PREFIX = "SIM-COMM"
"""Patient IDs of a commissioning's phantoms begin so: they are found by it, purged, and counted in no figure."""

SIMULATED_ISSUER = "SIMULATED"
"""Issuer of Patient ID of every simulated patient: figures of them say so."""


def simulated_site(name: str) -> bool:
    """Whether a site says by its name that all its patients are simulated: images of a public set need not say it themselves."""
    return name.upper().startswith("SIMULATED")


class Via(StrEnum):
    """The door an instance came through."""

    DIMSE = "dimse"
    STOW = "stow"
    RETRIEVE = "retrieve"
    """The node asked an archive for it. No rule reads it, and nothing of it is answered to anybody."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sent an instance, through which door.

    `source` is the site's own name for the called AE title or the STOW path (`dicom.sources` in the settings).
    """

    via: Via
    source: str
    calling_ae: str
    called_ae: str
    peer_address: str


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The identifying header fields of one stored instance, as sent; empty text where absent."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    modality: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    accession_number: str = ""
