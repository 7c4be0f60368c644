"""A finding as a row of the case table: under pseudonyms, or under its own names in a table that stays at the site."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ptx_node.domain.finding import Outcome
from ptx_node.domain.pseudonym import Pseudonyms, age_told, patient_identity
from ptx_node.domain.reconciliation import TRUTHS, agreement_of
from ptx_node.domain.truth import LabelValue
from ptx_node.errors import ConfigurationError
from ptx_node.validation.case_columns import QUASI_IDENTIFIERS
from ptx_node.validation.case_table import number_told, text_told, yes_told
from ptx_node.validation.small_cells import NOT_STATED, QuasiIdentifier, age_in_years

if TYPE_CHECKING:
    from datetime import date

    from ptx_node.db.cases import Case
    from ptx_node.validation.exclusions import Exclusion

NO_NUMBER = "study of nobody"
"""Takes the place of who gave a number out, where an image has none: each study is then a patient of its own."""
LONGEST_NAME = 200
"""Characters of a model's, rule's or source's name, and of a patient's number in an identified table."""
ANSWERED = frozenset({Outcome.POSITIVE, Outcome.NEGATIVE})
DIGITS_OF_WEIGHTS = 12
MINUTE_S = 60
DECADE, TWO_DECADES = age_in_years(10), age_in_years(20)


class Naming(Protocol):
    """What stands for whoever could be recognised."""

    @property
    def identified(self) -> bool:
        """Names and dates are the site's own."""
        ...

    def uid(self, uid: str) -> str:
        """Of an image, a series or a study."""
        ...

    def patient(self, case: Case) -> str:
        """One name a person."""
        ...

    def report(self, source: str, number: str) -> str:
        """Of a radiology report."""
        ...

    def station(self, name: str) -> str:
        """Of an apparatus; empty where it has no name."""
        ...

    def day(self, case: Case, day: date) -> str:
        """YYYY-MM-DD; empty where it cannot be told."""
        ...

    def words(self, words: str) -> str:
        """A hash of words from a report."""
        ...


@dataclass(frozen=True, slots=True)
class Pseudonymous:
    """What may leave the site."""

    pseudonyms: Pseudonyms
    identified: bool = False

    def uid(self, uid: str) -> str:
        """As in de-identified images."""
        return self.pseudonyms.uid(uid)

    def patient(self, case: Case) -> str:
        """As in de-identified images, whose header is given `identity_of`."""
        return self.pseudonyms.patient(identity_of(case))

    def report(self, source: str, number: str) -> str:
        """Of source and number together."""
        return self.pseudonyms.report(source, number)

    def station(self, name: str) -> str:
        """Of the station's name."""
        return self.pseudonyms.station(name)

    def day(self, case: Case, day: date) -> str:
        """Moved by the patient's shift."""
        moved = self.pseudonyms.shifted(identity_of(case), day)
        return moved.isoformat() if moved else ""

    def words(self, words: str) -> str:
        """Keyed: nobody can try sentences against it."""
        return self.pseudonyms.words(words)


def pseudonymous(secret: str | None, export: str = "", *, keep_weekdays: bool = False) -> Pseudonymous:
    """Pseudonyms by the site's secret (`export.secret`) and the export's name.

    Raises:
        ConfigurationError: there is no secret, or it is too short; what to do is said.
    """
    if not secret:
        raise ConfigurationError(
            "export.secret is not set: without it nothing is exported under pseudonyms. Make one with `openssl rand -hex 32` and keep it "
            'in PTX_EXPORT__SECRET or, as {"secret": "…"}, in the file ptx_export of the secrets folder'
        )
    return Pseudonymous(Pseudonyms(secret.encode("utf-8"), export, keep_weekdays=keep_weekdays))


@dataclass(frozen=True, slots=True)
class Identified:
    """What stays at the site: its own numbers, UIDs and dates."""

    identified: bool = True

    def uid(self, uid: str) -> str:
        """As received."""
        return text_told(uid, LONGEST_NAME)

    def patient(self, case: Case) -> str:
        """NUMBER^^^WHO GAVE IT OUT; of an image without a number its study."""
        return text_told("^^^".join(case.patient) if case.patient else case.study_instance_uid, LONGEST_NAME)

    def report(self, source: str, number: str) -> str:
        """SOURCE:NUMBER."""
        return text_told(f"{source}:{number}", LONGEST_NAME)

    def station(self, name: str) -> str:
        """As sent."""
        return text_told(name)

    def day(self, case: Case, day: date) -> str:  # noqa: ARG002 - the signature is Naming's
        """The day itself."""
        return day.isoformat()

    def words(self, words: str) -> str:
        """Plain SHA-256, which anybody at the site can hold against the report."""
        return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


