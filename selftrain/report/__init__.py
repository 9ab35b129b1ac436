"""From a run's records to a table, a JSON and one page, and to the truth about the gain.

visible.py     the one print path for text of models, data and users
records.py     reads the lines of rounds.jsonl and words their numbers
verdict.py     one sentence on whether the run helped, and what to hold against it
table.py       the terminal's table        summary.py     the same for programs
html.py        the page, from page.html, markup.py, charts.py, tables.py and examples.py
"""
