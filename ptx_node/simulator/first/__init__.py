"""The first, simple phantom: what the shipped demonstration models were trained on. It goes when they do."""
