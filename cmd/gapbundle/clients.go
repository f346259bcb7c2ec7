package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/urfave/cli/v2"
)

func clientsCommand() *cli.Command {
	return leaf(&cli.Command{
		Name: "clients", Usage: "print the client configuration for a kind", ArgsUsage: "MIRROR",
		UsageText: "gapbundle clients /srv/mirror --for files",
		Flags: []cli.Flag{
			needed("for", "the `KIND` of repository"),
			text("base-url", "`URL` at which clients reach the mirror, where it does not know that itself"),
		},
	}, printClients)
}

type clientFile struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

// printClients prints what is published; the mirror put the base URL in place
// when it knew one.
func printClients(c *cli.Context, o *output) error {
	root, err := os.OpenRoot(c.Args().First())
	if err != nil {
		return err
	}
	defer root.Close()
	current, err := root.OpenRoot("current")
	if err != nil {
		return fmt.Errorf("%s: nothing published: %w", c.Args().First(), bundle.ErrIncomplete)
	}
	defer current.Close()
	dir := filepath.Join(site.ClientsDir, c.String("for"))
	if !filepath.IsLocal(c.String("for")) || !isDir(current, dir) {
		return unknownKind(current, c.String("for"))
	}
	var files []clientFile
	unknownBase := false
	err = fs.WalkDir(current.FS(), dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := current.ReadFile(path)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := site.Substitute(&out, bytes.NewReader(content), c.String("base-url")); err != nil {
			return err
		}
		unknownBase = unknownBase || bytes.Contains(out.Bytes(), []byte(sources.BaseMark))
		files = append(files, clientFile{path, out.String()})
		return nil
	})
	if err != nil {
		return err
	}
	if unknownBase {
		o.log.Warn("the mirror does not know its address: " + sources.BaseMark + " stands for it (--base-url URL, or gapbundle config MIRROR --base-url URL)")
	}
	o.show(map[string]any{"files": files}, func(w io.Writer) {
		for _, f := range files {
			fmt.Fprintf(w, "# /%s\n%s\n", f.Path, strings.TrimRight(f.Content, "\n"))
		}
	})
	return nil
}

func isDir(root *os.Root, path string) bool {
	info, err := root.Stat(path)
	return err == nil && info.IsDir()
}

func unknownKind(current *os.Root, kind string) error {
	var known []string
	entries, _ := fs.ReadDir(current.FS(), site.ClientsDir)
	for _, e := range entries {
		known = append(known, e.Name())
	}
	return &usageError{fmt.Sprintf("client configuration for %q: none is published", kind),
		"published: " + firstOf(strings.Join(known, ", "), "none")}
}
