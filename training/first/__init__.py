"""How the first demonstration models were trained, on the first phantom. It goes when they do."""
