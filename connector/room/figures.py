"""The counters of one room leg."""

from dataclasses import dataclass


@dataclass(slots=True)
class RoomFigures:
    """What happened in one room leg; totals unless said otherwise.

    Attributes:
        humans: Humans in the room now.
        heard: Tracks heard now.
        heard_most: Tracks heard at once, at most.
        stalled: Heard tracks that deliver no frames now: the right to hear them was taken away, or media does not come.
        over_cap: Tracks that are not heard now because too many are.
        streams_opened: Streams opened.
        frames: 10 ms frames taken from them.
        subscribe_retries: Subscriptions asked for again because nothing came of the first time.
        stream_failures: Streams that could not be opened.
        public_streams: Whether tracks are heard through the public `AudioStream` instead of the tap.
        pushed_frames: 10 ms frames of the reply published.
        withheld_frames: 10 ms frames of the reply not published: muted by an administrator, no right, or no track yet.
        odd_pushes: Pushes that were no multiple of 10 ms.
        push_failures: Frames that the native library refused.
        publishes: Times that our track was published.
        publish_failures: Times that this failed.
        attribute_writes: Writes of our attributes.
        attribute_failures: Writes that failed or could not be read back.
        resumes: Connections restored with everything kept.
        full_reconnects: Connections made anew by the SDK.
        recovery_gap_s: Seconds that the last recovery took.
        packets_in: RTP packets received, all heard tracks together; this and the following as WebRTC reports them.
        lost_in: Of those sent to us, lost.
        packets_out: RTP packets sent.
        lost_out: Of these, lost, as LiveKit reports.
        decoded_samples: Samples of the heard tracks handed on by WebRTC's own jitter buffer.
        concealed_samples: Of these, made up in place of lost sound.
        jitter_ms: Interarrival jitter of the worst track, None while there is none.
        jitter_out_ms: The same of what we send, as LiveKit reports it.
        rtt_ms: Round trip to LiveKit.
    """

    humans: int = 0
    heard: int = 0
    heard_most: int = 0
    stalled: int = 0
    over_cap: int = 0
    streams_opened: int = 0
    frames: int = 0
    subscribe_retries: int = 0
    stream_failures: int = 0
    public_streams: bool = False
    pushed_frames: int = 0
    withheld_frames: int = 0
    odd_pushes: int = 0
    push_failures: int = 0
    publishes: int = 0
    publish_failures: int = 0
    attribute_writes: int = 0
    attribute_failures: int = 0
    resumes: int = 0
    full_reconnects: int = 0
    recovery_gap_s: float = 0.0
    packets_in: int = 0
    lost_in: int = 0
    packets_out: int = 0
    lost_out: int = 0
    decoded_samples: int = 0
    concealed_samples: int = 0
    jitter_ms: float | None = None
    jitter_out_ms: float | None = None
    rtt_ms: float | None = None
