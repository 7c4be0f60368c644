"""The thesis's story as an experiment: trained at one site, tested at others; how far the figures fall, and what brings them back."""
