// Package verify is the gate: the only way from bytes on a medium to something
// that may be used. Open checks signatures by the importing side's policy, the
// rules about streams, sequences and time, and that root, sums, catalogue and
// lists agree with each other; Stream checks every byte of a volume while it
// is handed on. Only Open makes a Bundle, and package unpack takes nothing
// else. docs/trust.md and docs/format.md are the specification.
//
// It reads no clock (the judging time is handed in), writes nothing but what a
// Sink does, logs nothing, and reaches neither the network nor other programs.
package verify
