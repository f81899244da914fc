"""The agent leg: the offer call to Millis, the checks of its answer, and the WebRTC peer that carries the audio.

Read down: `options` (what a rule says), `offer` (the one HTTP call), `responses` (what each reply means), `sdp` (what
may be believed of an answer), `peer` and `track` (the WebRTC connection), `seams` (where its libraries are entered
below their public face), `leg` (all of it behind the face that a session sees).
"""
