package main

import (
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// heed CODE [WORD=WORDS...] does what the last hint says: it runs the first command in
// it, with placeholders replaced, and compares the exit code. The hint is in the
// standard error of the command before.
func heed(ts *testscript.TestScript, _ bool, args []string) {
	var hint string
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "hint: "); ok {
			hint = text
		}
	}
	commands := hintCommands(hint)
	if len(commands) == 0 {
		ts.Fatalf("no command in the hint %q", hint)
	}
	words := acceptedWords(commands[0])
	if words == nil {
		ts.Fatalf("the program does not take: gapbundle %s", commands[0])
	}
	var run []string
	for _, word := range words {
		for _, replaced := range args[1:] {
			if old, with, _ := strings.Cut(replaced, "="); word == old {
				word = with
			}
		}
		run = append(run, strings.Fields(word)...)
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Logf("> gapbundle %s", strings.Join(run, " "))
	if got := codeOf(ts.Exec("gapbundle", run...)); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
