// Command loadgen is the far side of the bench: many people in LiveKit rooms, or many Millis agents, replaying prepared
// Opus packets so that they cost next to nothing. It prints JSON lines and ends when its standard input closes.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: loadgen people|agent [flags]"))
	}
	var err error
	switch os.Args[1] {
	case "people":
		err = runPeople(os.Args[2:])
	case "agent":
		err = runAgent(os.Args[2:])
	default:
		err = fmt.Errorf("unknown command %q: people or agent", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "loadgen:", err)
	os.Exit(1)
}

// say prints one JSON line for the harness.
func say(event any) {
	if err := json.NewEncoder(os.Stdout).Encode(event); err != nil {
		fail(err)
	}
}

// waitForEnd returns when standard input closes (the harness is done, or dead) or a signal asks for the end.
func waitForEnd() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	select {
	case <-signals:
	case <-closed:
	}
}
