"""Commissioning: known phantoms go through a site's real routing, and every answer that comes back is checked."""
