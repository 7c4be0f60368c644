"""The only node code that imports torch and MONAI: bundle, preprocess, predictor, postprocess."""
