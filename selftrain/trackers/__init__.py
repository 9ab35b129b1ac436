"""Experiment trackers as observers of a run: they are told what a round came to, and no run fails by one.

config.py     --report_to and its kin
kinds.py      trackio, tensorboard, wandb, mlflow: a small class each
observer.py   tells them each round once, also after a resume
"""
