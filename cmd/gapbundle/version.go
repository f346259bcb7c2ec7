package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/urfave/cli/v2"
)

func versionCommand() *cli.Command {
	return leaf(&cli.Command{
		Name:      "version",
		Usage:     "print the version of gapbundle, of Go, and of the bundle format",
		UsageText: "gapbundle version --json",
	}, func(_ *cli.Context, o *output) error {
		v := map[string]any{"version": toolVersion(), "go": runtime.Version(), "formats": []int{bundle.Format}}
		o.show(v, func(w io.Writer) {
			fmt.Fprintf(w, "gapbundle %s\n%s %s/%s\nbundle format %d\n", toolVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH, bundle.Format)
		})
		return nil
	})
}

func manCommand() *cli.Command {
	return leaf(&cli.Command{
		Name:      "man",
		Usage:     "print the manual page",
		UsageText: "gapbundle man > /usr/local/share/man/man1/gapbundle.1",
		Flags:     []cli.Flag{toggle("markdown", "as Markdown: docs/cli.md")},
	}, func(c *cli.Context, o *output) error {
		if c.Bool("markdown") {
			writeMarkdown(o.stdout, program())
		} else {
			writeMan(o.stdout, program())
		}
		return nil
	})
}
