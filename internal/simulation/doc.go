// Package simulation plays the life of a mirror from a seed: two exporters, a courier who loses, doubles, delays, mixes up and
// damages what he carries, strangers who sign with keys of their own, an importer who is interrupted and killed, disks that
// forget, operators who roll back, withdraw, forget and collect, clients that read all the while, and clocks that jump. The
// real packages do the work, through the functions that the commands call; no process, no network but loopback, and no wall
// clock takes part.
//
// After every step a model looks at the mirror's folder. It was written from docs/format.md, docs/promises.md and
// docs/trust.md, knows what upstream had when each bundle was signed, and asks no code of the mirror what is right:
//
//   - every byte that a client can see is one of a signed bundle that was brought, whole and as it was exported;
//   - nothing older than what was accepted is accepted, whatever happens to the state;
//   - every generation that gc has to keep has all of its files, and the store has what the next delta leaves out;
//   - every reader gets one version of a file, from its first byte to its last;
//   - what was whole, new and wanted was published, and exit 0 was nothing less.
//
// A seed that fails is printed with its steps and the command that plays it again.
package simulation
