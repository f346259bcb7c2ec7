package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/cheggaaa/pb/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// The printing rules. Standard output holds the result and nothing else, in
// text or, with --json, as one object. Everything else goes to standard error:
// notes, progress (a bar on a terminal, lines elsewhere), and at the end
// "error:" lines that say what is and "hint:" lines that say what to do.

// Output is where one command prints.
type Output struct {
	stdout, stderr io.Writer
	json, quiet    bool
	lines          bool // the result is one JSON object a line, which the command prints
	terminal       int  // descriptor of the terminal that stderr is; -1: none
	Screen         *Screen
	mirror         string             // the mirror of the command, for hints; empty: none
	hint           func(error) string // the program's own hints; nil: none
	Log            *slog.Logger
	logJSON        bool
	result         any
	shown          bool // the one object of --json was printed
	begun          bool // it was printed up to its last brace
}

func newOutput(c *cli.Context) *Output {
	o := &Output{stdout: &plainWriter{w: c.App.Writer}, stderr: c.App.ErrWriter, json: c.Bool("json"), quiet: c.Bool("quiet")}
	o.hint, _ = c.App.Metadata[hintKey].(func(error) string)
	level := ValueOf[*Choice](c, "log-level").value
	if o.quiet {
		level = "error"
	}
	o.useLog(ValueOf[*Choice](c, "log-format").value, level)
	return o
}

// useLog starts the log lines: for people, or one JSON object a line.
func (o *Output) useLog(format, level string) {
	o.terminal = TerminalOf(o.stderr)
	o.Screen = &Screen{w: o.stderr}
	o.logJSON = format == "json"
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // one of the four words of the flag
	if o.logJSON {
		o.Log = slog.New(slog.NewJSONHandler(o.Screen, &slog.HandlerOptions{Level: least}))
	} else {
		o.Log = slog.New(&lineHandler{w: o.Screen, least: least})
	}
}

// TerminalOf is the descriptor of w if that is a terminal, -1 otherwise.
func TerminalOf(w any) int {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return int(f.Fd())
	}
	return -1
}

// Show prints a result: v as JSON, or what text writes.
func (o *Output) Show(v any, text func(w io.Writer)) {
	if o.json {
		o.result = v
		return
	}
	text(o.stdout)
}

// showNow is show for a command that goes on: --json prints its object at once.
func (o *Output) showNow(v any, text func(w io.Writer)) {
	o.Show(v, text)
	if o.json {
		o.writeObject(context.Background(), nil, ExitDone)
	}
}

// finish prints what is left to be said and returns the exit code.
func (o *Output) finish(ctx context.Context, err error) int {
	code := ExitCode(ctx, err)
	if err != nil {
		o.report(ctx, err, code)
	}
	if o.json && !o.shown && (!o.lines || err != nil) {
		o.writeObject(ctx, err, code)
	}
	return code
}

// report prints each finding on a line of its own, and each hint once.
func (o *Output) report(ctx context.Context, err error, code int) {
	lines, hints := errorLines(ctx, err), HintsFor(ctx, err, o.mirror, o.hint)
	if o.logJSON {
		for _, line := range lines {
			o.Log.Error(line, "exit", code)
		}
		for _, hint := range hints {
			o.Log.Error(hint, "kind", "hint")
		}
		return
	}
	for _, line := range lines {
		fmt.Fprintf(o.Screen, "error: %s\n", line)
	}
	for _, hint := range hints {
		fmt.Fprintf(o.Screen, "hint: %s\n", hint)
	}
}

