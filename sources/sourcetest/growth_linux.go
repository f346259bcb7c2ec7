package sourcetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	// maxGrowth is how many times the processor time may be that an export of ten times as many
	// things takes.
	maxGrowth = 10.5
	// leastGrown is what the smaller export has to take. Below that, what varies from run to run
	// is a large part of it.
	leastGrown = time.Second
	// growthRounds is how often each is exported; the least time counts.
	growthRounds = 3
)

// Growth exports one thing, n things and ten times n in turn and reports how the processor time
// grows: what an export of one takes is taken off first. It fails above maxGrowth. Where n things
// take less than leastGrown, it takes more of them, but not more than most (0: any number). put
// puts an upstream of n things into the world and returns the sources of its spec.
//
// The program itself exports. Its own time and that of its children count; the upstream is in this
// process and does not. Other work on the machine makes the times longer, so run it alone:
//
//	go test ./sources/... -p 1 -run XXX -bench Growth -benchtime 1x
func Growth(b *testing.B, n, most int, put func(w *World, n int) string) {
	g := &growth{B: b, program: filepath.Join(b.TempDir(), "gapbundle"), put: put}
	build := exec.Command("go", "build", "-o", g.program, "github.com/gapbundle/gapbundle/cmd/gapbundle")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	one := g.upstream(1)
	one.export()
	few := g.upstream(n)
	few.export()
	for few.took-one.took < leastGrown && (most == 0 || n < most) {
		n = more(n, most, few.took-one.took)
		few = g.upstream(n)
		few.export()
	}
	many := g.upstream(10 * n)
	many.export()
	for range growthRounds - 1 {
		one.export()
		few.export()
		few.export() // it is short, so what varies counts for more
		many.export()
	}
	less, more := (few.took - one.took).Seconds(), (many.took - one.took).Seconds()
	b.ReportMetric(float64(n), "things")
	b.ReportMetric(less, "cpu-s/few")
	b.ReportMetric(more, "cpu-s/many")
	b.ReportMetric(more/less, "times")
	if more > less*maxGrowth {
		b.Errorf("%d things: %.2f s, %d: %.2f s: %.1f times, at most %.1f are wanted", n, less, 10*n, more, more/less, maxGrowth)
	}
}

type growth struct {
	*testing.B
	program string
	put     func(w *World, n int) string
}

// more returns how many things take about leastGrown where n took less.
func more(n, most int, took time.Duration) int {
	const step, spare = 10, 1.2
	times := min(step, spare*leastGrown.Seconds()/max(0.001, took.Seconds()))
	n = max(n+1, int(times*float64(n)))
	if most > 0 {
		n = min(n, most)
	}
	return n
}

// grown is an upstream that is exported again and again, each time as if for the first time.
type grown struct {
	*growth
	w    *World
	spec string
	took time.Duration // processor time of the fastest export so far; 0: there was none
}

func (g *growth) upstream(n int) *grown {
	w := NewWorld(g.B)
	return &grown{growth: g, w: w, spec: w.spec("growth", g.put(w, n))}
}

func (u *grown) export() {
	stick, state := filepath.Join(u.w.Dir, "stick"), filepath.Join(u.w.Dir, "state")
	for _, dir := range []string{stick, state} {
		u.w.Check(os.RemoveAll(dir))
	}
	export := exec.Command(u.program, "export", u.spec, "--to", stick, "--state", state, "--no-readback", "--quiet")
	export.Env = append(os.Environ(), "GAPBUNDLE_PASSPHRASE="+exporterPass, "GAPBUNDLE_SITE_PASSPHRASE="+sitePass)
	if out, err := export.CombinedOutput(); err != nil {
		u.Fatalf("export: %v\n%s", err, out)
	}
	if took := export.ProcessState.UserTime() + export.ProcessState.SystemTime(); u.took == 0 || took < u.took {
		u.took = took
	}
}
