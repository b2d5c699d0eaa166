"""What every warehouse must do: the same tests against each, written against the protocol and the steps of a load.

A warehouse is one that passes them: a class in ``harnesses`` gives them what they need beside the protocol.
"""
