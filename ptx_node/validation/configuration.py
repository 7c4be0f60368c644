"""The settings and rules under which the node worked, as far as an export tells them: a list of what may be told, all else is left out.

No secret is here to begin with. Addresses, AE titles, user names, paths and the site's own texts in conditions stay at the site; that
there was something is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLD: Mapping[str, frozenset[str]] = {
    "node": frozenset({"time_zone", "log_level"}),
    "store": frozenset({"watermark_bytes"}),
    "dicom": frozenset({"processes", "max_associations", "max_pdu", "max_instance_bytes", "invalid_uid"}),
    "stow": frozenset({"enabled", "max_request_bytes"}),
    "hl7": frozenset({"enabled", "max_message_bytes", "max_connections"}),
    "fhir": frozenset({"enabled", "max_request_bytes"}),
    "worker": frozenset({"device", "batch_size", "decode_threads", "torch_threads", "lease_s", "retry_delay_s", "delivery_threads"}),
    "export": frozenset({"smallest_cell", "keep_weekdays"}),
    "promised": frozenset({"sensitivity", "positive_predictive_value", "disagreement_rate", "limit"}),
}
TOLD_OF_SENDERS = frozenset({"charset", "processing_ids", "statuses", "fields"})
TOLD_OF_DESTINATIONS = frozenset({"type", "kinds", "retry", "commitment", "verify"})
TOLD_OF_ARCHIVES = frozenset({"type", "retrieve", "studies_per_minute"})
TOLD_OF_RULES = frozenset(
    {"name", "model", "enabled", "priority", "trigger", "quiet_s", "expected_count", "late", "report_failed", "report_not_eligible"}
)

COMPARED_OPENLY = frozenset(
    {
        *("Modality", "SOPClassUID", "BodyPartExamined", "ViewPosition", "PatientOrientation", "ImageType", "PresentationIntentType"),
        *("PatientAge", "PatientSex", "SliceThickness", "Rows", "Columns", "NumberOfFrames", "ImagesInAcquisition", "via", "source"),
        *("PhotometricInterpretation", "BurnedInAnnotation", "ContrastBolusAgent", "ConvolutionKernel", "SpacingBetweenSlices"),
    }
)
"""Keywords whose values in a condition name no person and no place."""
WITHHELD = "withheld"
_NESTING = frozenset({"all", "any", "not"})


def settings_told(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What settings.json holds.

    Args:
        settings: all of them as JSON, with secrets as stars.
    """
    told: dict[str, Any] = {
        group: {name: value for name, value in settings.get(group, {}).items() if name in names} for group, names in TOLD.items()
    }
    told["hl7"]["senders"] = _picked(settings.get("hl7", {}).get("senders", ()), TOLD_OF_SENDERS)
    told["destinations"] = _picked(settings.get("destinations", ()), TOLD_OF_DESTINATIONS)
    told["archives"] = _picked(settings.get("archives", ()), TOLD_OF_ARCHIVES)
    told["models"] = sorted(settings.get("models", {}))
    told["dicom"]["peers"] = len(settings.get("dicom", {}).get("peers", ()))
    return told


def rules_told(rules: tuple[Mapping[str, Any], ...], *, in_full: bool) -> list[dict[str, Any]]:
    """What rules.json holds: every rule in its order; in a de-identified package without the site's own texts."""
    if in_full:
        return [dict(rule) for rule in rules]
    return [
        {name: value for name, value in rule.items() if name in TOLD_OF_RULES}
        | {
            "match": _condition(rule.get("match")),
            "destinations": [{"kinds": one.get("kinds", [])} for one in rule.get("destinations", ()) if isinstance(one, dict)],
        }
        for rule in rules
    ]


def _picked(rows: Any, names: frozenset[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name in names} for row in rows if isinstance(row, dict)]


def _condition(given: Any) -> Any:
    """A condition, its values withheld where its keyword is not among those that are compared openly."""
    if isinstance(given, list | tuple):
        return [_condition(one) for one in given]
    if not isinstance(given, dict):
        return None
    subject = given.get("keyword")
    if subject is None:
        return {
            name: _condition(value) if name in _NESTING else value if name in COMPARED_OPENLY else WITHHELD for name, value in given.items()
        }
    if subject in COMPARED_OPENLY:
        return dict(given)
    return {name: value if name in {"keyword", "absent", "present"} else WITHHELD for name, value in given.items()}
