package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/urfave/cli/v2"
)

func clientsCommand() *cli.Command {
	return Leaf(&cli.Command{
		Name: "clients", Usage: "print the client configuration for a kind or a client", ArgsUsage: "MIRROR",
		UsageText: "gapbundle clients /srv/mirror --for apt\ngapbundle clients /srv/mirror --for hosts --address 10.0.0.5\ngapbundle clients /srv/mirror --for containerd --base-url https://mirror.lan",
		Description: `Prints what is published below /_gapbundle/clients/: all files of a kind
(apt, oci), or those of one program where a kind has a folder for each (for
images: containerd, docker, podman, k3s, crio). Files of a set that has not
the first file of their name are below _sets/<set>/ there.`,
		Flags: []cli.Flag{
			Needed("for", "`NAME` of a kind of repository, or of a client"),
			Text("base-url", "`URL` at which clients reach the mirror, where it does not know that itself"),
			Text("address", "`IP` address at which clients reach the mirror by public names; with --for hosts"),
		},
	}, printClients)
}

type clientFile struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

// printClients prints what is published; the mirror put the base URL in place
// when it knew one.
func printClients(c *cli.Context, o *Output) error {
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
	dirs, err := clientDirs(current, c.String("for"))
	if err != nil {
		return err
	}
	var files []clientFile
	unknownBase, unknownAddress := false, false
	address, err := addressOf(c)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		err = errors.Join(err, fs.WalkDir(current.FS(), dir, func(path string, d fs.DirEntry, err error) error {
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
			text := out.String()
			for _, word := range site.Words() {
				unknownBase = unknownBase || strings.Contains(text, word)
			}
			if address.IsValid() {
				text = site.FillAddress(text, address)
			}
			unknownAddress = unknownAddress || strings.Contains(text, site.AddressWord())
			files = append(files, clientFile{path, text})
			return nil
		}))
	}
	if err != nil {
		return err
	}
	if unknownBase {
		o.Log.Warn("the mirror does not know its address: " + site.Words()[0] + " and the like stand for it (--base-url URL, or gapbundle config MIRROR --base-url URL)")
	}
	if unknownAddress {
		o.Log.Warn("the address for public names is not known: " + site.AddressWord() + " stands for it (--address IP)")
	}
	o.Show(map[string]any{"files": files}, func(w io.Writer) {
		for _, f := range files {
			fmt.Fprintf(w, "# /%s\n%s\n", f.Path, strings.TrimRight(f.Content, "\n"))
		}
	})
	return nil
}

// addressOf is --address; not valid: it was not given.
func addressOf(c *cli.Context) (netip.Addr, error) {
	text := c.String("address")
	if text == "" {
		return netip.Addr{}, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return address, &UsageError{fmt.Sprintf("address %q: not an IP address", text), "as in --address 10.0.0.5"}
	}
	return address, nil
}

// clientDirs are the folders for name: a kind's, and those that kinds have
// for a client of that name.
func clientDirs(current *os.Root, name string) ([]string, error) {
	roots := []string{site.ClientsDir}
	sets, err := readDir(current, path.Join(site.ClientsDir, site.AsideDir))
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		roots = append(roots, path.Join(site.ClientsDir, site.AsideDir, set.Name()))
	}
	var known, dirs []string
	for _, root := range roots {
		kinds, err := readDir(current, root)
		if err != nil {
			return nil, err
		}
		for _, kind := range kinds {
			if kind.Name() == site.AsideDir {
				continue
			}
			names, found, err := clientDirsOf(current, path.Join(root, kind.Name()), name)
			if err != nil {
				return nil, err
			}
			if dirs = append(dirs, found...); root == site.ClientsDir {
				known = append(known, names...)
			}
		}
	}
	if dirs == nil {
		return nil, &UsageError{fmt.Sprintf("client configuration for %q: none is published", name),
			"published: " + FirstOf(strings.Join(known, ", "), "none")}
	}
	return dirs, nil
}

// clientDirsOf looks into the folder of a kind: known are its name and those of clients.
func clientDirsOf(current *os.Root, dir, name string) (known, dirs []string, err error) {
	known = []string{path.Base(dir)}
	if path.Base(dir) == name {
		return known, []string{dir}, nil
	}
	clients, err := fs.ReadDir(current.FS(), dir)
	if err != nil {
		return nil, nil, err
	}
	for _, client := range clients {
		if !client.IsDir() {
			continue
		}
		known = append(known, client.Name())
		if client.Name() == name {
			dirs = append(dirs, path.Join(dir, name))
		}
	}
	return known, dirs, nil
}

// readDir reads a folder, which may be missing.
func readDir(root *os.Root, name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(root.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}
