// Package state is what a mirror remembers apart from what it publishes: the
// ratchet of each set, the policy, the journal, bundles that wait for volumes,
// receipts, and the lock.
//
// Everything is below state/ in the directory of the mirror, in small files
// that are replaced whole or not at all; the journal alone is appended to. A
// State only reads. Lock makes a Writer of it, and every function that changes
// something is a method of Writer.
//
// A publish changes several of these files and the link to the generation. They
// change together: Intend writes the whole change down, and Complete carries it
// out. After a crash the next process that takes the lock completes it.
package state
