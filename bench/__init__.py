"""The bench: cost, delay and delivered audio of the bridge beside a plain bridge and beside the SFU alone.

`python -m bench` runs it whole and writes `docs/performance.md`; `python -m bench --help` lists the parts.
"""