// writeObject prints the result with --json; an error is in the same object.
func (o *Output) writeObject(ctx context.Context, err error, code int) {
	o.shown = true
	object := map[string]any{}
	if o.result != nil {
		b, jsonErr := json.Marshal(o.result)
		if jsonErr == nil {
			d := json.NewDecoder(bytes.NewReader(b))
			d.UseNumber()
			jsonErr = d.Decode(&object)
		}
		if jsonErr != nil {
			object = map[string]any{"error": jsonErr.Error()}
		}
	}
	if err != nil {
		object["error"] = strings.Join(errorLines(ctx, err), "\n")
		object["hints"] = HintsFor(ctx, err, o.mirror, o.hint)
		object["exit"] = code
	}
	if o.begun {
		b, _ := json.Marshal(object) // strings and a number
		fmt.Fprintf(o.stdout, "%s%s\n", strings.Repeat(",", min(len(object), 1)), b[1:])
		return
	}
	enc := json.NewEncoder(o.stdout)
	enc.SetEscapeHTML(false)
	if !o.lines {
		enc.SetIndent("", "  ")
	}
	_ = enc.Encode(object) // a closed stdout has nobody left to be told
}

// Note prints a line about what is going on; not with --quiet.
func (o *Output) Note(format string, args ...any) {
	o.Log.Info(fmt.Sprintf(format, args...))
}

// Screen is standard error shared by log lines, questions and the bar: a line
// wipes the bar, which draws itself again, but not over a question.
type Screen struct {
	mu     sync.Mutex
	w      io.Writer
	bar    bool
	asking bool
}

// Write writes a line above the bar.
func (s *Screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := plainText(b)
	if s.bar {
		line = append([]byte("\r\x1b[K"), line...)
	}
	if _, err := s.w.Write(line); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *Screen) setBar(on bool) {
	s.mu.Lock()
	s.bar = on
	s.mu.Unlock()
}

// ask keeps the bar away while f puts a question and waits for the answer.
func (s *Screen) ask(f func()) {
	set := func(asking bool) {
		s.mu.Lock()
		s.asking = asking
		s.mu.Unlock()
	}
	set(true)
	defer set(false)
	f()
}

// barLine is where the bar draws.
type barLine struct{ *Screen }

func (b barLine) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asking {
		return len(p), nil
	}
	return b.w.Write(p)
}

// lineHandler prints log records for people: the message, its facts after it.
type lineHandler struct {
	w     io.Writer
	least slog.Level
	attrs []slog.Attr
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least }
func (h *lineHandler) WithGroup(string) slog.Handler                { return h }

func (h *lineHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return &lineHandler{h.w, h.least, append(h.attrs[:len(h.attrs):len(h.attrs)], a...)}
}

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	case r.Level < slog.LevelInfo:
		b.WriteString("debug: ")
	}
	b.WriteString(r.Message)
	fact := func(a slog.Attr) bool { fmt.Fprintf(&b, " %s=%v", a.Key, a.Value); return true }
	for _, a := range h.attrs {
		fact(a)
	}
	r.Attrs(fact)
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String())
	return err
}

// progressInterval is the time between two lines of progress where there is
// no terminal.
const progressInterval = 5 * time.Second

// Progress shows how work advances; it is a bundle.Progress.
type Progress struct {
	out *Output
	bar *pb.ProgressBar // nil: lines
	// room is how many columns of the bar's line are left for items.
	room int

	mu          sync.Mutex
	total, done int64
	items       [2]string // what was begun last, the newest last
	started     time.Time
	lastDone    int64
	lastTime    time.Time

	stopOnce sync.Once
	quit     chan struct{}
	ended    chan struct{}
}

// StartProgress shows progress until stop is called: nothing with --quiet, a
// bar on a terminal, a line every few seconds elsewhere.
func (o *Output) StartProgress() *Progress {
	now := time.Now()
	p := &Progress{out: o, started: now, lastTime: now, quit: make(chan struct{}), ended: make(chan struct{})}
	if o.quiet {
		close(p.ended)
		return p
	}
	if o.terminal >= 0 && !o.logJSON {
		p.startBar()
		close(p.ended)
		return p
	}
	go func() {
		defer close(p.ended)
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				p.line(now)
			case <-p.quit:
				return
			}
		}
	}()
	return p
}

