package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

var opusCapability = webrtc.RTPCodecCapability{
	MimeType:    webrtc.MimeTypeOpus,
	ClockRate:   48000,
	Channels:    2,
	SDPFmtpLine: "minptime=10;useinbandfec=1",
}

// agents answers POST /webrtc/offer as Millis does, with one session per offer.
type agents struct {
	api      *webrtc.API
	packets  [][]byte
	silence  []byte
	mode     atomic.Value
	network  impairments
	record   string // folder for the logs; empty = none
	mutex    sync.Mutex
	sessions []*session
}

// runAgent serves until standard input closes; it prints {"listening": address} first and all sessions' counts last.
func runAgent(args []string) error {
	a := &agents{}
	flags := flag.NewFlagSet("agent", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address")
	file := flags.String("packets", "", "what the agents say")
	silence := flags.String("silence", "", "file with one packet of silence")
	mode := flags.String("mode", modeTalk, "talk, silence or nothing")
	flags.StringVar(&a.record, "record", "", "folder for the logs of sent and received packets")
	flags.Float64Var(&a.network.loss, "loss", 0, "share of packets lost towards the connector")
	flags.Float64Var(&a.network.late, "late", 0, "share of packets delayed")
	flags.DurationVar(&a.network.lateBy, "late-by", 200*time.Millisecond, "by how much")
	flags.Float64Var(&a.network.padding, "padding", 0, "share of packets followed by one of only padding")
	flags.DurationVar(&a.network.from, "impair-from", 0, "impairments begin this long after a session's first packet")
	flags.DurationVar(&a.network.until, "impair-until", 0, "and end here; 0 = never")
	flags.Int64Var(&a.network.seed, "seed", 1, "of the impairments")
	_ = flags.Parse(args)
	a.mode.Store(*mode)

	var err error
	if a.packets, err = loadPackets(*file); err != nil {
		return err
	}
	quiet, err := loadPackets(*silence)
	if err != nil {
		return err
	}
	a.silence = quiet[0]
	if a.api, err = newAPI(); err != nil {
		return err
	}
	return a.serve(*listen)
}

func (a *agents) serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webrtc/offer", a.offer)
	mux.HandleFunc("POST /control", func(w http.ResponseWriter, r *http.Request) { a.mode.Store(r.FormValue("mode")) })
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(a.counts())
	})
	go func() { _ = http.Serve(listener, mux) }()
	say(map[string]string{"listening": listener.Addr().String()})
	waitForEnd()
	a.mutex.Lock()
	open := append([]*session(nil), a.sessions...)
	a.mutex.Unlock()
	for _, s := range open {
		s.end()
	}
	say(map[string]any{"sessions": a.counts()})
	return nil
}

func (a *agents) counts() []map[string]any {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	all := make([]map[string]any, 0, len(a.sessions))
	for _, s := range a.sessions {
		all = append(all, s.counts())
	}
	return all
}

// newAPI knows only Opus and only the loopback interface, and adds nothing to the stream but sender reports.
func newAPI() (*webrtc.API, error) {
	media := &webrtc.MediaEngine{}
	opus := webrtc.RTPCodecParameters{RTPCodecCapability: opusCapability, PayloadType: 111}
	if err := media.RegisterCodec(opus, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	if err := webrtc.ConfigureRTCPReports(registry); err != nil {
		return nil, err
	}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	return webrtc.NewAPI(
		webrtc.WithMediaEngine(media),
		webrtc.WithInterceptorRegistry(registry),
		webrtc.WithSettingEngine(settings),
	), nil
}

type offerBody struct {
	AgentID string                    `json:"agent_id"`
	Offer   webrtc.SessionDescription `json:"offer"`
}

func (a *agents) offer(w http.ResponseWriter, r *http.Request) {
	var body offerBody
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&body); err != nil {
		http.Error(w, `{"detail": "the body is not an offer"}`, http.StatusUnprocessableEntity)
		return
	}
	answer, err := a.open(body)
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen: offer:", err)
		http.Error(w, `{"detail": "the offer cannot be answered"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"answer": answer})
}

func (a *agents) open(body offerBody) (*webrtc.SessionDescription, error) {
	connection, err := a.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	track, err := webrtc.NewTrackLocalStaticRTP(opusCapability, "agent", "agent")
	if err != nil {
		return nil, err
	}
	if _, err = connection.AddTrack(track); err != nil {
		return nil, err
	}
	a.mutex.Lock()
	s := &session{id: len(a.sessions), agentID: body.AgentID, connection: connection}
	a.sessions = append(a.sessions, s)
	a.mutex.Unlock()
	s.player = &player{track: track, packets: a.packets, silence: a.silence, mode: &a.mode, network: a.network}
	if a.record != "" {
		if err = s.keepLogs(a.record); err != nil {
			return nil, err
		}
	}
	s.watch()
	return answerTo(connection, body.Offer)
}

func answerTo(connection *webrtc.PeerConnection, offer webrtc.SessionDescription) (*webrtc.SessionDescription, error) {
	if err := connection.SetRemoteDescription(offer); err != nil {
		return nil, err
	}
	answer, err := connection.CreateAnswer(nil)
	if err != nil {
		return nil, err
	}
	gathered := webrtc.GatheringCompletePromise(connection)
	if err = connection.SetLocalDescription(answer); err != nil {
		return nil, err
	}
	<-gathered
	return connection.LocalDescription(), nil
}

// keepLogs opens sent-ID.bin and received-ID.bin in folder.
func (s *session) keepLogs(folder string) error {
	for name, log := range map[string]**bufio.Writer{"sent": &s.sentLog, "received": &s.receivedLog} {
		file, err := os.Create(filepath.Join(folder, fmt.Sprintf("%s-%d.bin", name, s.id)))
		if err != nil {
			return err
		}
		s.files = append(s.files, file)
		*log = bufio.NewWriterSize(file, 1<<20)
	}
	s.player.log = s.sentLog
	return nil
}
