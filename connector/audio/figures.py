"""What the receive path counts: one shape that its modules share and the metrics read."""

from dataclasses import dataclass


@dataclass(slots=True)
class ReceiveFigures:
    """Counters since the session began, and two gauges.

    Attributes:
        received: Packets that came in, whatever became of them.
        empty: Packets without payload (padding only).
        undecodable: Payloads that the codec refused.
        duplicates: Packets that were there already.
        reordered: Packets that came after a later one and were still in time.
        late: Packets that came when their place had passed.
        lost: Packets that had not come when their place passed (the late ones included).
        dropped: Packets left out because they were too old, or too many.
        stray: Packets of the stream before, or the first one far out of sequence.
        ssrc_changes: Another synchronisation source took over.
        sequence_restarts: The sequence numbers began elsewhere.
        timestamp_leaps: The timestamps went on elsewhere.
        mode_switches: Changes between cut-through and the clocked buffer.
        underruns: Times that the clocked buffer ran dry.
        pauses: Times that the stream stopped for longer than is concealed.
        real_samples: Played as decoded.
        restored_samples: Played from a second copy (FEC).
        concealed_samples: Made up in place of audio that was lost or late.
        filler_samples: Made up where nothing was missing: after the last packet before a pause.
        skipped_samples: Left out to lower the delay.
        stretched_samples: Put in to raise it.
        delay_ms: How long after its quickest possible arrival audio is handed on.
        target_ms: What the clocked buffer aims at; 0 in cut-through.
        clocked: Whether the clocked buffer is in charge.
    """

    received: int = 0
    empty: int = 0
    undecodable: int = 0
    duplicates: int = 0
    reordered: int = 0
    late: int = 0
    lost: int = 0
    dropped: int = 0
    stray: int = 0
    ssrc_changes: int = 0
    sequence_restarts: int = 0
    timestamp_leaps: int = 0
    mode_switches: int = 0
    underruns: int = 0
    pauses: int = 0
    real_samples: int = 0
    restored_samples: int = 0
    concealed_samples: int = 0
    filler_samples: int = 0
    skipped_samples: int = 0
    stretched_samples: int = 0
    delay_ms: float = 0.0
    target_ms: float = 0.0
    clocked: bool = False
