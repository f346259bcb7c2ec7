package command

import (
	"fmt"
	"io"
	"runtime"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
)

// VersionCommand returns the command gapbundle version.
func VersionCommand() *cli.Command {
	return Leaf(&cli.Command{
		Name:      "version",
		Usage:     "print the version of gapbundle, of Go, and of the bundle format",
		UsageText: "gapbundle version --json",
	}, func(_ *cli.Context, o *Output) error {
		v := map[string]any{"version": toolVersion(), "go": runtime.Version(), "formats": []int{bundle.Format}}
		o.Show(v, func(w io.Writer) {
			fmt.Fprintf(w, "gapbundle %s\n%s %s/%s\nbundle format %d\n", toolVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH, bundle.Format)
		})
		return nil
	})
}

// ManCommand prints the manual page of a table.
func ManCommand(table func() *cli.Command) *cli.Command {
	return Leaf(&cli.Command{
		Name:      "man",
		Usage:     "print the manual page",
		UsageText: "gapbundle man > /usr/local/share/man/man1/gapbundle.1",
		Flags:     []cli.Flag{Toggle("markdown", "as Markdown: docs/cli.md")},
	}, func(c *cli.Context, o *Output) error {
		if c.Bool("markdown") {
			WriteMarkdown(o.stdout, table())
		} else {
			writeMan(o.stdout, table())
		}
		return nil
	})
}
