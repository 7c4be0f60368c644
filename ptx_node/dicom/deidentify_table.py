"""What becomes of each attribute: the actions of PS3.15 Table E.1-1 (edition 2026c) for what an export for validation needs.

Whatever no list here names is removed, so an attribute of a later edition, a retired one or a private one never stays. The table's
attributes that it lets be removed (`X`) therefore stand in no list. See docs/de-identification.md.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_has_tag, dictionary_is_retired, dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.tag import BaseTag

if TYPE_CHECKING:
    from collections.abc import Mapping

PROFILE_EDITION = "2026c"


class Action(Enum):
    """What is done with an attribute that is present; none is ever added for it."""

    REMOVE = auto()
    EMPTY = auto()  # zero length
    DUMMY = auto()  # a fixed value of its VR that says nothing
    KEEP = auto()  # a number, a code string or a technical text, if it is a valid one
    REGISTERED = auto()  # a UID that PS3.6 assigns, such as a SOP class; any other goes
    UID = auto()  # the keyed UID
    MOMENT = auto()  # a date moved by the patient's shift; a time of day as it is
    WORDS = auto()  # a description made of nothing but words of the allow-list
    WALK = auto()  # a sequence, each item by this table
    PATIENT = auto()  # the patient's pseudonym
    ACCESSION = auto()
    AGE = auto()


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Z, and Z/D: required by some IOD, may be empty. Z of sequences that an IOD requires stands here too.
EMPTY = _names("""
    AcquisitionContextSequence ClinicalTrialCoordinatingCenterName ClinicalTrialProtocolName ClinicalTrialSiteID ClinicalTrialSiteName
    ClinicalTrialTimePointID ConceptualVolumeCombinationDescription ConceptualVolumeDescription ConsultingPhysicianName
    ContentCreatorName DeviceAlternateIdentifier FillerOrderNumberImagingServiceRequest FractionationNotes
    IssuerOfTheContainerIdentifierSequence IssuerOfTheSpecimenIdentifierSequence ManufacturerDeviceIdentifier PatientBirthDate
    PlacerOrderNumberImagingServiceRequest PrescriptionNotes PrescriptionNotesSequence ROIInterpreter ROIName RTAccessoryDeviceSlotID
    RTAccessoryHolderSlotID RTPhysicianIntentNarrative RadiationGenerationModeDescription ReasonForSuperseding ReferencedStudySequence
    ReferringPhysicianName SourceOfPreviousValues SpecimenPreparationSequence StudyID TreatmentTechniqueNotes
    VerifyingObserverIdentificationCodeSequence
""")

# D: required with a value. Device Serial Number (X/Z/D) stands here because enhanced images and segmentations require it, Tracking ID
# because a segment with a Tracking UID does.
DUMMY = _names("""
    AcquisitionFieldOfViewLabel AnnotationGroupLabel CertificateOfSigner ClinicalTrialProtocolEthicsCommitteeName
    ClinicalTrialProtocolID ClinicalTrialSponsorName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ContainerIdentifier
    ContentSequence DestinationAE DeviceLabel DeviceSerialNumber EncapsulatedDocument EntityLabel EntityLongLabel FlowIdentifier
    FlowIdentifierSequence FrameOriginTimestamp GraphicAnnotationSequence InterlockDescription InterlockOriginDescription
    ModifyingSystem PersonIdentificationCodeSequence PersonName RTPlanLabel RTPrescriptionLabel RTToleranceSetLabel
    RadiationDoseIdentificationLabel RadiationDoseInVivoMeasurementLabel RadiationGenerationModeLabel ReasonForTheAttributeModification
    SelectorAEValue SelectorASValue SelectorLOValue SelectorLTValue SelectorOBValue SelectorPNValue SelectorSHValue SelectorSTValue
    SelectorUNValue SelectorURValue SelectorUTValue SourceIdentifier SpecimenIdentifier StructureSetLabel TreatmentPositionGroupLabel
    TrackingID TreatmentToleranceViolationDescription UnformattedTextValue UserContentLabel UserContentLongLabel VerifyingObserverName
    VerifyingObserverSequence VerifyingOrganization XRayDetectorID XRaySourceID
