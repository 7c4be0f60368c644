"""Every attribute of PS3.15 Table E.1-1 gets an action that the table allows, as another implementation of the table has it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from ptx_node.dicom.deidentify_table import CHARACTERISTICS, DESCRIPTIONS, MOMENTS, Action, action_of

ORACLE = importlib.import_module("dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c")
EMPTY = {Action.EMPTY, Action.PATIENT, Action.ACCESSION}  # Z allows a value of no meaning as well
DUMMY = {Action.DUMMY, Action.UID}
ALLOWED = {
    "X_TAGS": {Action.REMOVE},
    "Z_TAGS": EMPTY | DUMMY,
    "D_TAGS": DUMMY,
    "U_TAGS": {Action.UID},
    "Z_D_TAGS": EMPTY | DUMMY,
    "X_Z_TAGS": {Action.REMOVE} | EMPTY | DUMMY,
    "X_D_TAGS": {Action.REMOVE} | DUMMY,
    "X_Z_D_TAGS": {Action.REMOVE} | EMPTY | DUMMY,
    "X_Z_U_STAR_TAGS": {Action.WALK},  # its items hold UIDs, which are replaced
}
TEXT_VRS = frozenset(["AE", "AS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UN", "UR", "UT"])
# Written anew (file meta), or of what does not leave (directories, commands).
OTHERWISE = {"MediaStorageSOPInstanceUID", "ReferencedSOPInstanceUIDInFile", "RequestedSOPInstanceUID"}


AS_SENT = {"AlgorithmName", "AlgorithmVersion", "ConvolutionKernel", "Manufacturer", "ManufacturerModelName", "SegmentAlgorithmName"}


def table() -> Iterator[tuple[str, int]]:
    for code in ALLOWED:
        for entry in getattr(ORACLE, code):
            if len(entry) == 2:
                yield code, (entry[0] << 16) + entry[1]


def by_an_option(keyword: str) -> set[Action]:
    """What the options that we claim allow beyond the profile."""
    found = set()
    if keyword in CHARACTERISTICS:
        found.add(Action.KEEP)
    if keyword == "PatientAge":
        found.add(Action.AGE)
    if keyword in DESCRIPTIONS:
        found.add(Action.WORDS)
    if keyword in MOMENTS:
        found.add(Action.MOMENT)
    return found


def test_every_attribute_of_the_table_is_treated_as_it_says() -> None:
    wrong, compared = [], 0
    for code, tag in table():
        keyword = keyword_for_tag(tag)
        if keyword in OTHERWISE:
            continue
        compared += 1
        if action_of(tag) not in ALLOWED[code] | by_an_option(keyword):
            wrong.append((code, f"{tag:08X}", keyword, action_of(tag)))
    assert wrong == []
    assert compared > 600


def test_no_list_of_ours_names_an_attribute_that_does_not_exist() -> None:
    ours = importlib.import_module("ptx_node.dicom.deidentify_table")
    names = {name for value in vars(ours).values() if isinstance(value, frozenset) for name in value if isinstance(name, str)}
    assert {name for name in names - ours.TEXT_NUMBERS - ours.BINARY_NUMBERS if tag_for_keyword(name) is None} == set()


@pytest.mark.parametrize("tag", [0x60003000, 0x60004000, 0x60000010, 0x50003000, 0x00091001, 0x00100041, 0x00200000, 0x40000010])
def test_overlays_curves_private_and_unknown_attributes_are_removed(tag: int) -> None:
    assert action_of(tag) is Action.REMOVE


def test_what_stays_as_sent_is_a_number_a_defined_term_a_pixel_or_the_make_of_a_device() -> None:
    """Of all of PS3.6: no name, no address, no free text, no date, no UID and nothing unknown is kept as it came."""
    kept = {tag for tag in DicomDictionary if action_of(tag) is Action.KEEP}
    text = {keyword_for_tag(tag) for tag in kept if not TEXT_VRS.isdisjoint(dictionary_VR(tag).split(" or "))}
    assert text == AS_SENT | {"SoftwareVersions"}
    in_the_table = {tag for _, tag in table()}
    assert {keyword_for_tag(tag) for tag in kept & in_the_table} == CHARACTERISTICS
