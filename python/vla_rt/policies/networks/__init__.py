"""Building blocks of the policies."""
