//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// hotPaths are the Go benchmarks of what is done for every byte or every line.
var hotPaths = []hotPath{
	{"bundle", "^Benchmark(ReadFileList|ParseAnnotatedLine|AppendAnnotatedLine)$", "line scanner"},
	{"bundle/media", "^BenchmarkFrame$/text|packed/default", "frame writer"},
	{"bundle/media", "^Benchmark(WriteLarge|WriteSmall)$", "pipeline of an export"},
	{"unpack/store", "^BenchmarkBatch$", "store"},
	{"verify", "^Benchmark(Stream|StreamWritten)$", "pipeline of an import"},
}

// hotPath are the benchmarks of one package that match pattern, as -test.bench takes it.
type hotPath struct{ folder, pattern, what string }

// compareWith runs the benchmarks of the hot paths at a commit and in the working tree, in turn, round
// by round. It prints what each takes and is an error where something is slower, or where the
// rounds differ by too much to decide. Other work on the machine makes them differ.
func compareWith(ctx context.Context, out io.Writer, ref string, rounds int, dir string) (err error) {
	if rounds < leastRounds {
		return fmt.Errorf("-rounds %d: want at least %d: fewer show no noise", rounds, leastRounds)
	}
	work, err := os.MkdirTemp(dir, "gapbundle-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(work)) }()
	top, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("git rev-parse: %w", err)
	}
	now, before := strings.TrimSpace(string(top)), filepath.Join(work, "tree")
	if err := checkOut(ctx, now, ref, before); err != nil {
		return err
	}
	var failed error
	for i, p := range hotPaths {
		fmt.Fprintf(out, "%s: %s, %s: at %s, now, and how many times that is\n", p.folder, p.what, spelling.Count(rounds, "round"), ref)
		var programs [2]string
		for side, tree := range []string{before, now} {
			programs[side] = filepath.Join(work, fmt.Sprintf("%d-%d.test", i, side))
			build := exec.CommandContext(ctx, "go", "test", "-c", "-o", programs[side], "./"+p.folder)
			build.Dir = tree
			if text, err := build.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: go test -c ./%s: %w\n%s", tree, p.folder, err, text)
			}
		}
		pairs := map[string]*pair{}
		for round := range rounds {
			for turn := range 2 {
				side := (round + turn) % 2 // who is first changes
				tree := []string{before, now}[side]
				if err := p.run(ctx, programs[side], filepath.Join(tree, p.folder), side, pairs); err != nil {
					return err
				}
			}
		}
		failed = errors.Join(failed, printPairs(out, pairs))
	}
	return failed
}

// checkOut puts the files of a commit into a folder.
func checkOut(ctx context.Context, repository, ref, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	archive := exec.CommandContext(ctx, "git", "-C", repository, "archive", "--format=tar", ref)
	unpack := exec.CommandContext(ctx, "tar", "-C", to, "-xf", "-")
	if _, err := measure("", archive, unpack); err != nil {
		return fmt.Errorf("git archive %s: %w", ref, err)
	}
	return nil
}

// run takes one time of each benchmark.
func (p hotPath) run(ctx context.Context, program, folder string, side int, pairs map[string]*pair) error {
	cmd := exec.CommandContext(ctx, program, "-test.run", "^$", "-test.bench", p.pattern, "-test.benchtime", "300ms")
	cmd.Dir = folder
	text, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmarks of %s: %w\n%s", folder, err, text)
	}
	times := benchmarkTimes(text)
	if len(times) == 0 {
		return fmt.Errorf("benchmarks of %s: no benchmark matches %s", folder, p.pattern)
	}
	for name, ns := range times {
		if pairs[name] == nil {
			pairs[name] = &pair{}
		}
		pairs[name].times[side] = append(pairs[name].times[side], ns)
	}
	return nil
}

// benchmarkTimes returns the nanoseconds of each benchmark in the output of a test program.
func benchmarkTimes(text []byte) map[string]float64 {
	times := map[string]float64{}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") || fields[3] != "ns/op" {
			continue
		}
		if ns, err := strconv.ParseFloat(fields[2], 64); err == nil {
			times[strings.TrimPrefix(fields[0], "Benchmark")] = ns
		}
	}
	return times
}

// pair are the times of a benchmark before and now, round by round, in nanoseconds.
type pair struct{ times [2][]float64 }

// notable is the part by which the median of the rounds has to differ to be a difference. A
// regression of 10 % is twice that.
const notable = 0.05

// leastRounds is how many rounds a verdict needs: the noise is that of their middle half.
const leastRounds = 5

// verdict compares round by round: the median of the ratios now to before, half of the range
// that the middle half of them has, and what that means.
func (p *pair) verdict() (ratio, noise float64, what string) {
	if len(p.times[0]) != len(p.times[1]) || len(p.times[0]) == 0 {
		return 0, 0, "only on one side"
	}
	ratios := make([]float64, len(p.times[0]))
	for i := range ratios {
		ratios[i] = p.times[1][i] / p.times[0][i]
	}
	slices.Sort(ratios)
	n := len(ratios)
	low, ratio, high := ratios[n/4], ratios[n/2], ratios[n-1-n/4]
	noise = (high - low) / 2
	switch {
	case ratio > 1+notable && low > 1:
		return ratio, noise, "slower"
	case ratio < 1-notable && high < 1:
		return ratio, noise, "faster"
	case noise > notable:
		return ratio, noise, "too noisy to decide"
	}
	return ratio, noise, "as before"
}

func printPairs(out io.Writer, pairs map[string]*pair) (failed error) {
	names := make([]string, 0, len(pairs))
	for name := range pairs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := pairs[name]
		ratio, noise, what := p.verdict()
		fmt.Fprintf(out, "  %-36s %12.0f ns  %12.0f ns  %5.2f times +-%4.2f  %s\n", name, middle(p.times[0]), middle(p.times[1]), ratio, noise, what)
		if what == "slower" || what == "too noisy to decide" {
			failed = errors.Join(failed, fmt.Errorf("%s: %.2f times +-%.2f: %s", name, ratio, noise, what))
		}
	}
	return failed
}

func middle(times []float64) float64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}
