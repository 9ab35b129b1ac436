"""From the records of a run to a table, a JSON and one page.

It reads what the loop has decided and decides nothing itself.

round_record.py   a line of rounds.jsonl; best_round.py the loop's decision; history.py both together
findings.py       each round against the base, and the headline round
decision.py       what to do: use a round, or keep the base model
verdict.py        whether the run helped, the caveats, and what the collapse monitor reported
going_back.py     trainings and rounds given up on the word of a few validation problems
changes.py        problems that became right or wrong
team.py           several models: as a team, and on average
gv_gap_summary.py against the best-decoded base; the generator-verifier gap
run_report.py     the report of a run, printed and written
several_runs.py   several runs compared, and printed; several_page.py their page; run_line.py one of them
measured_alike.py whether their figures mean the same; cautions.py where not, in sentences
browsing.py       views, filters and a problem's history, for `selftrain samples --browse`
terminal_table.py the terminal's table        summary.py   the same for programs
page.py           the page, from page.html: evaluation_sections.py, training_sections.py, cost_section.py, examples.py
                  and glossary.py, drawn with markup.py, charts.py, curves.py and html_tables.py
formatting.py     numbers as text             visible.py   the one print path for text of models, data and users
"""
