from dataclasses import replace

from connector.audio.figures import ReceiveFigures
from connector.audio.frames import RATE_HZ, MediaPacket
from connector.audio.order import Held, Order, Standing, Stream
from tests.network import marked


def place(stream: Stream, packet: MediaPacket) -> Held | None:
    return stream.place(packet, 960 if packet.payload else 0)


def placed(stream: Stream, packet: MediaPacket) -> Held:
    held = place(stream, packet)
    assert held is not None
    return held


class Pair:
    """A stream and an order behind it."""

    def __init__(self) -> None:
        self.figures = ReceiveFigures()
        self.stream = Stream(RATE_HZ, self.figures)
        self.order = Order(self.figures)

    def put(self, *numbers: int) -> list[Standing]:
        return [self.order.put(placed(self.stream, marked(number))) for number in numbers]

    def put_empty(self, number: int) -> Standing:
        return self.order.put(placed(self.stream, replace(marked(number), payload=b"", timestamp=4711)))

    def pop_all(self) -> list[tuple[int, int]]:
        """(number, how many are missing before it) of all that is held."""
        out = []
        while self.order.head() is not None:
            missing = self.order.missing
            out.append((self.order.pop().number, missing))
        return out


def test_numbers_and_timestamps_go_on_past_their_wrap() -> None:
    """Both counters become endless, in and out of order, across their wraps."""
    stream = Stream(RATE_HZ, ReceiveFigures())
    first = MediaPacket(65_534, 0xFFFFFFFF - 959, 7, b"x")
    held = [placed(stream, first)]
    for number, timestamp in ((65_535, 0), (1, 1920), (0, 960), (2, 2880)):
        held.append(placed(stream, MediaPacket(number, timestamp, 7, b"x")))
    assert [h.number - 65_534 for h in held] == [0, 1, 3, 2, 4]
    assert [h.start - held[0].start for h in held] == [0, 960, 2880, 1920, 3840]
    assert [h.newest for h in held] == [True, True, True, False, True]


def test_a_slow_clock_is_counted_in_48_khz_samples() -> None:
    """8 kHz timestamps become six times as many samples."""
    stream = Stream(8_000, ReceiveFigures())
    first = placed(stream, MediaPacket(1, 100, 7, b"x"))
    assert placed(stream, MediaPacket(2, 260, 7, b"x")).start - first.start == 960


def test_another_source_begins_a_new_stream_and_the_rest_of_the_old_one_is_ignored() -> None:
    """The first packet of another SSRC is fresh; stragglers of the former one are stray for a second's worth."""
    figures = ReceiveFigures()
    stream = Stream(RATE_HZ, figures)
    assert placed(stream, marked(5)).fresh
    assert not placed(stream, marked(6)).fresh
    assert placed(stream, marked(40_000, ssrc=8)).fresh
    assert place(stream, marked(7)) is None
    assert not placed(stream, marked(40_001, ssrc=8)).fresh
    assert (figures.ssrc_changes, figures.stray) == (1, 1)
    again = [place(stream, marked(number)) for number in range(8, 70)]
    assert again[48] is None
    assert again[49] is not None
    assert again[49].fresh


def test_another_sequence_is_believed_at_its_second_packet() -> None:
    """One number far away is a stray; the one after it begins a new stream (RFC 3550 appendix A.1)."""
    figures = ReceiveFigures()
    stream = Stream(RATE_HZ, figures)
    placed(stream, marked(100))
    assert place(stream, marked(30_000)) is None
    assert not placed(stream, marked(101)).fresh
    assert place(stream, marked(30_001)) is None
    assert placed(stream, marked(30_002)).fresh
    assert place(stream, marked(29_000)) is None
    assert (figures.sequence_restarts, figures.stray) == (1, 3)


def test_timestamps_that_stand_still_or_go_back_are_a_leap() -> None:
    """A later number with a timestamp not later leaps; an empty packet's timestamp means nothing."""
    stream = Stream(RATE_HZ, ReceiveFigures())
    placed(stream, MediaPacket(1, 9600, 7, b"x"))
    assert not placed(stream, MediaPacket(2, 0, 7, b"")).leap
    assert not placed(stream, MediaPacket(3, 10_560, 7, b"x")).leap
    assert placed(stream, MediaPacket(4, 10_560, 7, b"x")).leap
    assert placed(stream, MediaPacket(5, 480, 7, b"x")).leap
    assert not placed(stream, MediaPacket(6, 1440, 7, b"x")).leap


def test_packets_come_out_in_order() -> None:
    """What came in any order leaves by number, and what came after a later one is counted."""
    pair = Pair()
    assert pair.put(0, 2, 1, 4, 3) == [Standing.TAKEN] * 5
    assert pair.order.samples == 5 * 960
    assert pair.pop_all() == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]
    assert pair.figures.reordered == 2


def test_a_packet_whose_turn_has_passed_is_late_once_and_a_double_ever_after() -> None:
    """Late, held twice, and played twice are told apart."""
    pair = Pair()
    pair.put(0, 3)
    assert pair.pop_all() == [(0, 0), (3, 2)]
    assert pair.put(1, 1, 2, 3, 0) == [
        Standing.LATE,
        Standing.REFUSED,
        Standing.LATE,
        Standing.REFUSED,
        Standing.REFUSED,
    ]
    pair.put(4)
    assert pair.put(4) == [Standing.REFUSED]
    assert (pair.figures.late, pair.figures.duplicates) == (2, 4)


def test_empty_packets_use_up_their_number_and_nothing_else() -> None:
    """Padding-only packets neither make a hole nor hide one, wherever they come."""
    pair = Pair()
    pair.put(0)
    assert pair.put_empty(1) is Standing.TAKEN
    pair.put(2)
    assert pair.pop_all() == [(0, 0), (2, 0)]
    pair.put_empty(4)
    pair.put_empty(5)
    assert pair.order.head() is None
    pair.put(3)
    assert pair.pop_all() == [(3, 0)]
    pair.put_empty(7)
    pair.put(8)
    assert pair.order.missing == 1
    assert pair.put_empty(7) is Standing.REFUSED
    assert pair.pop_all() == [(8, 1)]
    assert pair.put(6) == [Standing.LATE]


def test_what_is_held_is_bounded() -> None:
    """A flood of packets in front of a hole, or of empty ones, keeps at most 128 of each, the newest."""
    pair = Pair()
    pair.put(0)
    pair.pop_all()
    pair.put(*range(2, 402))
    numbers = [number for number, _ in pair.pop_all()]
    assert numbers == list(range(274, 402))
    assert pair.figures.dropped == 272
    for number in range(500, 900):
        pair.put_empty(number)
    assert len(pair.order._empty) <= 128


def test_a_new_stream_starts_where_it_starts() -> None:
    """After a restart the first packet is the next one, whatever its number."""
    pair = Pair()
    pair.put(0, 1)
    pair.order.restart()
    assert pair.order.head() is None
    assert pair.put(50, 51) == [Standing.TAKEN] * 2
    assert pair.pop_all() == [(50, 0), (51, 0)]
