//go:build clients

package main

import "testing"

// TestScriptsWithClients runs the scripts of testdata/clients, which start other programs
// than gapbundle: age, tar and zstd.
func TestScriptsWithClients(t *testing.T) { runScripts(t, "clients", "") }
