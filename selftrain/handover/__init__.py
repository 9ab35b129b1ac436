"""What leaves a run: data files for other trainers and harnesses, and weights for the hub.

exports.py   queries over a run's tables, in the columns of TRL and lm-eval
chats.py     prompts as messages, where a model was prompted in a chat
card.py      the model card of a round's weights; run_facts.py what it tells of the run
push.py      weights and card to the hub; finish.py both when a run ends
"""
