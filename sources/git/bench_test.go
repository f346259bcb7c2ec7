package git

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
)

// BenchmarkExport measures a repository of some 50,000 objects, made by a
// generator: the first export, an unchanged one, and a delta of 28 commits,
// against what git itself needs for the like.
//
//	go test ./sources/git -run '^$' -bench Export -benchtime 1x
func BenchmarkExport(b *testing.B) {
	for range b.N {
		up, host, s := gittest.New(b), gittest.NewHost(b, true), newSite(b)
		up.Grow(8400)
		host.Publish("a", up)
		spec := fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a"))
		dir := b.TempDir()
		git := func(args ...string) time.Duration {
			start := time.Now()
			if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
				b.Fatalf("git %q: %v\n%s", args, err, out)
			}
			return time.Since(start)
		}
		cpu := func() float64 {
			var usage syscall.Rusage
			if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
				b.Fatal(err)
			}
			return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
		}
		before := cpu()
		cloned := git("clone", "-q", "--mirror", host.URL("a"), dir+"/a")
		repacked := git("-C", dir+"/a", "-c", "pack.threads=1", "repack", "-a", "-d", "-f", "-q")
		b.ReportMetric(cloned.Seconds(), "s/clone")
		b.ReportMetric(repacked.Seconds(), "s/repack")
		b.ReportMetric(cpu()-before, "cpu-s/clone+repack")
		b.ReportMetric(float64(sizeOf(b, dir+"/a/objects/pack/*.pack"))/(1<<20), "MiB/repacked")

		before = cpu()
		start := time.Now()
		s.must(spec)
		b.ReportMetric(time.Since(start).Seconds(), "s/export")
		b.ReportMetric(cpu()-before, "cpu-s/export")
		b.ReportMetric(float64(s.carry)/(1<<20), "MiB/carried")
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(usage.Maxrss)/(1<<10), "MiB/largest-child")

		start = time.Now()
		host.Server.ResetCounts()
		s.must(spec)
		b.ReportMetric(time.Since(start).Seconds(), "s/unchanged")
		b.ReportMetric(float64(host.Server.AllRequests()), "requests/unchanged")

		old := up.Git("rev-parse", "main")
		up.Git("checkout", "-q", "-b", "topic", "HEAD~500")
		up.Commit("topic", map[string]string{"topic": "topic\n"})
		up.Git("checkout", "-q", "main")
		up.Git("merge", "-q", "-m", "merge", "topic")
		up.Git("branch", "-q", "-D", "topic")
		up.Grow(26)
		host.Publish("a", up)
		host.Server.ResetCounts()
		start = time.Now()
		s.must(spec)
		b.ReportMetric(time.Since(start).Seconds(), "s/delta")
		b.ReportMetric(float64(s.carry)/(1<<10), "KiB/delta")
		b.ReportMetric(float64(host.Server.Bytes("/a.git/git-upload-pack"))/(1<<10), "KiB/delta-received")
		cmd := exec.Command("git", "-C", up.Dir, "pack-objects", "-q", "--revs", "--thin", "--stdout", "--delta-base-offset")
		cmd.Stdin = strings.NewReader("main\n^" + old + "\n")
		thin, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(thin))/(1<<10), "KiB/thin-pack")
	}
}

func sizeOf(b *testing.B, pattern string) (total int64) {
	b.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range names {
		n, err := scratchSize(name)
		if err != nil {
			b.Fatal(err)
		}
		total += n
	}
	return total
}
