package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/cmd/internal/command"
)

// insideEnv is the path of gapbundle-inside in a script that is about it.
const insideEnv = "GAPBUNDLE_TEST_INSIDE"

// TestScriptsInside runs the scripts of TestScripts again. Every command that
// gapbundle-inside has is run by it, and only those of the connected side by
// gapbundle. There is one difference between the two: what check prints of
// completeness, which trip.txtar shows under the condition [inside].
func TestScriptsInside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gapbundle-inside")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "github.com/gapbundle/gapbundle/cmd/gapbundle-inside")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	runScripts(t, "script", path)
}

// either runs gapbundle, or gapbundle-inside where a script is about that.
func either() {
	path := os.Getenv(insideEnv)
	if path == "" || !isInside(os.Args[1:]) {
		main()
		return
	}
	err := syscall.Exec(path, append([]string{"gapbundle"}, os.Args[1:]...), os.Environ())
	fmt.Fprintln(os.Stderr, err)
	os.Exit(125)
}

// isInside reports whether a command line names a command of gapbundle-inside.
func isInside(args []string) bool {
	line, _ := command.Parse(program(), args, os.Getenv) // what is wrong with it, the program itself says
	return line != nil && len(line.Path) > 0 && slices.ContainsFunc(command.Inside().Table().Subcommands, func(c *cli.Command) bool {
		return c.Name == line.Path[0]
	})
}

// TestInsideCommands: gapbundle-inside has the commands of gapbundle but those
// of the connected side, each with the same flags and texts.
func TestInsideCommands(t *testing.T) {
	connected := []string{"keygen", "plan", "export", "receipts"}
	var want, got []*cli.Command
	for _, c := range program().Subcommands {
		if !slices.Contains(connected, c.Name) {
			want = append(want, c)
		}
	}
	got = command.Inside().Table().Subcommands
	if len(got) != len(want) || len(want) != len(program().Subcommands)-len(connected) {
		t.Fatalf("%d commands, want %d of %d", len(got), len(want), len(program().Subcommands))
	}
	for i, c := range want {
		text := func(c *cli.Command) string {
			s := c.Name + c.Usage + c.ArgsUsage + c.Description + c.UsageText
			command.Leaves(c, nil, func(path []string, c *cli.Command) {
				s += fmt.Sprint(path, c.Usage, c.ArgsUsage, c.Description, c.UsageText)
				for _, f := range c.Flags {
					switch f.Names()[0] {
					case "deep": // it starts a program, which this side never does
					case "state", "site-key": // list plans a spec with them, which this side has none of
					case "spec", "destination":
						if c.Name != "media" { // it asks the exporter's state, which this side has none of
							s += fmt.Sprint(f)
						}
					default:
						s += fmt.Sprint(f)
					}
				}
			})
			return strings.NewReplacer("|SPEC", "", " A spec is planned first: upstream is asked, and nothing is\nwritten.", "", "\ngapbundle list gapbundle.yaml 'nvidia-*'", "",
				"\nOn the connected side the state of the spec says which bundles a destination has\nacknowledged. --tidy --destination removes those, and older ones.", "",
				"\ngapbundle media /media/usb --destination plant --tidy", "").Replace(s)
		}
		if text(got[i]) != text(c) {
			t.Errorf("%s: texts or flags differ from those of gapbundle", c.Name)
		}
	}
}
