// Command gapbundle-inside is gapbundle for the side inside the gap: what an
// auditor of that side reads and builds. It links no kind of repository, no
// resolver and nothing that handles an exporter's private key.
package main

import "github.com/gapbundle/gapbundle/cmd/internal/command"

func main() { command.Inside().Main() }
