"""The code of the sandbox's own interpreters. Standard library only: they start without site and packages."""
