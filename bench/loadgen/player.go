package main

import (
	"encoding/binary"
	"io"
	"math/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// What an agent sends now; changed while it runs through /control.
const (
	modeTalk    = "talk"    // the prepared packets, endlessly
	modeSilence = "silence" // a packet of silence every 20 ms
	modeNothing = "nothing" // no packet at all
)

// fate is what becomes of one packet on its way; the values stand in the log that the harness reads.
type fate uint8

const (
	fateSent fate = iota
	fateLost
	fateLate
	fatePadding // an extra packet of nothing but padding
)

// impairments are what the network does to the agent's packets; drawn from a seed, so every run meets the same.
type impairments struct {
	loss, late, padding float64
	lateBy              time.Duration
	from, until         time.Duration // since the session's first packet; until 0 = for ever
	seed                int64
}

// player sends one session's packets every 20 ms and logs the fate of each.
type player struct {
	track   *webrtc.TrackLocalStaticRTP
	packets [][]byte
	silence []byte
	mode    *atomic.Value
	network impairments
	log     io.Writer // may be nil
	random  *rand.Rand

	sequence uint16
	counts   [4]atomic.Int64
	delayed  sync.WaitGroup
	stop     atomic.Bool
}

func (p *player) play() {
	p.random = rand.New(rand.NewSource(p.network.seed))
	position := 0
	every(func(i int) bool {
		timestamp := uint32(i * packetSamples)
		switch p.mode.Load() {
		case modeTalk:
			p.send(p.packets[position%len(p.packets)], position, timestamp, p.draw(i))
			position++
		case modeSilence:
			p.send(p.silence, -1, timestamp, p.draw(i))
		}
		return !p.stop.Load()
	})
	p.delayed.Wait()
}

// draw decides the fate of tick i; it draws the same numbers whatever happens, so that a seed means one pattern.
func (p *player) draw(i int) fate {
	loss, late, padding := p.random.Float64(), p.random.Float64(), p.random.Float64()
	age := time.Duration(i) * packetTime
	if age < p.network.from || (p.network.until > 0 && age >= p.network.until) {
		return fateSent
	}
	switch {
	case loss < p.network.loss:
		return fateLost
	case late < p.network.late:
		return fateLate
	case padding < p.network.padding:
		return fatePadding
	}
	return fateSent
}

func (p *player) send(payload []byte, position int, timestamp uint32, what fate) {
	packet := rtp.Packet{
		Header:  rtp.Header{Version: 2, SequenceNumber: p.sequence, Timestamp: timestamp},
		Payload: payload,
	}
	p.sequence++
	p.note(position, what)
	switch what {
	case fateLost:
	case fateLate:
		p.delayed.Add(1)
		time.AfterFunc(p.network.lateBy, func() {
			defer p.delayed.Done()
			_ = p.track.WriteRTP(&packet)
		})
	case fatePadding:
		_ = p.track.WriteRTP(&packet)
		p.pad(timestamp + packetSamples/2)
	default:
		_ = p.track.WriteRTP(&packet)
	}
}

// pad sends a packet that holds only padding, under a timestamp of its own, as probing senders do.
func (p *player) pad(timestamp uint32) {
	_ = p.track.WriteRTP(&rtp.Packet{Header: rtp.Header{
		Version: 2, Padding: true, PaddingSize: 200, SequenceNumber: p.sequence, Timestamp: timestamp,
	}})
	p.sequence++
}

// note logs one packet: int64 ns, int32 position in the prepared packets (-1 silence), uint8 fate.
func (p *player) note(position int, what fate) {
	p.counts[what].Add(1)
	if p.log == nil {
		return
	}
	record := make([]byte, 0, 13)
	record = binary.LittleEndian.AppendUint64(record, uint64(monotonic()))
	record = binary.LittleEndian.AppendUint32(record, uint32(int32(position)))
	_, _ = p.log.Write(append(record, byte(what)))
}
