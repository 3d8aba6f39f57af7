"""Words of the language that this version knows but does not do yet.

They are refused by name: a scenario that uses one must neither be run as if the word were not there nor be told that
the word is a spelling mistake.
"""

from __future__ import annotations

LATER: dict[str, dict[str, str]] = {
    "scenario": {
        "links": "the state of the network (rate, delay, loss)",
        "parameters": "values that the command line can set",
    },
    "timeline": {
        "partition": "cutting the network in parts",
        "isolate": "cutting a node off",
        "impair": "a worse network for some time",
        "heal": "ending a fault early",
        "run": "a command in a node",
        "console": "a command at a node's command line",
        "when": "an event that waits for something",
        "every": "an event that happens again and again",
        "from": "the begin of a repeated event",
    },
    "expect": {
        "always": "something that holds all the time",
        "knows": "how many peers a node knows",
        "log": "what a node's log holds",
        "exit": "a node's exit status",
        "bytes": "what a node sent or received",
        "level": "expectations that only warn",
        "pass": "a text of one's own for a pass",
        "fail": "a text of one's own for a failure",
    },
}
"""Section to word to what it will be for."""
