"""A command per module: its settings, its work, its line of help."""
