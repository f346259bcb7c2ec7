// Package simulation plays the life of a mirror from a seed:
//
//   - two exporters, and strangers who sign with keys of their own;
//   - a courier who loses, doubles, delays, mixes up and damages bundles;
//   - an importer who is interrupted and killed, and disks that forget;
//   - operators who roll back, withdraw, forget and run gc;
//   - clients that read all the while, and clocks that jump.
//
// The real packages do the work, through the functions that the commands call. No process, no network but loopback, and no
// wall clock takes part.
//
// After every step a model examines the mirror's folder. It was written from docs/format.md, docs/promises.md and
// docs/trust.md, knows what upstream had when each bundle was signed, and uses no code of the mirror to decide what is right:
//
//   - every byte that a client can see is one of a signed bundle that was brought, whole and as it was exported;
//   - nothing older than what was accepted is accepted, whatever happens to the state;
//   - every generation that gc has to keep has all of its files, and the store has what the next delta leaves out;
//   - every reader gets one version of a file, from its first byte to its last;
//   - what was whole, new and wanted was published, and exit 0 was nothing less.
//
// A seed that fails is printed with its steps and the command that plays it again.
package simulation