// barWidth is the most columns that everything but the items takes, with a
// bar of a few.
const barWidth = 68

const barTemplate = `{{counters .}} {{bar .}} {{percent .}} {{speed .}} {{rtime . "%s left" "%s" "?"}} {{string . "items"}}`

func (p *Progress) startBar() {
	width, _, err := term.GetSize(p.out.terminal)
	if err != nil || width < 20 {
		width = 80
	}
	p.out.Screen.setBar(true)
	p.room = max(width-barWidth, 8)
	p.bar = pb.ProgressBarTemplate(barTemplate).New(0)
	p.bar.SetWriter(barLine{p.out.Screen}).SetWidth(width-1).Set(pb.Bytes, true).Set(pb.Terminal, true).
		Set(pb.ReturnSymbol, "\r").Set(pb.CleanOnFinish, true).Start()
}

// Grow counts bytes that are to be done. Grow, Add and Item are bundle.Progress.
func (p *Progress) Grow(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.total == 0
	p.total += bytes
	if p.bar != nil {
		p.bar.SetTotal(p.total)
	}
	if p.bar != nil && first {
		p.bar.Write() // before its first refresh: short work shows one too
	}
}

// Add counts bytes that are done.
func (p *Progress) Add(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += bytes
	if p.bar != nil {
		p.bar.SetCurrent(p.done)
	}
}

// Item names what is worked on.
func (p *Progress) Item(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.items[1] == name { // what is not plain is shown again, which does no harm
		return
	}
	p.items[0], p.items[1] = p.items[1], string(plainText([]byte(name)))
	if p.bar != nil {
		p.bar.Set("items", p.current())
	}
}

// current names what is worked on, the newest first, as far as there is room.
func (p *Progress) current() string {
	newest := shorten(path.Base(p.items[1]), p.room)
	left := p.room - utf8.RuneCountInString(newest) - 1
	if older := path.Base(p.items[0]); p.items[0] != "" && left >= 12 {
		newest += " " + shorten(older, left)
	}
	return newest
}

// line prints one line of progress.
func (p *Progress) line(now time.Time) {
	p.mu.Lock()
	done, total, item := p.done, p.total, p.items[1]
	rate := perSecond(done-p.lastDone, now.Sub(p.lastTime))
	overall := perSecond(done, now.Sub(p.started))
	p.lastDone, p.lastTime = done, now
	p.mu.Unlock()
	if total == 0 && item == "" {
		return
	}
	percent, left := 0.0, time.Duration(-1)
	if total > 0 {
		percent = 100 * float64(done) / float64(total)
	}
	if overall > 0 && total >= done {
		left = (time.Duration(float64(total-done)/overall) * time.Second).Round(time.Second)
	}
	if p.out.logJSON {
		p.out.Log.Info("progress", "done", done, "total", total, "percent", percent, "rate", int64(rate), "left_seconds", int64(left.Seconds()), "item", item)
		return
	}
	eta := "?"
	if left >= 0 {
		eta = left.String()
	}
	p.out.Note("%s of %s, %.0f%%, %s/s, %s left, %s", HumanBytes(done), HumanBytes(total), percent, HumanBytes(int64(rate)), eta, item)
}

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// Stop ends the display; it may be called again.
func (p *Progress) Stop() {
	p.stopOnce.Do(func() {
		close(p.quit)
		<-p.ended
		if p.bar != nil {
			p.bar.Finish()
			p.out.Screen.setBar(false)
		}
	})
}

// shorten keeps the end of s, which tells more of a path than its beginning.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return "…" + string(r[len(r)-most+1:])
}

// HumanBytes is a size for people, in binary units.
func HumanBytes(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"} {
		if f /= 1024; f < 1023.95 || u == "EiB" {
			unit = u
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// WriteTable prints rows with aligned columns.
func WriteTable(w io.Writer, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush()
}

// HumanTime is a moment for people, in UTC.
func HumanTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
