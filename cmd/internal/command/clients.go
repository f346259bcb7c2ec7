package command

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
)

func clientsCommand() *cli.Command {
	return Leaf(&cli.Command{
		Name: "clients", Usage: "print or write the configuration of the programs that use a mirror", ArgsUsage: "MIRROR",
		UsageText: "gapbundle clients /srv/mirror\ngapbundle clients /srv/mirror --for apt\ngapbundle clients /srv/mirror --for hosts --address 10.0.0.5\ngapbundle clients /srv/mirror --for containerd --base-url https://mirror.lan\ngapbundle clients /srv/mirror --for deepops --out site",
		Description: `Without --for it lists the names for which there is configuration. A name is that
of a kind (apt, oci: all its files), of one program (containerd, pip, helm, maas),
or of settings for everything that the mirror holds: deepops and kubespray
(variables), ansible (a role for every node), env (environment variables),
gpu-operator (objects for its driver containers), hosts (public names). If two sets
have a file of the same name, the second one's is below _sets/<set>/.`,
		Flags: []cli.Flag{
			List("for", "`NAME` of a kind of repository, of a program, or of a project"),
			Text("base-url", "`URL` at which clients reach the mirror, if the mirror has none"),
			Text("address", "`IP` address at which clients reach the mirror by public names; with --for hosts"),
			Text("out", "write the files into `DIR` instead of printing them; files of the same names are replaced"),
		},
	}, printClients)
}

// clientFile is a file of configuration. Its name is the path below the folder of what was
// asked for.
type clientFile struct {
	Path    string `json:"path"`
	Content string `json:"content"`
	name    string
}

// printClients prints what is published; the mirror put the base URL in place
// when it knew one.
func printClients(c *cli.Context, o *Output) error {
	o.mirror = c.Args().First()
	root, err := os.OpenRoot(o.mirror)
	if err != nil {
		return cmp.Or(mirrorIn(o.mirror), err)
	}
	defer root.Close()
	current, err := root.OpenRoot("current")
	if err != nil {
		if err := mirrorIn(o.mirror); err != nil {
			return err
		}
		return bundle.About(bundle.AboutEmptyMirror, fmt.Errorf("mirror %s: nothing was published yet: %w", o.mirror, bundle.ErrIncomplete))
	}
	defer current.Close()
	folders, err := clientFolders(current)
	if err != nil {
		return err
	}
	names := c.StringSlice("for")
	if len(names) == 0 {
		if c.IsSet("out") {
			return &UsageError{"--out wants --for: which configuration to write", "there is: " + listOf(folders)}
		}
		return listClients(current, folders, o)
	}
	address, err := addressOf(c)
	if err != nil {
		return err
	}
	fill := filling{c.String("base-url"), address}
	var files []clientFile
	for _, name := range names {
		dirs, ok := folders[name]
		if !ok {
			return &UsageError{fmt.Sprintf("client configuration for %q: none is published", name), "published: " + listOf(folders)}
		}
		for _, dir := range dirs {
			found, err := readClients(current, dir, fill)
			if err != nil {
				return err
			}
			for _, f := range found {
				if len(names) > 1 {
					f.name = path.Join(name, f.name)
				}
				files = append(files, f)
			}
		}
	}
	if slices.ContainsFunc(files, clientFile.unfilled) {
		o.Log.Warn("the mirror does not know its address: " + site.Words()[0] + " and the like stand for it (--base-url URL, or gapbundle config MIRROR --base-url URL)")
	}
	if slices.ContainsFunc(files, func(f clientFile) bool { return strings.Contains(f.Content, site.AddressWord()) }) {
		o.Log.Warn("the address for public names is not known: " + site.AddressWord() + " stands for it (--address IP)")
	}
	if c.IsSet("out") {
		return writeClients(c.String("out"), files, o)
	}
	o.Show(map[string]any{"files": files}, func(w io.Writer) {
		for _, f := range files {
			fmt.Fprintf(w, "# /%s\n%s\n", f.Path, strings.TrimRight(f.Content, "\n"))
		}
	})
	return nil
}

// unfilled reports whether a word still stands for the address of the mirror.
func (f clientFile) unfilled() bool {
	return slices.ContainsFunc(site.Words(), func(word string) bool { return strings.Contains(f.Content, word) })
}

// filling is what takes the place of words in client files.
type filling struct {
	base    string // empty: what the mirror put there stays
	address netip.Addr
}

