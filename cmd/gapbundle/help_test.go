package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/cmd/internal/command"
)

// TestHelp: every command shows its usage, exit codes and examples, and every
// example is a line that gapbundle accepts.
func TestHelp(t *testing.T) {
	root := program()
	if codes := regexp.MustCompile(`(?m)^  (\d+) `).FindAllString(command.ExitCodes, -1); len(codes) != 10 {
		t.Errorf("exit codes: %d in the help, want 10", len(codes))
	}
	command.Leaves(root, nil, func(path []string, c *cli.Command) {
		name := strings.Join(path, " ")
		var help bytes.Buffer
		command.WriteHelp(&help, root, path)
		for _, want := range []string{"usage: gapbundle " + name, "\nexamples:\n  ", "\nexit codes:\n" + command.ExitCodes, "--json"} {
			if !strings.Contains(help.String(), want) {
				t.Errorf("help of %s: no %q", name, want)
			}
		}
		found := false
		for _, line := range strings.Split(c.UsageText, "\n") {
			_, line, ok := strings.Cut(line, "gapbundle ")
			if !ok {
				t.Errorf("example of %s: %q does not run gapbundle", name, c.UsageText)
				continue
			}
			line = strings.Trim(regexp.MustCompile(`[)>|].*`).ReplaceAllString(line, ""), " ")
			inv, err := command.Parse(program(), strings.Fields(line), noEnv)
			if err != nil {
				t.Errorf("example of %s: gapbundle %s: %v", name, line, err)
				continue
			}
			found = found || strings.Join(inv.Path, " ") == name
		}
		if !found {
			t.Errorf("help of %s: no example of it", name)
		}
	})
}

// TestDocument: docs/cli.md is what the table says. Write it again with
// go run ./cmd/gapbundle man --markdown > docs/cli.md
func TestDocument(t *testing.T) {
	var want bytes.Buffer
	command.WriteMarkdown(&want, program())
	got, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/cli.md is not what the table of commands says: go run ./cmd/gapbundle man --markdown > docs/cli.md")
	}
}
