//go:build clients

package webtest

import "testing"

func TestRealServers(t *testing.T) { testServers(t, newFixture, []string{Nginx, Apache, Caddy}) }

// TestRealMirror: over what export and import make, what depends on them.
func TestRealMirror(t *testing.T) {
	testServers(t, newRealMirror, Names(), "content", "switch", "slow", "images", "moving")
}
