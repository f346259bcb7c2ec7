package command

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
)

const nothingVerified = "NOTHING WAS VERIFIED: this is what the medium says of itself (gapbundle verify checks it)"

// InspectCommand returns the command gapbundle inspect.
func InspectCommand() *cli.Command {
	return Leaf(&cli.Command{
		Name: "inspect", Usage: "show a bundle's own claims, without keys; verifies nothing", ArgsUsage: "PATH...",
		UsageText: `gapbundle inspect /media/usb
gapbundle inspect /media/usb --contents
gapbundle inspect /media/usb --files
gapbundle inspect /media/usb --sha256sum | (cd /srv/mirror/current && sha256sum -c)`,
		Flags: []cli.Flag{
			Toggle("contents", "each package, image and so on: name, version, architecture, size, how upstream vouched for it, and repository; not verified"),
			Toggle("files", "each file: path, digest, size, origin, and how upstream vouched for it"),
			Toggle("sha256sum", "each file in the form of sha256sum"),
		},
	}, inspect)
}

// inspected is a bundle with --json; its files are streamed after it.
type inspected struct {
	Name string           `json:"name"`
	Dirs []string         `json:"dirs"`
	Root *bundle.Manifest `json:"root"`
}

type inspectedFile struct {
	bundle.File
	Origin  string `json:"origin,omitempty"`
	Vouched string `json:"vouched"`
}

func inspect(c *cli.Context, o *Output) error {
	readers, err := bundle.Discover(c.Args().Slice())
	if err != nil {
		return err
	}
	o.Log.Warn(nothingVerified)
	out := bufio.NewWriter(o.stdout)
	found := []error{}
	for i, r := range readers {
		if o.json {
			fmt.Fprint(out, []string{`{"verified":false,"bundles":[`, ","}[min(i, 1)])
		}
		found = append(found, inspectOne(c, o.json, out, r), r.Close())
	}
	if o.json {
		fmt.Fprint(out, "]")
		o.begun = true
	}
	return errors.Join(append(found, out.Flush())...)
}

// inspectOne prints one bundle. Lists are as long as somebody made them: they
// are printed while they are read.
func inspectOne(c *cli.Context, asJSON bool, out io.Writer, r *bundle.Reader) error {
	b := inspected{Name: r.Name(), Dirs: r.Dirs()}
	raw, err := r.Root()
	if err == nil {
		b.Root, err = bundle.ParseManifest(raw)
	}
	listing := c.Bool("files") || c.Bool("sha256sum") || c.Bool("contents")
	switch {
	case asJSON:
		head, jsonErr := json.Marshal(b)
		if jsonErr != nil {
			return jsonErr
		}
		fmt.Fprintf(out, "%s", head[:len(head)-1])
		defer fmt.Fprint(out, "}")
	case err == nil && !listing:
		writeManifest(out, r, b.Root)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name(), err)
	}
	if !listing {
		return nil
	}
	if c.Bool("contents") {
		err = inspectContents(asJSON, out, r)
	}
	if err != nil || !c.Bool("files") && !c.Bool("sha256sum") {
		return err
	}
	if !asJSON {
		return eachFile(r, b.Root, func(f inspectedFile) error { return writeFile(out, f, c.Bool("sha256sum")) })
	}
	separator := `,"files":[`
	err = eachFile(r, b.Root, func(f inspectedFile) error {
		line, err := json.Marshal(f)
		fmt.Fprintf(out, "%s%s", separator, line)
		separator = ","
		return err
	})
	if separator == "," {
		fmt.Fprint(out, "]")
	}
	return err
}

// inspectContents prints the contents lists of a bundle, unverified. It names the lists that the
// bundle does not carry, because the receiver has them.
func inspectContents(asJSON bool, out io.Writer, r *bundle.Reader) error {
	_, repos, err := bundleContents(r)
	if err != nil {
		return err
	}
	repos, absent := carriedLists(repos)
	if asJSON {
		return contentsJSON(out, repos, absent)
	}
	table := &flowingTable{w: out}
	fmt.Fprintf(out, "contents, not verified:\n")
	err = table.row(entryHeadings()...)
	for f, ferr := range contents.Merge(repos) {
		if err = errors.Join(err, ferr); err != nil {
			break
		}
		err = table.row(entryRow(&f)...)
	}
	if err = errors.Join(err, table.flush()); err == nil && len(absent) > 0 {
		fmt.Fprintf(out, "contents lists that are not carried, because the receiver has them: %s\n", strings.Join(absent, ", "))
	}
	return err
}

// carriedLists leaves out the repositories whose contents list a bundle does not carry, and
// returns their names: the receiver has those lists.
func carriedLists(repos []contents.Repository) (carried []contents.Repository, absent []string) {
	absent = []string{}
	for _, repo := range repos {
		there := true
		if repo.Entries != nil {
			for _, err := range repo.Entries() {
				there = !errors.Is(err, bundle.ErrIncomplete)
				break
			}
		}
		if there {
			carried = append(carried, repo)
		} else {
			absent = append(absent, repo.Name)
		}
	}
	return carried, absent
}