""")

# Retain Longitudinal Temporal Information with Modified Dates: every moment that the table would replace or empty. Those that it lets be
# removed are removed, the birth date is emptied.
MOMENTS = _names("""
    AcquisitionDate AcquisitionDateTime AcquisitionTime AssertionDateTime AttributeModificationDateTime BeamHoldTransitionDateTime
    CalibrationDateTime ContentDate ContentTime ContextGroupLocalVersion ContextGroupVersion Date DateOfLastDetectorCalibration
    DateTime DecayCorrectionDateTime DigitalSignatureDateTime EffectiveDateTime EndAcquisitionDateTime ExclusionStartDateTime
    FirstTreatmentDate FrameAcquisitionDateTime FrameReferenceDateTime FunctionalSyncPulse HangingProtocolCreationDateTime
    ImpedanceMeasurementDateTime InformationIssueDateTime InstanceCreationDate InstanceCreationTime InstructionPerformedDateTime
    IntendedPhaseEndDate IntendedPhaseStartDate InterlockDateTime MostRecentTreatmentDate ObservationDateTime OverrideDateTime
    ParticipationDateTime RTPlanDate RTPlanTime RecordedRTControlPointDateTime ReferencedDateTime ReviewDate ReviewTime
    SafePositionExitDate SafePositionExitTime SafePositionReturnDate SafePositionReturnTime SelectorDAValue SelectorDTValue
    SelectorTMValue SeriesDate SeriesTime SourceEndDateTime SourceStartDateTime SourceStrengthReferenceDate
    SourceStrengthReferenceTime StartAcquisitionDateTime StructureSetDate StructureSetTime StudyDate StudyTime Time
    TimeOfLastDetectorCalibration TreatmentControlPointDate TreatmentControlPointTime TreatmentDate TreatmentTime
    TreatmentToleranceViolationDateTime VerificationDateTime
""")

# Clean Descriptors: the words of the allow-list stay, any other text gives way to the action named.
DESCRIPTIONS: Mapping[str, Action] = {
    **dict.fromkeys(
        _names("""
            AcquisitionDeviceProcessingDescription AcquisitionProtocolDescription BodyPartExamined DimensionDescriptionLabel
            FilterType ModalityLUTType PerformedProcedureStepDescription ProtocolName RequestedProcedureDescription
            RescaleType SegmentDescription SeriesDescription StackID StudyDescription WindowCenterWidthExplanation
        """),
        Action.REMOVE,
    ),
    **dict.fromkeys(_names("ContentDescription ContrastBolusAgent PositionReferenceIndicator"), Action.EMPTY),
    **dict.fromkeys(_names("ContentLabel SegmentLabel"), Action.DUMMY),  # required by the Segmentation IOD
}

# Retain Patient Characteristics, as far as subgroups of a validation need them.
CHARACTERISTICS = _names("PatientSex PatientSize PatientWeight SmokingStatus")

# Make and version of a device stand in no list of the table and stay; what tells one device from its twins is removed.
DEVICE = _names("AlgorithmName AlgorithmVersion ConvolutionKernel Manufacturer ManufacturerModelName SegmentAlgorithmName SoftwareVersions")

KEPT_CODE_STRINGS = _names("""
    ConversionType FrameType ImageType Modality PixelPresentation PresentationIntentType PresentationLUTShape VolumetricProperties
    VolumeBasedCalculationTechnique
""")
KEPT_NUMBERS = _names("""
    DimensionIndexValues EntranceDose EntranceDoseInmGy FrameIncrementPointer RealWorldValueFirstValueMapped
    RealWorldValueLastValueMapped RealWorldValueIntercept RealWorldValueLUTData RealWorldValueSlope ReferencedFrameNumber
    ReferencedSegmentNumber
""")
PIXELS = _names("""
    DoubleFloatPixelData ExtendedOffsetTable ExtendedOffsetTableLengths FloatPixelData PixelData BluePaletteColorLookupTableData
    GreenPaletteColorLookupTableData RedPaletteColorLookupTableData LUTData
