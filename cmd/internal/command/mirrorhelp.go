package command

// mirrorHelp has the descriptions of the commands on one mirror, by name. Lines are at most
// 88 characters long.
func mirrorHelp() map[string]string {
	return map[string]string{
		"status": `Prints each set with its newest bundle, its size and overrides, when upstream's
signatures lapse, and which bundles wait for volumes. The fingerprint of the mirror's
receipt key is there too: compare it when the first receipt is added outside.`,
		"history": `Prints one line for each event, the oldest first. Each line has the SHA-256 of the one
before: if a line was changed or removed, history stops there with exit 3.`,
		"check": `Compares every published path with the signed lists: its presence, size and mode, and
with --data its digest. gapbundle also checks by the rules of each kind that clients
find everything that they need; gapbundle-inside prints the counts of the export.
Ends with exit 3 and names each damaged file. gapbundle repair repairs them.`,
		"repair": `Reads everything that the mirror keeps and replaces damaged content by that of the
bundles in PATH. Any bundle that has the content helps, however old, if a key of the
policy signed it. If none has it, a signed request is written: carry it out and run
gapbundle export --repair FILE (exit 5 until everything is repaired).`,
		"rollback": `Publishes the content of an earlier generation as a new one, with newer times, so that
clients notice it. Without --to it is the newest generation with other content. The
record of accepted bundles does not change: older bundles are still refused. history
lists the generations.`,
		"gc": `Keeps the published generation, the one before it, the 3 newest (--keep), and those
that were replaced less than a day ago. Content that the next delta builds on stays, and
so does what has arrived of bundles that wait for volumes.`,
		"forget": `Publishes a generation without SET, which makes its content unreachable at once. Other
sets may then take its paths. Its older bundles are still refused; the newest one may
be imported again. gapbundle gc frees the space.`,
	}
}
