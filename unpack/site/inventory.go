package site

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	inventoryDir  = Dir + "/inventory"
	inventoryJSON = Dir + "/inventory.json"
	inventoryText = Dir + "/inventory.txt"
	// maxInventorySize bounds inventory.json when it is read back: what two
	// full roots have about their repositories, with room to spare.
	maxInventorySize = 16 << 20 // bytes
)

// inventory is /_gapbundle/inventory.json: what came in, and who signed it.
type inventory struct {
	Format     int            `json:"format"`
	Generation int            `json:"generation"`
	Time       time.Time      `json:"time"`
	Base       string         `json:"base,omitempty"`
	Tool       string         `json:"tool"`
	Sets       []inventorySet `json:"sets"`
	// Ambiguous are the short image names that were not made.
	Ambiguous []Ambiguous `json:"ambiguousAliases,omitempty"`
}

type inventorySet struct {
	Name         string                `json:"name"`
	Stream       string                `json:"stream"`
	Sequence     int64                 `json:"sequence"`
	Root         bundle.Digest         `json:"bundle"`
	State        bundle.Digest         `json:"state"`
	Created      time.Time             `json:"created"`
	Imported     time.Time             `json:"imported"`
	Signers      []Signer              `json:"signers"`
	Overrides    []string              `json:"overrides,omitempty"`
	Repositories []inventoryRepository `json:"repositories"`
}

type inventoryRepository struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Mode     string `json:"mode,omitempty"`
	Mount    string `json:"mount"`
	Count    int64  `json:"files"`
	Bytes    int64  `json:"bytes"`
	Unpinned int64  `json:"unpinned"`
	// Allowed is what the spec let in that is refused otherwise.
	Allowed         string              `json:"allowed,omitempty"`
	UpstreamExpires *time.Time          `json:"upstreamExpires,omitempty"`
	Checks          []bundle.CheckCount `json:"checks,omitempty"`
	FileList        string              `json:"fileList"`
	EvidenceList    string              `json:"evidenceList"`
	// Inventory is the web path of the list of files. Its name is a function
	// of all that it is made from, so an equal name has equal bytes.
	Inventory string `json:"inventory"`
	// Typed counts the files that have a link in TypedDir.
	Typed int64 `json:"typed"`
	// Entries is how many things have a name, and ContentsList the digest of their list;
	// empty: there is none. Contents is the web path of the list, Names that of the page
	// of names to begin with, NamesDir of its folder.
	Entries      int64  `json:"entries,omitempty"`
	ContentsList string `json:"contentsList,omitempty"`
	Contents     string `json:"contents,omitempty"`
	Names        string `json:"names,omitempty"`
	NamesDir     string `json:"namesDir,omitempty"`
}

