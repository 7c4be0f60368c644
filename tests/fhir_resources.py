"""FHIR resources of a simulated report, as an information system would send them."""

from __future__ import annotations

import base64
from typing import Any

Resource = dict[str, Any]


def attachment(text: str | bytes, media_type: str = "text/plain; charset=utf-8") -> Resource:
    data = text if isinstance(text, bytes) else text.encode()
    return {"contentType": media_type, "data": base64.b64encode(data).decode()}


def diagnostic_report(**changes: Any) -> Resource:
    """A final report of a CT, R4; None takes an element away."""
    resource = {
        "resourceType": "DiagnosticReport",
        "id": "1",
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "CT"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-03-01T11:30:00+01:00",
        "issued": "2026-03-01T12:00:00+01:00",
        "imagingStudy": [{"reference": "urn:uuid:study"}],
        "presentedForm": [attachment("No pneumothorax.")],
        **changes,
    }
    return {name: value for name, value in resource.items() if value is not None}


def patient(value: str = "1", system: str = "urn:oid:1.2.3") -> Resource:
    identifier = {"system": system, "value": value, "type": {"coding": [{"code": "MR"}]}}
    return {"resourceType": "Patient", "id": "p1", "identifier": [identifier], "name": [{"family": "Doe"}]}


def study(**changes: Any) -> Resource:
    """An ImagingStudy, R4."""
    return {
        "resourceType": "ImagingStudy",
        "id": "s1",
        "identifier": [
            {"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.1"},
            {"type": {"coding": [{"code": "ACSN"}]}, "value": "A1"},
        ],
        "modality": [{"code": "CT"}],
        **changes,
    }


def bundle(*reports: Resource, kind: str = "collection", of: Resource | None = None) -> Resource:
    """The patient, the study, and reports: entries 2 and on."""
    entries: list[Resource] = [
        {"fullUrl": "https://ris.example.org/fhir/Patient/p1", "resource": of or patient()},
        {"fullUrl": "urn:uuid:study", "resource": study()},
    ]
    request = {"request": {"method": "POST", "url": "DiagnosticReport"}} if kind in ("transaction", "batch") else {}
    entries += [{"resource": report, **request} for report in reports]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}
