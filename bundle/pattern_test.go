package bundle

import (
	"errors"
	"testing"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"apt/*", "apt/site", true}, {"apt/*", "apt/site/dists/x", true}, {"apt/*", "apt", false}, {"apt/*", "aptitude/site", false},
		{"files/download.schedmd.com", "files/download.schedmd.com/slurm.tar", true}, {"files/download.schedmd.com", "files/download.schedmd.com.evil/x", false},
		{"v2/nvcr.io", "v2/nvcr.io/nvidia/cuda/manifests/1", true}, {"git/github.com/NVIDIA", "git/github.com/nvidia/x.git", false},
		{"git/github.com/NVIDIA", "git/github.com/NVIDIA/x.git/HEAD", true}, {"*/site", "apt/site", true}, {"*/site", "apt/x/site", false}, {"apt/site", "apt/site2", false},
	} {
		if got := MatchPattern(c.pattern, c.path); got != c.want {
			t.Errorf("%s, %s: %v", c.pattern, c.path, got)
		}
	}
	for _, bad := range []string{"", "/apt", "apt/", "apt/..", "apt/a*", "a//b", "**"} {
		if err := CheckPattern(bad); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, c := range []struct {
		pattern, host string
		want          bool
	}{{"a.org", "a.org", true}, {"a.org", "x.a.org", false}, {"*.a.org", "x.a.org", true}, {"*.a.org", "a.org", false}, {"*.a.org", ".a.org", false}, {"a.org:8443", "a.org", false}} {
		if got := MatchHost(c.pattern, c.host); got != c.want {
			t.Errorf("%s, %s: %v", c.pattern, c.host, got)
		}
	}
	for _, bad := range []string{"", "*", "*.", "A.org", "a b", "https://a.org"} {
		if err := CheckHostPattern(bad); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("apt/*", "apt/site/x")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if CheckPattern(pattern) == nil && CheckPath(path) == nil && MatchPattern(pattern, path) && !MatchPattern(pattern, path+"/below") {
			t.Errorf("%q has %q and not what is below it", pattern, path)
		}
	})
}
