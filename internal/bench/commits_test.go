//go:build linux

package main

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// A regression of 10 % shows among rounds that differ by 8 %, and no difference is none. What
// differs by more is not called anything.
func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		times, noise float64
		want         string
	}{
		"10 % slower": {1.10, 0.03, "slower"}, "10 % faster": {0.90, 0.03, "faster"}, "the same": {1, 0.03, "as before"}, "noise": {1, 0.4, "too noisy to decide"},
	} {
		random := rand.New(rand.NewPCG(1, 2)) // the same numbers in every run
		for range 200 {
			p := &pair{}
			for range 11 {
				machine := 1 + random.Float64() // other work slows both down
				for side, times := range []float64{1, c.times} {
					p.times[side] = append(p.times[side], 1000*machine*times*(1+c.noise*(2*random.Float64()-1)))
				}
			}
			if ratio, noise, got := p.verdict(); got != c.want && (name != "noise" || got == "as before") {
				t.Fatalf("%s: %s, want %s (%.3f +-%.3f)", name, got, c.want, ratio, noise)
			}
		}
	}
	if err := compareWith(t.Context(), io.Discard, "HEAD", leastRounds-1, t.TempDir()); err == nil || !strings.Contains(err.Error(), "at least 5") {
		t.Errorf("few rounds: %v", err)
	}
	one := &pair{times: [2][]float64{{1}, nil}}
	if _, _, got := one.verdict(); got != "only on one side" {
		t.Errorf("a new benchmark: %s", got)
	}
}

func TestPrintPairs(t *testing.T) {
	times := benchmarkTimes([]byte("goos: linux\nBenchmarkA-2   \t  20\t  1500 ns/op\t 33 MB/s\nBenchmarkB/c \t 3\t 0.5 ns/op\nBenchmarkNone\nPASS\n"))
	if len(times) != 2 || times["A-2"] != 1500 || times["B/c"] != 0.5 {
		t.Fatalf("times: %v", times)
	}
	var out strings.Builder
	err := printPairs(&out, map[string]*pair{
		"A": {times: [2][]float64{{100, 100, 100}, {101, 100, 99}}},
		"B": {times: [2][]float64{{100, 100, 100}, {112, 110, 111}}},
	})
	if err == nil || !strings.Contains(err.Error(), "B: 1.11 times") || strings.Contains(err.Error(), "A:") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(out.String(), "as before") || !strings.Contains(out.String(), "slower") {
		t.Errorf("printed\n%s", out.String())
	}
}