// addressOf returns the value of --address, which is not valid where the flag was not given.
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

// readClients reads the files below a folder, with the address of the mirror in place.
func readClients(current *os.Root, dir string, fill filling) (files []clientFile, err error) {
	return files, fs.WalkDir(current.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := current.ReadFile(name)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := site.Substitute(&out, bytes.NewReader(content), fill.base); err != nil {
			return err
		}
		text := out.String()
		if fill.address.IsValid() {
			text = site.FillAddress(text, fill.address)
		}
		files = append(files, clientFile{name, text, path.Join(asideOf(dir), strings.TrimPrefix(name, dir+"/"))})
		return nil
	})
}

// asideOf returns the folder of a set whose files are next to those of another; empty: none.
func asideOf(dir string) string {
	rest, aside := strings.CutPrefix(dir, path.Join(site.ClientsDir, site.AsideDir)+"/")
	if !aside {
		return ""
	}
	set, _, _ := strings.Cut(rest, "/")
	return path.Join(site.AsideDir, set)
}

// writeClients writes the files below a folder.
func writeClients(dir string, files []clientFile, o *Output) error {
	from := map[string]string{}
	for _, f := range files {
		if other, taken := from[f.name]; taken {
			return &UsageError{fmt.Sprintf("/%s and /%s would both be %s", other, f.Path, f.name), "give --for twice: each name then has a folder of its own, or name one program"}
		}
		from[f.name] = f.Path
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	written := []string{}
	for _, f := range files {
		if err := root.MkdirAll(path.Dir(f.name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(f.name, []byte(f.Content), 0o644); err != nil {
			return err
		}
		written = append(written, path.Join(dir, f.name))
	}
	o.Show(map[string]any{"written": written}, func(w io.Writer) {
		for _, name := range written {
			fmt.Fprintln(w, name)
		}
	})
	return nil
}

// listClients lists what there is.
func listClients(current *os.Root, folders map[string][]string, o *Output) error {
	type line struct {
		Name  string `json:"name"`
		Files int    `json:"files"`
	}
	lines := []line{}
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		n := 0
		for _, dir := range folders[name] {
			files, err := readClients(current, dir, filling{})
			if err != nil {
				return err
			}
			n += len(files)
		}
		lines = append(lines, line{name, n})
	}
	o.Show(map[string]any{"clients": lines}, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "name\tfiles")
		for _, l := range lines {
			fmt.Fprintf(t, "%s\t%d\n", l.Name, l.Files)
		}
		_ = t.Flush()
		fmt.Fprintln(w, "gapbundle clients MIRROR --for NAME prints one, with --out DIR writes it")
	})
	return nil
}

func listOf(folders map[string][]string) string {
	return FirstOf(strings.Join(slices.Sorted(maps.Keys(folders)), ", "), "none")
}

// clientFolders returns the folders by the names that people ask for: those of a kind, those
// that kinds have for a program, and those that are made over everything.
func clientFolders(current *os.Root) (map[string][]string, error) {
	folders := map[string][]string{}
	roots := []string{site.ClientsDir}
	sets, err := readDir(current, path.Join(site.ClientsDir, site.AsideDir))
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		roots = append(roots, path.Join(site.ClientsDir, site.AsideDir, set.Name()))
	}
	for _, root := range roots {
		if err := addKinds(current, root, folders); err != nil {
			return nil, err
		}
	}
	made, err := readDir(current, site.SettingsDir)
	if err != nil {
		return nil, err
	}
	for _, e := range made {
		folders[e.Name()] = append(folders[e.Name()], path.Join(site.SettingsDir, e.Name()))
	}
	return folders, nil
}

// addKinds adds the folders of kinds, and of their programs, below root.
func addKinds(current *os.Root, root string, folders map[string][]string) error {
	kinds, err := readDir(current, root)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		if kind.Name() == site.AsideDir {
			continue
		}
		dir := path.Join(root, kind.Name())
		folders[kind.Name()] = append(folders[kind.Name()], dir)
		programs, err := readDir(current, dir)
		if err != nil {
			return err
		}
		for _, program := range programs {
			if program.IsDir() && program.Name() != kind.Name() {
				folders[program.Name()] = append(folders[program.Name()], path.Join(dir, program.Name()))
			}
		}
	}
	return nil
}

// readDir returns what is in a folder; nothing where there is none.
func readDir(current *os.Root, dir string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(current.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}