def identity_of(case: Case) -> str:
    """What `Pseudonyms` is given for the person of a case, also for images of it: one person, one pseudonym, one shift of dates."""
    number, issuer = case.patient or (case.study_instance_uid, NO_NUMBER)
    return patient_identity(number, issuer)


def model_of(case: Case) -> str:
    """Name, version and weights of the model that answered."""
    return text_told(f"{case.model_name} {case.model_version} {case.weights_sha256[:DIGITS_OF_WEIGHTS]}", LONGEST_NAME)


def kind_of(case: Case) -> str:
    """What was read."""
    return "ct" if case.is_ct else "radiograph"


def told_of_person(case: Case, naming: Naming) -> dict[str, str]:
    """The columns that a small-cell plan is made of, and the patient."""
    sex = case.patient_sex.strip().upper()
    stated = {
        "source": text_told(case.source, LONGEST_NAME),
        "rule": text_told(case.rule, LONGEST_NAME),
        "device": naming.station(case.station_name),
        "manufacturer_model": text_told(case.manufacturer_model_name),
        "manufacturer": text_told(case.manufacturer),
        "view": text_told(case.view_position),
        "age_band": DECADE(age_told(case.patient_age_years)),
        "sex": sex if sex in {"M", "F", "O"} else "",
    }
    return {"patient": naming.patient(case), **{name: stated[name] or NOT_STATED for name in QUASI_IDENTIFIERS}}


def identifiers() -> tuple[QuasiIdentifier, ...]:
    """The quasi-identifiers with their steps: ages become bands of twenty years, the others are told or withheld."""
    steps = {"age_band": (_twenty_years,)}
    return tuple(QuasiIdentifier(name, steps.get(name, ())) for name in QUASI_IDENTIFIERS)


def _twenty_years(decade: str) -> str:
    return TWO_DECADES(decade if decade.endswith("+") else decade.partition("-")[0])


def row_of(case: Case, naming: Naming, exclusion: Exclusion | None) -> dict[str, str]:
    """Every column of a case, nothing made coarser yet."""
    return {
        "case_id": naming.uid(case.image_uid),
        "study": naming.uid(case.study_instance_uid),
        "model": model_of(case),
        "kind": kind_of(case),
        "examined_on": naming.day(case, case.examined_on) if case.examined_on else "",
        **told_of_person(case, naming),
        "outcome": case.outcome,
        "outcome_reason": text_told(case.reason),
        "probability": number_told(case.probability),
        "threshold": number_told(case.threshold),
        "laterality": case.laterality or "",
        "area": number_told(case.area_mm2),
        "volume": number_told(case.volume_ml),
        **_truth(case, naming),
        "exclusion": str(exclusion or ""),
    }


def _truth(case: Case, naming: Naming) -> dict[str, str]:
    truth = case.truth
    if truth is None:
        return dict.fromkeys(_TRUTH, "")
    label = LabelValue(truth.label)
    agreement = agreement_of(label, positive=case.outcome == Outcome.POSITIVE) if case.outcome in ANSWERED else ""
    minutes = None if truth.interval_s is None else truth.interval_s / MINUTE_S
    values = (
        *(
            str(truth.kind),
            naming.report(*truth.report) if truth.report else "",
            truth.label,
            yes_told(TRUTHS[label]),
            truth.laterality or "",
        ),
        *(text_told(truth.size), number_told(truth.depth_mm), yes_told(truth.drain)),
        *(text_told(truth.rule), text_told(truth.version), text_told(truth.language), yes_told(truth.doubtful)),
        *("" if truth.words is None else naming.words(truth.words), number_told(minutes), str(agreement)),
    )
    return dict(zip(_TRUTH, values, strict=True))


_TRUTH = (
    *("truth_kind", "report", "label", "truth", "truth_laterality", "truth_size", "truth_depth", "drain"),
    *("label_rule", "label_version", "label_language", "label_doubtful", "span_sha256", "interval_min", "agreement"),
)
