"""Evaluation protocols of the field: prompt, worked examples, stops, length, filters and metric, all fixed by others.

base.py         what a protocol declares; a request, the prompt of one document
gsm8k.py, minerva.py, lighteval.py    the protocols, declared
registry.py     them by name
examples.py     how worked examples are drawn
filters.py      what is read from a response; match.py: whether it is the answer
verdicts.py     responses and requests to verdicts, and to our own scores
harness_files.py, harness_table.py    files and table in the shape that lm-eval writes
outcome.py      several models beside one another
shipped.py      what a model's own generation config changes

Training never reads any of it: filters are for reports, and samples are graded by a grader.
"""
