package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gapbundle/gapbundle/bundle"
)

func testOutput(format, level string) (*Output, *bytes.Buffer, *bytes.Buffer) {
	var stdout, stderr bytes.Buffer
	o := &Output{stdout: &stdout, stderr: &stderr}
	o.useLog(format, level)
	return o, &stdout, &stderr
}

// TestProgressLines: without a terminal progress is a line with bytes,
// percent, rate, time left and what is worked on; never a bar.
func TestProgressLines(t *testing.T) {
	o, _, stderr := testOutput("text", "info")
	p := o.StartProgress()
	defer p.Stop()
	p.line(p.started.Add(time.Second))
	if stderr.Len() > 0 {
		t.Errorf("before anything began: %q", stderr)
	}
	p.Grow(100 << 20)
	p.Item("volume-00001.tar.zst")
	p.Add(25 << 20)
	p.line(p.started.Add(6 * time.Second))
	want := "25.0 MiB of 100.0 MiB, 25%, 5.0 MiB/s, 18s left, volume-00001.tar.zst\n"
	if stderr.String() != want {
		t.Errorf("line %q, want %q", stderr, want)
	}
	p.Add(-5 << 20) // in vain: done again
	p.Add(80 << 20)
	stderr.Reset()
	p.line(p.started.Add(11 * time.Second))
	if want := "100.0 MiB of 100.0 MiB, 100%, 15.0 MiB/s, 0s left, volume-00001.tar.zst\n"; stderr.String() != want {
		t.Errorf("line %q, want %q", stderr, want)
	}
}

// TestProgressOpen: while it is not known how much there is to do, no line has a part of it.
func TestProgressOpen(t *testing.T) {
	o, _, stderr := testOutput("text", "info")
	p := o.StartProgress()
	defer p.Stop()
	p.Grow(25 << 20)
	p.Add(25 << 20)
	p.Open("choosing what is carried of debian")
	p.line(p.started.Add(5 * time.Second))
	if want := "25.0 MiB read, 5.0 MiB/s, choosing what is carried of debian\n"; stderr.String() != want {
		t.Errorf("line %q, want %q", stderr, want)
	}
	p.Grow(25 << 20)
	p.Item("volume-00001.tar.zst")
	stderr.Reset()
	p.line(p.started.Add(10 * time.Second))
	if want := "25.0 MiB of 50.0 MiB, 50%, 0 B/s, 10s left, volume-00001.tar.zst\n"; stderr.String() != want {
		t.Errorf("line %q, want %q", stderr, want)
	}
}

func TestProgressJSON(t *testing.T) {
	o, _, stderr := testOutput("json", "info")
	p := o.StartProgress()
	defer p.Stop()
	p.Grow(1000)
	p.Add(500)
	p.Item("x")
	p.line(p.started.Add(5 * time.Second))
	var line struct {
		Msg         string
		Done, Total int64
		Percent     float64
		Item        string
	}
	if err := json.Unmarshal(stderr.Bytes(), &line); err != nil || line.Done != 500 || line.Total != 1000 || line.Percent != 50 || line.Item != "x" {
		t.Errorf("%s: %+v, %v", stderr, line, err)
	}
}

// TestProgressConcurrent: many goroutines report, and nothing is left running.
func TestProgressConcurrent(t *testing.T) {
	defer goleak.VerifyNone(t)
	o, _, _ := testOutput("text", "info")
	p := o.StartProgress()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 1000 {
				p.Grow(2)
				p.Add(1)
				p.Item(fmt.Sprint(i))
			}
		})
	}
	wg.Wait()
	p.Stop()
	p.Stop()
	if p.done != 8000 || p.total != 16000 {
		t.Errorf("%d of %d, want 8000 of 16000", p.done, p.total)
	}
}

func TestQuiet(t *testing.T) {
	o, _, stderr := testOutput("text", "error")
	o.quiet = true
	p := o.StartProgress()
	p.Item("x")
	p.Stop()
	o.Note("a note")
	if stderr.Len() > 0 {
		t.Errorf("said %q, want nothing", stderr)
	}
	if code := o.finish(t.Context(), fmt.Errorf("lock: %w", bundle.ErrBusy)); code != 8 || !strings.HasPrefix(stderr.String(), "error: lock: busy\nhint: ") {
		t.Errorf("exit code %d, said %q; an error is told all the same", code, stderr)
	}
}

