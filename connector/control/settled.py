"""When is a file that somebody writes to worth reading? Once two looks in a row saw the same. Pure.

Looking at the content, again and again, works wherever a file can be read: with an editor's rename, a mounted
ConfigMap's or Secret's symlink swap, a network file system without change events.
"""

LOOK_EVERY_S = 0.4
"""A change is seen by the next look and taken by the one after: 0.8 s of the 2 s; 5,000 rules take one to read."""


class Settled:
    """Notices that something has changed and come to rest.

    Args:
        taken: The fingerprint of what is in force.
    """

    def __init__(self, taken: str) -> None:
        self._seen = taken
        self._taken = taken

    def changed(self, fingerprint: str) -> bool:
        """Note a look; True once for each change: when it is seen for the second time in a row.

        Args:
            fingerprint: Of what the look saw; any text that differs when the content does.
        """
        at_rest, self._seen = fingerprint == self._seen, fingerprint
        if not at_rest or fingerprint == self._taken:
            return False
        self._taken = fingerprint
        return True
