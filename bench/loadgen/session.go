package main

import (
	"bufio"
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// lateAfter is how far behind its place in the 20 ms grid a received packet counts as late.
const lateAfter = 10 * time.Millisecond

// session is one call of one agent.
type session struct {
	id         int
	agentID    string
	connection *webrtc.PeerConnection
	player     *player

	sentLog, receivedLog *bufio.Writer
	files                []*os.File
	received, late       atomic.Int64
	closed               atomic.Bool
	started, ended       sync.Once
	running              sync.WaitGroup
}

// watch starts the player when the call is up and ends the session when the call is over.
func (s *session) watch() {
	s.connection.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			s.started.Do(func() {
				s.running.Add(1)
				go func() {
					defer s.running.Done()
					s.player.play()
				}()
			})
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			go s.end()
		}
	})
	s.connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		s.running.Add(1)
		defer s.running.Done()
		s.listen(track)
	})
}

func (s *session) listen(track *webrtc.TrackRemote) {
	grid := grid{}
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		now := monotonic()
		if grid.behind(time.Duration(now), packet.Timestamp) > lateAfter {
			s.late.Add(1)
		}
		s.received.Add(1)
		s.noteReceived(now, packet)
	}
}

// noteReceived logs one packet: int64 ns, uint32 timestamp, uint16 sequence number, uint16 length, payload.
func (s *session) noteReceived(now int64, packet *rtp.Packet) {
	if s.receivedLog == nil {
		return
	}
	record := make([]byte, 0, 16+len(packet.Payload))
	record = binary.LittleEndian.AppendUint64(record, uint64(now))
	record = binary.LittleEndian.AppendUint32(record, packet.Timestamp)
	record = binary.LittleEndian.AppendUint16(record, packet.SequenceNumber)
	record = binary.LittleEndian.AppendUint16(record, uint16(len(packet.Payload)))
	_, _ = s.receivedLog.Write(append(record, packet.Payload...))
}

// end closes the call and its logs; it may be called again.
func (s *session) end() {
	s.ended.Do(func() {
		s.player.stop.Store(true)
		_ = s.connection.Close()
		s.running.Wait()
		for _, log := range []*bufio.Writer{s.sentLog, s.receivedLog} {
			if log != nil {
				_ = log.Flush()
			}
		}
		for _, file := range s.files {
			_ = file.Close()
		}
		s.closed.Store(true)
	})
}

func (s *session) counts() map[string]any {
	return map[string]any{
		"id":            s.id,
		"agent_id":      s.agentID,
		"closed":        s.closed.Load(),
		"sent":          s.player.counts[fateSent].Load(),
		"lost":          s.player.counts[fateLost].Load(),
		"delayed":       s.player.counts[fateLate].Load(),
		"padding":       s.player.counts[fatePadding].Load(),
		"received":      s.received.Load(),
		"received_late": s.late.Load(),
	}
}

// grid tells how far a packet lags behind the steadiest line through the arrivals of the last five seconds.
type grid struct {
	arrivals []time.Duration // arrival minus media time, per packet
	next     int
}

func (g *grid) behind(now time.Duration, timestamp uint32) time.Duration {
	const window = 250
	lag := now - time.Duration(timestamp)*packetTime/packetSamples
	if len(g.arrivals) < window {
		g.arrivals = append(g.arrivals, lag)
	} else {
		g.arrivals[g.next%window] = lag
	}
	g.next++
	earliest := g.arrivals[0]
	for _, other := range g.arrivals {
		earliest = min(earliest, other)
	}
	return lag - earliest
}
