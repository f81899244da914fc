package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	packetTime    = 20 * time.Millisecond
	packetSamples = 960
)

// loadPackets reads a file of Opus packets of 20 ms each: a little-endian uint16 length before every packet.
func loadPackets(path string) ([][]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var packets [][]byte
	for len(data) >= 2 {
		length := int(binary.LittleEndian.Uint16(data))
		if length == 0 || len(data) < 2+length {
			return nil, fmt.Errorf("%s: broken after packet %d", path, len(packets))
		}
		packets = append(packets, data[2:2+length])
		data = data[2+length:]
	}
	if len(packets) == 0 {
		return nil, fmt.Errorf("%s: no packets", path)
	}
	return packets, nil
}

// monotonic is CLOCK_MONOTONIC in ns, the clock of Python's time.monotonic_ns: one ruler for all processes.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		fail(err)
	}
	return now.Nano()
}

// every calls tick(i) once per 20 ms until it returns false; a late call is followed at once by the next.
func every(tick func(i int) bool) {
	start := time.Now()
	for i := 0; ; i++ {
		time.Sleep(time.Until(start.Add(time.Duration(i) * packetTime)))
		if !tick(i) {
			return
		}
	}
}