// inventoryFile is a line of a repository's list of files.
type inventoryFile struct {
	Path      string `json:"path"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	MediaType string `json:"mediaType,omitempty"`
	Vouched   string `json:"vouched"`
	Origin    string `json:"origin,omitempty"`
	// Client marks a client file, Filled a filled one: words like @BASE@ are
	// replaced in both, and size and digest are those of what came in.
	Client bool `json:"client,omitempty"`
	Filled bool `json:"filled,omitempty"`
}

// repositories goes once over every list that has something new.
func (w *writer) repositories() (*inventory, error) {
	inv := &inventory{Format: 1, Generation: w.in.Generation, Time: w.in.Time, Base: w.in.Base, Tool: w.in.Tool, Sets: []inventorySet{}}
	before := w.before()
	for _, s := range w.in.Sets {
		is := inventorySet{
			Name: s.Name, Stream: s.Stream, Sequence: s.Sequence, Root: s.Root, State: s.State,
			Created: s.Created, Imported: s.Imported, Signers: append([]Signer{}, s.Signers...), Overrides: s.Overrides,
			Repositories: []inventoryRepository{},
		}
		clear(w.setTypes)
		for i := range s.Repositories {
			ir, err := w.repository(s.Name, &s.Repositories[i], before)
			if err != nil {
				return nil, fmt.Errorf("set %s, repository %s: %w", s.Name, s.Repositories[i].Name, err)
			}
			is.Repositories = append(is.Repositories, ir)
		}
		inv.Sets = append(inv.Sets, is)
	}
	return inv, nil
}

// earlier is what the inventory of the generation before states.
type earlier struct {
	// typed is, by the name of a list of files, how many of them have a media type.
	typed map[string]int64
	// named is, by the folder of pages of names, the repository that it was made of, by
	// the same program.
	named map[string]inventoryRepository
}

// before reads the inventory of the generation before; it is empty if there is none or
// it cannot be read, which only costs time.
func (w *writer) before() earlier {
	was := earlier{typed: map[string]int64{}, named: map[string]inventoryRepository{}}
	if w.in.Previous == nil || w.in.Link == nil {
		return was
	}
	inv, err := readInventory(w.in.Previous, inventoryJSON)
	if err != nil {
		return was
	}
	for _, s := range inv.Sets {
		for _, r := range s.Repositories {
			was.typed[r.Inventory] = r.Typed
			if inv.Tool == w.in.Tool && r.NamesDir != "" {
				was.named[r.NamesDir] = r
			}
		}
	}
	return was
}

// PublishedBase returns the address that was filled in when the generation in root was published;
// empty: none was known, and files for clients have words in its place.
func PublishedBase(root *os.Root) (string, error) {
	inv, err := readInventory(root, inventoryJSON)
	if err != nil {
		return "", err
	}
	return inv.Base, nil
}

func readInventory(root *os.Root, name string) (*inventory, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := bundle.ReadAllBounded(f, name, maxInventorySize)
	if err != nil {
		return nil, err
	}
	var inv inventory
	if err := json.Unmarshal(b, &inv); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, err, errDamaged)
	}
	return &inv, nil
}

// repository writes the list of files of r, its types and its client files.
func (w *writer) repository(set string, r *Repository, before earlier) (inventoryRepository, error) {
	ir := inventoryRepository{
		Name: r.Name, Kind: r.Kind, Mode: r.Mode, Mount: "/" + r.Mount, Count: r.Count, Bytes: r.Bytes,
		Unpinned: r.Unpinned, Allowed: r.Annotations[bundle.AllowedKey], UpstreamExpires: r.UpstreamExpires, Checks: r.Checks,
		FileList: string(r.Repository.Files.Digest), EvidenceList: string(r.Repository.Evidence.Digest),
	}
	key := bundle.DigestOf([]byte(strings.Join([]string{set, r.Name, r.Mount, ir.FileList, ir.EvidenceList}, "\x00")))
	name := fmt.Sprintf("%s/%s-%s.jsonl", inventoryDir, strings.ReplaceAll(r.Name, "/", "--"), key.Hex()[:16])
	ir.Inventory = "/" + name

	if err := w.contents(set, r, &ir, before); err != nil {
		return ir, err
	}
	typed, linked := before.typed[ir.Inventory]
	if linked {
		if err := w.folder(inventoryDir); err != nil {
			return ir, err
		}
		linked = w.in.Link(name) == nil
	}
	hasClients := Owns(webPath(r.Mount, "x")) || strings.HasPrefix(ClientsDir, webPath(r.Mount, ""))
	if linked && typed == 0 && !hasClients {
		return ir, nil
	}
	if linked {
		return ir, w.files(r, &ir, nil)
	}
	return ir, w.file(name, func(out io.Writer) error { return w.files(r, &ir, json.NewEncoder(out)) })
}

// files places what is generated per file and counts into ir; a nil enc: the
// list itself is there already.
func (w *writer) files(r *Repository, ir *inventoryRepository, enc *json.Encoder) error {
	if enc != nil {
		enc.SetEscapeHTML(false)
	}
	next, stop := iter.Pull2(r.Evidence())
	defer stop()
	evidence, err, more := next()
	for f, ferr := range r.Files() {
		if ferr != nil {
			return ferr
		}
		for more && err == nil && bundle.ComparePaths(evidence.Path, f.Path) < 0 {
			evidence, err, more = next()
		}
		if err != nil {
			return err
		}
		p := webPath(r.Mount, f.Path)
		if Reserved(p) {
			return fmt.Errorf("file %s: the name is one of gapbundle's own: %w", p, bundle.ErrMalformed)
		}
		marked, terr := w.typed(p, f.MediaType)
		if terr != nil {
			return terr
		}
		if marked {
			ir.Typed++
		}
		if Owns(p) {
			if err := w.client(p, f.Digest); err != nil {
				return err
			}
		}
		if enc == nil {
			continue
		}
		line := inventoryFile{Path: "/" + p, Size: f.Size, SHA256: f.Digest.Hex(), MediaType: f.MediaType, Client: Owns(p), Filled: f.Filled}
		if more && evidence.Path == f.Path {
			line.Vouched, line.Origin = evidence.Vouched, evidence.Origin
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// client places a client file. Two sets may bring the same one; that they
// are equal was decided when the lists were joined.
func (w *writer) client(p string, d bundle.Digest) error {
	src, err := w.in.Open(d)
	if err != nil {
		return err
	}
	defer src.Close()
	err = w.file(p, func(out io.Writer) error { return Substitute(out, src, w.in.Base) })
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(w.clients) <= maxPortalClients {
		w.clients = append(w.clients, p)
	}
	return nil
}

func (w *writer) inventory(inv *inventory) error {
	err := w.file(inventoryJSON, func(out io.Writer) error {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		return enc.Encode(inv)
	})
	if err != nil {
		return err
	}
	return w.plainFile(inventoryText, func(out io.Writer) error { return writeText(out, inv, w.public) })
}

// writeText writes the inventory for people and for paper.
func writeText(out io.Writer, inv *inventory, names *PublicNames) error {
	b := bufio.NewWriter(out)
	fmt.Fprintf(b, "Mirror, generation %d, published %s by %s\n", inv.Generation, timeText(inv.Time), inv.Tool)
	for _, s := range inv.Sets {
		fmt.Fprintf(b, "\nset %s, bundle %d\n", s.Name, s.Sequence)
		fmt.Fprintf(b, "  bundle.json %s\n  state       %s\n  stream      %s\n", s.Root, s.State, s.Stream)
		fmt.Fprintf(b, "  created     %s, imported %s\n", timeText(s.Created), timeText(s.Imported))
		for _, signer := range s.Signers {
			fmt.Fprintf(b, "  signed by   %s (%s)\n", signer.ID, signer.Role)
		}
		for _, o := range s.Overrides {
			fmt.Fprintf(b, "  override    %s\n", o)
		}
		fmt.Fprintln(b)
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "  repository\tkind\tmode\tat\tfiles\tbytes\tunpinned\tupstream lapses")
		for _, r := range s.Repositories {
			lapses := "-"
			if r.UpstreamExpires != nil {
				lapses = timeText(*r.UpstreamExpires)
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s/\t%d\t%d\t%d\t%s\n", r.Name, r.Kind, dash(r.Mode), r.Mount, r.Count, r.Bytes, r.Unpinned, lapses)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		for _, r := range s.Repositories {
			if r.Allowed != "" {
				fmt.Fprintf(b, "  %s: allows %s\n", r.Name, r.Allowed)
			}
		}
	}
	for _, a := range inv.Ambiguous {
		fmt.Fprintf(b, "\nimage name %s not made: ambiguous between %s\n", a.Alias, strings.Join(a.Images, ", "))
	}
	for i, host := range names.Hosts() {
		if i == 0 {
			fmt.Fprint(b, "\nanswers for these public names if the web server is set up for it, by hosts.json\n")
		}
		fmt.Fprintf(b, "  %s\n", host)
	}
	return b.Flush()
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
