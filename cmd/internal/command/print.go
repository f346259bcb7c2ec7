package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// The printing rules. Standard output holds the result and nothing else, in
// text or, with --json, as one object. Everything else goes to standard error:
// notes, progress (a bar on a terminal, lines elsewhere), and at the end
// "error:" lines for what is wrong and "hint:" lines for what to do.

// Output is where one command prints.
type Output struct {
	stdout, stderr io.Writer
	json, quiet    bool
	lines          bool // the result is one JSON object a line, which the command prints
	terminal       int  // descriptor of the terminal that stderr is; -1: none
	Screen         *Screen
	mirror         string             // the mirror of the command, for hints; empty: none
	hint           func(error) string // the program's own hints; nil: none
	command        string             // its name, for hints; empty: none is known yet
	Log            *slog.Logger
	logJSON        bool
	result         any
	shown          bool // the one object of --json was printed
	begun          bool // it was printed up to its last brace
}

func newOutput(c *cli.Context) *Output {
	o := &Output{stdout: &plainWriter{w: c.App.Writer}, stderr: c.App.ErrWriter, json: c.Bool("json"), quiet: c.Bool("quiet")}
	o.mirror = c.String("mirror") // of commands that have the flag; others know theirs from an argument
	o.hint, _ = c.App.Metadata[hintKey].(func(error) string)
	o.command, _ = c.App.Metadata[commandKey].(string)
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
	adoptLibraries(o.Log)
}

// TerminalOf returns the descriptor of w if that is a terminal, -1 otherwise.
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

// showNow works like show, for a command that goes on: --json prints its object at once.
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

// hints returns what to do about err, with the name of the command that ran.
func (o *Output) hints(ctx context.Context, err error) []string {
	all := HintsFor(ctx, err, o.mirror, o.hint)
	if o.command == "" {
		return all
	}
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], anyHelp, "gapbundle "+o.command+" --help")
	}
	return all
}

// report prints each finding on a line of its own, and each hint once.
func (o *Output) report(ctx context.Context, err error, code int) {
	lines, hints := errorLines(ctx, err), o.hints(ctx, err)
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
		object["hints"] = o.hints(ctx, err)
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
	_ = enc.Encode(object) // a closed stdout has no reader left
}

// Note prints a line about what is going on; not with --quiet.
func (o *Output) Note(format string, args ...any) {
	o.Log.Info(fmt.Sprintf(format, args...))
}

// WriteNotes prints how many notes there are, and each on a line of its own. Without a
// note it prints nothing.
func WriteNotes(w io.Writer, notes []string) {
	if len(notes) == 0 {
		return
	}
	fmt.Fprintf(w, "%s:\n", spelling.Count(len(notes), "note"))
	for _, n := range notes {
		fmt.Fprintf(w, "  %s\n", n)
	}
}

// Notes prints what WriteNotes does as lines about what is going on; not with --quiet.
func (o *Output) Notes(notes []string) {
	var b strings.Builder
	WriteNotes(&b, notes)
	for line := range strings.Lines(b.String()) {
		o.Note("%s", strings.TrimSuffix(line, "\n"))
	}
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

// wipe clears the line of the bar and so many lines above it, into which it was broken.
func (s *Screen) wipe(above int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking {
		return
	}
	if above > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA", above)
	}
	fmt.Fprint(s.w, "\r\x1b[J")
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

// shorten keeps the end of s, which identifies a path better than its beginning.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return "…" + string(r[len(r)-most+1:])
}

// HumanBytes returns a size for people, in binary units.
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

// HumanTime returns a moment for people, in UTC.
func HumanTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
