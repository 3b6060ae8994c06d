"""Stream processing for Python."""
