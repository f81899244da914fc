package main

import (
	"flag"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

type people struct {
	url, key, secret, prefix string
	rooms, perRoom           int
	subscribe                bool
	packets                  [][]byte
	sent, received           atomic.Int64
	stop                     atomic.Bool
}

// runPeople lets people join rooms and talk; it prints {"joined": n} when all are in, and the counts at the end.
func runPeople(args []string) error {
	p := &people{}
	flags := flag.NewFlagSet("people", flag.ExitOnError)
	flags.StringVar(&p.url, "url", "", "LiveKit URL")
	flags.StringVar(&p.key, "key", "", "API key")
	flags.StringVar(&p.secret, "secret", "", "API secret")
	flags.StringVar(&p.prefix, "prefix", "bench-", "room names are this prefix and a number from 0")
	flags.IntVar(&p.rooms, "rooms", 1, "how many rooms")
	flags.IntVar(&p.perRoom, "people", 2, "people in each room")
	flags.BoolVar(&p.subscribe, "subscribe", false, "listen to what the others publish")
	file := flags.String("packets", "", "what they say")
	_ = flags.Parse(args)
	var err error
	if p.packets, err = loadPackets(*file); err != nil {
		return err
	}
	lksdk.SetLogger(logger.LogRLogger(logr.Discard()))

	var speakers sync.WaitGroup
	for room := range p.rooms {
		for person := range p.perRoom {
			connection, err := p.join(room, person, &speakers)
			if err != nil {
				return fmt.Errorf("room %d, person %d: %w", room, person, err)
			}
			defer connection.Disconnect()
		}
	}
	say(map[string]int{"joined": p.rooms * p.perRoom})
	waitForEnd()
	p.stop.Store(true)
	speakers.Wait()
	say(map[string]int64{"sent": p.sent.Load(), "received": p.received.Load()})
	return nil
}

func (p *people) join(room, person int, speakers *sync.WaitGroup) (*lksdk.Room, error) {
	callback := &lksdk.RoomCallback{ParticipantCallback: lksdk.ParticipantCallback{
		OnTrackSubscribed: func(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
			for {
				if _, _, err := track.ReadRTP(); err != nil {
					return
				}
				p.received.Add(1)
			}
		},
	}}
	connection, err := lksdk.ConnectToRoom(p.url, lksdk.ConnectInfo{
		APIKey:              p.key,
		APISecret:           p.secret,
		RoomName:            fmt.Sprintf("%s%d", p.prefix, room),
		ParticipantIdentity: fmt.Sprintf("person-%d", person),
	}, callback, lksdk.WithAutoSubscribe(p.subscribe))
	if err != nil {
		return nil, err
	}
	track, err := webrtc.NewTrackLocalStaticRTP(opusCapability, "voice", "voice")
	if err != nil {
		return nil, err
	}
	options := &lksdk.TrackPublicationOptions{Name: "voice", DisableDTX: true}
	if _, err = connection.LocalParticipant.PublishTrack(track, options); err != nil {
		return nil, err
	}
	speakers.Add(1)
	go func() {
		defer speakers.Done()
		p.speak(track)
	}()
	return connection, nil
}

// speak starts at a place of its own in the recording, so that nobody says the same at the same time.
func (p *people) speak(track *webrtc.TrackLocalStaticRTP) {
	time.Sleep(time.Duration(rand.Int63n(int64(packetTime))))
	offset := rand.Intn(len(p.packets))
	every(func(i int) bool {
		packet := rtp.Packet{
			Header: rtp.Header{
				Version:        2,
				SequenceNumber: uint16(i),
				Timestamp:      uint32(i * packetSamples),
			},
			Payload: p.packets[(offset+i)%len(p.packets)],
		}
		if err := track.WriteRTP(&packet); err == nil {
			p.sent.Add(1)
		}
		return !p.stop.Load()
	})
}
