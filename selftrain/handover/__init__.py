"""What leaves a run: data files for other trainers and harnesses, and weights for the hub.

exports.py   queries over a run's tables, in the columns of TRL and lm-eval
chats.py     prompts as messages, where a model was prompted in a chat
"""
