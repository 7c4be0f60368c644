"""Dataset <-> domain: pixels, volume, segmentation, measurement report, secondary capture, codes, UIDs."""