func contentsJSON(out io.Writer, repos []contents.Repository, absent []string) error {
	names, err := json.Marshal(absent)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `,"contentsVerified":false,"contentsNotCarried":%s,"contents":[`, names)
	defer fmt.Fprint(out, "]")
	separator := ""
	for f, err := range contents.Merge(repos) {
		if err != nil {
			return err
		}
		line, err := json.Marshal(listedEntry{f.Repository.Set, f.Repository.Name, f.Repository.Kind, stateUnverified, f.Entry})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s%s", separator, line)
		separator = ","
	}
	return nil
}

func writeFile(w io.Writer, f inspectedFile, sums bool) error {
	if sums {
		_, err := io.WriteString(w, sumLine(f.Digest.Hex(), f.Path))
		return err
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", f.Path, f.Digest, f.Size, FirstOf(f.Origin, "-"), f.Vouched)
	return err
}

// eachFile calls f for every file of the lists that the catalogue carries,
// with what the evidence list states about it.
func eachFile(r *bundle.Reader, m *bundle.Manifest, f func(inspectedFile) error) error {
	catalog, err := openCatalog(r, m)
	if err != nil {
		return err
	}
	for i, repo := range m.Repositories {
		files, err := catalog.Files(i)
		if errors.Is(err, bundle.ErrIncomplete) || errors.Is(err, fs.ErrNotExist) {
			continue // the base has this list: nothing here to show
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name(), err)
		}
		vouched, stop := evidenceOf(catalog, i)
		for file, err := range bundle.ReadList[bundle.File](files, r.Name()) {
			if err != nil {
				stop()
				return errors.Join(err, files.Close())
			}
			one := inspectedFile{File: file}
			if e, ok := vouched(file.Path); ok {
				one.Origin, one.Vouched = e.Origin, e.Vouched
			}
			one.Path = strings.TrimPrefix(repo.Mount+"/"+file.Path, "/")
			if err := f(one); err != nil {
				stop()
				return errors.Join(err, files.Close())
			}
		}
		stop()
		if err := files.Close(); err != nil {
			return err
		}
	}
	return nil
}

// openCatalog opens the catalogue of a bundle as its root describes it.
func openCatalog(r *bundle.Reader, m *bundle.Manifest) (*bundle.Catalog, error) {
	catalog, err := bundle.NewCatalog(m, func(name string) (io.ReaderAt, int64, error) {
		file, err := r.Open(name, -1)
		if err != nil {
			return nil, 0, err
		}
		return file, file.Size(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name(), err)
	}
	return catalog, nil
}

// evidenceOf looks up evidence by ascending paths; nothing where the list is
// not carried or not readable.
func evidenceOf(catalog *bundle.Catalog, repo int) (lookup func(path string) (bundle.Evidence, bool), stop func()) {
	list, err := catalog.Evidence(repo)
	if err != nil {
		return func(string) (bundle.Evidence, bool) { return bundle.Evidence{}, false }, func() {}
	}
	next, stopList := iter.Pull2(bundle.ReadList[bundle.Evidence](list, "evidence"))
	line, err, more := next()
	return func(path string) (bundle.Evidence, bool) {
			for more && err == nil && bundle.ComparePaths(line.Path, path) < 0 {
				line, err, more = next()
			}
			return line, more && err == nil && line.Path == path
		}, func() {
			stopList()
			_ = list.Close() // read-only
		}
}

func writeManifest(w io.Writer, r *bundle.Reader, m *bundle.Manifest) {
	what := "full"
	if m.Base != nil {
		what = fmt.Sprintf("delta on %d (state %s)", m.Base.Sequence, m.Base.State.Short())
	}
	rows := [][]string{
		{"bundle", r.Name() + "  " + nothingVerified},
		{"stored in", strings.Join(r.Dirs(), ", ")},
		{"kind", what},
		{"stream", m.Stream},
		{"created", HumanTime(m.Created) + " by " + m.Tool},
		{"state", m.State.String()},
	}
	if m.Destination != "" {
		rows = append(rows, []string{"destination", m.Destination})
	}
	if m.Expires != nil {
		rows = append(rows, []string{"expires", HumanTime(*m.Expires)})
	}
	if len(m.Overrides) > 0 {
		rows = append(rows, []string{"overrides", strings.Join(m.Overrides, ", ")})
	}
	for _, k := range m.Keys {
		rows = append(rows, []string{"publishes key", k.Fingerprint + " (" + k.Role + ")"})
	}
	WriteTable(w, rows)
	rows = [][]string{{"REPOSITORY", "KIND", "MOUNT", "ENTRIES", "FILES", "BYTES", "UNPINNED", "LISTS CARRIED"}}
	for _, repo := range m.Repositories {
		rows = append(rows, []string{repo.Name, repo.Kind, "/" + repo.Mount, entriesText(&repo), fmt.Sprint(repo.Count), HumanBytes(repo.Bytes),
			fmt.Sprint(repo.Unpinned), FirstOf(strings.Join(repo.Carried, ", "), "none: expected at the receiver")})
	}
	WriteTable(w, rows)
}

// entriesText returns how many things of a repository have a name.
func entriesText(r *bundle.Repository) string {
	if r.Contents == nil {
		return "-"
	}
	return fmt.Sprint(r.Entries)
}
