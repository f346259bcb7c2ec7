package webtest

import (
	"testing"

	"github.com/gapbundle/gapbundle/unpack/site"
)

// confined checks that a browser runs nothing of an answer in the mirror's origin, whoever
// wrote it, and takes it for nothing else than its type says.
func confined(t *testing.T, what string, resp reply) {
	t.Helper()
	if policy := resp.Header.Values("Content-Security-Policy"); len(policy) != 1 || policy[0] != site.ContentPolicy {
		t.Errorf("%s: Content-Security-Policy %q, want %q", what, policy, site.ContentPolicy)
	}
	if sniff := resp.Header.Values("X-Content-Type-Options"); len(sniff) != 1 || sniff[0] != "nosniff" {
		t.Errorf("%s: X-Content-Type-Options %q, want nosniff", what, sniff)
	}
}
