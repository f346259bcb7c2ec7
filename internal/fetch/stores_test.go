package fetch

import "testing"

// TestOwnStores: hosts that are known to send their files from elsewhere need no line in
// the spec for it, and only by https on the usual port.
func TestOwnStores(t *testing.T) {
	https := func(host string) origin { return origin{"https", host, "443"} }
	for _, row := range []struct {
		from, to origin
		want     bool
	}{
		{https("github.com"), https("release-assets.githubusercontent.com"), true},
		{https("github.com"), https("codeload.github.com"), true},
		{https("github.com"), https("evil.github.com"), false},
		{https("github.com"), https("githubusercontent.com.evil.example"), false},
		{https("github.com"), origin{"http", "codeload.github.com", "80"}, false},
		{https("github.com"), origin{"https", "codeload.github.com", "8443"}, false},
		{origin{"http", "github.com", "80"}, https("codeload.github.com"), false},
		{https("codeload.github.com"), https("github.com"), false},
		{https("dl.k8s.io"), https("cdn.dl.k8s.io"), true},
		{https("huggingface.co"), https("cas-bridge.xethub.hf.co"), true},
		{https("huggingface.co"), https("hf.co"), false},
		{https("ghcr.io"), https("pkg-containers.githubusercontent.com"), true},
		{https("ghcr.io"), https("raw.githubusercontent.com"), false},
		{https("quay.io"), https("cdn02.quay.io"), true},
		{https("quay.io"), https("quay.io.evil.example"), false},
		{https("nvcr.io"), https("layers.nvcr.io"), true},
		{https("helm.ngc.nvidia.com"), https("xfiles.ngc.nvidia.com"), true},
		{https("api.ngc.nvidia.com"), https("evil.nvidia.com.example"), false},
		{https("xfiles.ngc.nvidia.com"), https("api.ngc.nvidia.com"), false},
		{https("other.example"), https("codeload.github.com"), false},
	} {
		if got := ownStore(row.from, row.to); got != row.want {
			t.Errorf("%s to %s: %v", row.from, row.to, got)
		}
	}
}

// TestRedirectPattern: a pattern stands for names below a domain, on the usual port.
func TestRedirectPattern(t *testing.T) {
	set, err := hostSet("redirect-to", []string{"*.mirrors.example", "one.example"})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{redirectTo: set}
	for to, want := range map[origin]bool{
		{"https", "a.mirrors.example", "443"}:      true,
		{"https", "a.b.mirrors.example", "443"}:    true,
		{"http", "a.mirrors.example", "80"}:        true,
		{"https", "mirrors.example", "443"}:        false,
		{"https", "amirrors.example", "443"}:       false,
		{"https", "a.mirrors.example", "8443"}:     false,
		{"https", "a.mirrors.example.evil", "443"}: false,
		{"https", "one.example", "443"}:            true,
		{"https", "sub.one.example", "443"}:        false,
	} {
		if got := h.mayRedirect(to); got != want {
			t.Errorf("%s: %v", to, got)
		}
	}
	for _, bad := range []string{"*", "*.", "*.example", "*.a.example:8443", "a.*.example", "*.1.2.3.4"} {
		if _, err := hostSet("redirect-to", []string{bad}); err == nil {
			t.Errorf("%s: accepted", bad)
		}
	}
}
