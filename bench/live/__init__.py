"""Long scenarios on real parts: what the worker promises about joins, failures, floods, leaks and leaving.

`python -m bench.live SCENARIO`. One file per scenario; `stage` holds what they stand on (a livekit-server, the practice
agent and a crowd of people, each a process of its own), `heard` judges what people heard.
"""
