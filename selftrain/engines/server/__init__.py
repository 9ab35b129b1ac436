"""Answers from a server of OpenAI's completions API: one that runs somewhere, or one that is started for the weights.

`settings` says where it is and how it is asked, `client` asks it, `reading` turns its words into responses, `keeper` is
a process that ends a started server when the run is gone, `started` starts it, and `engine` puts them together.
"""
