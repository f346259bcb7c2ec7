package files

import (
	"net/url"
	"testing"
)

// TestInPlace: which files the name of their host leads to without a rule of their own.
func TestInPlace(t *testing.T) {
	for _, c := range []struct {
		address, at string
		want        bool
	}{
		{"https://a.example/x/y.tgz", "a.example/x/y.tgz", true},
		{"https://a.example/x/y.tgz", "b/y.tgz", false},
		{"https://a.example/", "a.example/index.html", true},
		{"https://a.example", "a.example/index.html", true},
		{"https://a.example:8443/x/", "a.example_8443/x/index.html", true},
		{"https://a.example/x/", "a.example/x/page.html", false},
		{"https://a.example/x", "a.example/x/index.html", false},
		{"https://a.example/x%2Fy/", "a.example/x/y/index.html", false},
		{"https://a.example/x%20y/", "a.example/x y/index.html", true},
		{"https://a.example/?x=1", "a.example/index.html", false},
	} {
		u, err := url.Parse(c.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := inPlace(u, c.at); got != c.want {
			t.Errorf("%s at %s: %v, want %v", c.address, c.at, got, c.want)
		}
	}
}
