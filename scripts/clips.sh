#!/bin/sh
# Makes the recorded speech of the demo: connector/practice/clips/*.wav, 16 kHz mono 16-bit, peaks at -7 dBFS so that
# two voices at once stay below full scale. The clips are committed; this says how they came to be.
# Needs espeak-ng and sox. Usage: scripts/clips.sh [FOLDER]
set -eu
folder=${1:-$(dirname "$0")/../connector/practice/clips}
mkdir -p "$folder"

say() { # say NAME VOICE PITCH SPEED TEXT
    espeak-ng -v "$2" -p "$3" -s "$4" --stdout "$5" |
        sox -q -t wav - -R -r 16000 -b 16 -c 1 "$folder/$1.wav" \
            highpass 60 silence 1 0.01 0.3% fade t 0.005 reverse silence 1 0.01 0.3% fade t 0.02 reverse norm -7
}

say ada-asks en-us+f3 62 175 "Hello, this is Ada. Please repeat what I say."
say grace-asks en-gb-x-rp+f2 34 180 "And this is Grace. Can you hear me too?"
say ada-together en-us+f3 62 180 "Now we both speak at the same time."
say grace-together en-gb-x-rp+f2 34 180 "Nobody should get lost in the mix."
say grace-interrupts en-gb-x-rp+f2 34 185 "Sorry, let me stop you there."
say agent-greets en-us+m3 30 175 "Hello! I am the practice agent."
