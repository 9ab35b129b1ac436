"""From a run's records to a table, a JSON and one page, and to the truth about the gain.

visible.py     the one print path for text of models, data and users
records.py     reads the lines of rounds.jsonl and words their numbers
choice.py      the best round of a run, for the run and the report alike; which rounds a table shows
findings.py    each round against the base, and the rounds to speak of
verdict.py     whether the run helped, what to hold against it, and what the watch said
team.py        several models: their mean, and what they come to together
beside.py      against the best-decoded base; the generator-verifier gap
table.py       the terminal's table        summary.py     the same for programs
html.py        the page, from page.html: measured.py (how good), process.py (how it went), reading.py (what it means),
               drawn with markup.py, charts.py, curves.py, tables.py and examples.py
"""