// TestReport: several findings each on a line of its own, after a result
// that is printed all the same.
func TestReport(t *testing.T) {
	found := errors.Join(fmt.Errorf("volume-00001.tar.zst: %w", bundle.ErrCorrupt), fmt.Errorf("volume-00002.tar.zst: %w", bundle.ErrIncomplete))
	o, stdout, stderr := testOutput("text", "info")
	o.json = true
	o.Show(map[string]any{"volumes": 2}, nil)
	if code := o.finish(t.Context(), found); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	want := []string{"error: volume-00001.tar.zst: corrupt", "error: volume-00002.tar.zst: incomplete", "hint: copy ", "hint: bring "}
	if len(lines) != len(want) {
		t.Fatalf("%d lines %q, want %d", len(lines), lines, len(want))
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %q, want %q", lines[i], want[i])
		}
	}
	var object struct {
		Volumes, Exit int
		Error         string
		Hints         []string
	}
	if err := json.Unmarshal(stdout.Bytes(), &object); err != nil || object.Volumes != 2 || object.Exit != 3 || len(object.Hints) != 2 || strings.Count(object.Error, "\n") != 1 {
		t.Errorf("%s: %+v, %v", stdout, object, err)
	}

	o, _, stderr = testOutput("json", "info")
	o.finish(t.Context(), found)
	for line := range strings.SplitSeq(strings.TrimSpace(stderr.String()), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("with --log-format json: %q is none", line)
		}
	}
}

// TestScreen: a line wipes the bar, a question is not drawn over.
func TestScreen(t *testing.T) {
	var shown bytes.Buffer
	s := &Screen{w: &shown}
	s.setBar(true)
	bar := barLine{s}
	write := func(w io.Writer, text string) {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	write(bar, "\rbar 1")
	write(s, "a note\n")
	s.ask(func() {
		write(s, "sure? ")
		write(bar, "\rbar 2")
	})
	write(bar, "\rbar 3")
	if want := "\rbar 1\r\x1b[Ka note\n\r\x1b[Ksure? \rbar 3"; shown.String() != want {
		t.Errorf("shown %q, want %q", shown.String(), want)
	}
}

func TestHumanBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB",
		1 << 30: "1.0 GiB", 5_000_000_000: "4.7 GiB", 1<<63 - 1: "8.0 EiB"} {
		if got := HumanBytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// TestCurrentItems: what is next to the bar never needs more columns than
// there are, or the terminal would begin a new line with each redraw.
func TestCurrentItems(t *testing.T) {
	p := &Progress{items: [2]string{"pool/older.bin", "read back volume-00001.tar.zst"}}
	for room, want := range map[int]string{8: "…tar.zst", 30: "read back volume-00001.tar.zst", 60: "read back volume-00001.tar.zst older.bin"} {
		if p.room = room; p.current() != want {
			t.Errorf("%d columns: %q, want %q", room, p.current(), want)
		}
	}
}

func TestShorten(t *testing.T) {
	for in, want := range map[string]string{"short": "short", "pool/main/s/slurm/slurm.deb": "…slurm.deb", "größe-und-länge": "…und-länge"} {
		if got := shorten(in, 10); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestFlagValues: what flags take, and what they refuse.
func TestFlagValues(t *testing.T) {
	var wait Span
	var part Share
	for _, c := range []struct {
		flag interface{ Set(string) error }
		in   string
		ok   bool
		want string
	}{
		{&wait, "90d", true, "2160h0m0s"}, {&wait, "10m", true, "10m0s"}, {&wait, "10", false, ""}, {&wait, "-1h", false, ""}, {&wait, "1.5d", false, ""},
		{&part, "true", true, "100%"}, {&part, "5%", true, "5%"}, {&part, "0%", false, ""}, {&part, "101%", false, ""}, {&part, "NaN%", false, ""}, {&part, "0.05", false, ""},
	} {
		err := c.flag.Set(c.in)
		if (err == nil) != c.ok {
			t.Errorf("%T %q: %v", c.flag, c.in, err)
		}
		if got := fmt.Sprint(c.flag); c.ok && got != c.want {
			t.Errorf("%T %q: %s, want %s", c.flag, c.in, got, c.want)
		}
	}
}
