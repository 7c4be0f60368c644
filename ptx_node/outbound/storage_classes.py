"""The storage SOP classes that the node takes: from whoever sends them to its doors, and from the archives that it asks."""

from __future__ import annotations

from pydicom import uid as sop_class

IMAGE_CLASSES = (
    sop_class.ComputedRadiographyImageStorage,
    sop_class.DigitalXRayImageStorageForPresentation,
    sop_class.DigitalXRayImageStorageForProcessing,
    sop_class.CTImageStorage,
    sop_class.EnhancedCTImageStorage,
    sop_class.LegacyConvertedEnhancedCTImageStorage,
    sop_class.SecondaryCaptureImageStorage,
)
"""What radiographs and CT come as; often compressed."""

STORAGE_CLASSES = (
    *IMAGE_CLASSES,
    sop_class.MultiFrameSingleBitSecondaryCaptureImageStorage,
    sop_class.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    sop_class.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    sop_class.MultiFrameTrueColorSecondaryCaptureImageStorage,
    sop_class.BasicTextSRStorage,
    sop_class.EnhancedSRStorage,
    sop_class.ComprehensiveSRStorage,
    sop_class.Comprehensive3DSRStorage,
    sop_class.ExtensibleSRStorage,
    sop_class.ChestCADSRStorage,
    sop_class.KeyObjectSelectionDocumentStorage,
    sop_class.XRayRadiationDoseSRStorage,
    sop_class.SegmentationStorage,
)
