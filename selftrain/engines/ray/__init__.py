"""Workers on a Ray cluster: they sample and grade, while this process trains, records and decides.

Modules, lowest first: `config` (the settings), `weights` (a model's files in the object store), `actor` (what runs on
the cluster), `workers` (starts actors and replaces lost ones), `engine` and `grader` (give them tasks), `backend`
(begins and ends it all).
"""