""")
KEPT = CHARACTERISTICS | DEVICE | KEPT_CODE_STRINGS | KEPT_NUMBERS | PIXELS

# Acquisition, relationship, image presentation, segment: the table names nothing of theirs that is a number or a code string, but for
# those in NEVER. Numbers and defined terms of these groups are what a reader of pixels needs.
TECHNICAL_GROUPS = frozenset({0x0018, 0x0020, 0x0028, 0x0062})
TEXT_NUMBERS = frozenset({"CS", "DS", "IS"})
BINARY_NUMBERS = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})  # any number of them could be a text
NEVER = _names("BreastImplantPresent LongitudinalTemporalInformationModified")

REGISTERED = _names("MediaStorageSOPClassUID ReferencedSOPClassUID SOPClassUID")
REMOVED_UIDS = _names("""
    AffectedSOPInstanceUID CodingSchemeUID ContextUID MappingResourceUID RelatedGeneralSOPClassUID OriginalSpecializedSOPClassUID
    AffectedSOPClassUID RequestedSOPClassUID EncryptedContentTransferSyntaxUID MACCalculationTransferSyntaxUID
    PrivateInformationCreatorUID ContextGroupExtensionCreatorUID
""")

SEQUENCES = _names("""
    AlgorithmFamilyCodeSequence AnatomicRegionModifierSequence AnatomicRegionSequence CTAcquisitionDetailsSequence
    CTAcquisitionTypeSequence CTExposureSequence CTGeometrySequence CTImageFrameTypeSequence CTPositionSequence
    CTReconstructionSequence CTTableDynamicsSequence CTXRayDetailsSequence ContrastBolusAdministrationRouteSequence
    ContrastBolusAgentSequence ContrastBolusUsageSequence ConversionSourceAttributesSequence DerivationCodeSequence
    DerivationImageSequence DimensionIndexSequence DimensionOrganizationSequence FrameAnatomySequence FrameContentSequence
    FrameVOILUTSequence IrradiationEventIdentificationSequence MeasurementUnitsCodeSequence ModalityLUTSequence
    PatientGantryRelationshipCodeSequence PatientOrientationCodeSequence PatientOrientationModifierCodeSequence
    PerFrameFunctionalGroupsSequence PixelMeasuresSequence PixelValueTransformationSequence PlaneOrientationSequence
    PlanePositionSequence PrimaryAnatomicStructureSequence ProcedureCodeSequence PurposeOfReferenceCodeSequence
    RealWorldValueMappingSequence ReferencedImageSequence ReferencedInstanceSequence ReferencedSeriesSequence
    SegmentIdentificationSequence SegmentSequence SegmentationAlgorithmIdentificationSequence SegmentedPropertyCategoryCodeSequence
    SegmentedPropertyTypeCodeSequence SegmentedPropertyTypeModifierCodeSequence SharedFunctionalGroupsSequence SourceImageSequence
    VOILUTSequence ViewCodeSequence ViewModifierCodeSequence
""")

_BY_NAME: Mapping[str, Action] = {
    **dict.fromkeys(EMPTY, Action.EMPTY),
    **dict.fromkeys(DUMMY, Action.DUMMY),
    **dict.fromkeys(MOMENTS, Action.MOMENT),
    **dict.fromkeys(DESCRIPTIONS, Action.WORDS),
    **dict.fromkeys(KEPT, Action.KEEP),
    **dict.fromkeys(NEVER | REMOVED_UIDS, Action.REMOVE),
    **dict.fromkeys(REGISTERED, Action.REGISTERED),
    **dict.fromkeys(SEQUENCES, Action.WALK),
    **dict.fromkeys(("PatientName", "PatientID"), Action.PATIENT),
    "AccessionNumber": Action.ACCESSION,
    "PatientAge": Action.AGE,
}


@cache
def action_of(tag: int) -> Action:
    """What is done with an attribute, on any level of nesting. Unknown, retired, private and repeating ones are removed."""
    tag = BaseTag(tag)
    if tag.is_private or tag.group < 0x0008 or not dictionary_has_tag(tag):  # noqa: PLR2004 - commands, file meta, directories
        return Action.REMOVE
    named = _BY_NAME.get(keyword_for_tag(tag))
    if named is not None:
        return named
    vrs = dictionary_VR(tag).split(" or ")
    if vrs == ["UI"]:
        return Action.UID
    vrs_kept = TEXT_NUMBERS | BINARY_NUMBERS if values_allowed(tag) < math.inf else TEXT_NUMBERS
    technical = tag.group in TECHNICAL_GROUPS and vrs_kept.issuperset(vrs) and not dictionary_is_retired(tag)
    return Action.KEEP if technical else Action.REMOVE


@cache
def values_allowed(tag: int) -> float:
    """How many values an attribute of PS3.6 may have at most; infinite for `1-n`."""
    most = dictionary_VM(tag).rpartition("-")[2]
    return int(most) if most.isdecimal() else math.inf
