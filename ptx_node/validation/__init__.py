"""Whether the node is right at this site: statistics of findings held against the truth that the site has."""
