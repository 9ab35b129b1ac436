"""Workers on a Ray cluster: they sample and judge, and this process trains, records and decides.

The parts, from below: `settings` says what is wanted, `actor` is what runs on the cluster, `workers` starts such actors
and tells which are there, `weights` brings models to them, `sampling` and `grading` ask them, `opening` begins and ends
it all.
"""
