"""Responses from a server of OpenAI's completions API: one that runs somewhere, or one that the run starts itself.

`config` has the settings, `check` holds them against a run, `client` sends requests, `replies` turns replies into
tokens, `managed_server` starts a server and `watchdog` ends it when the run is gone, `connection` makes sure that a
server is what it should be, and `engine` puts them together.
"""
