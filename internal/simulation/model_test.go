package simulation

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/unpack"
)

// model is what the mirror has to be.
type model struct {
	base     string // the address for clients
	current  int    // 0: nothing was published
	gens     map[int]*generation
	accepted map[string]int64           // the highest number, by set
	roots    map[string]map[string]bool // all that were accepted, by set
	streams  map[string]string
	floors   map[string]time.Time
	// newest is what was accepted last, acked what the newest receipt describes: the exporter
	// leaves out of the next delta what one of them has.
	newest, acked map[string]*made
	waiting       map[*made]bool      // may be in parts in the mirror, and wait for the rest
	passed        map[*made]bool      // were brought together with something newer, and may count as accepted
	withdrawn     map[*made]bool      // must not come back by itself
	sick          map[string]bool     // digests of blobs that a disk has damaged
	again         map[string]string   // roots that were brought while a rollback had published them: they may count as accepted
	left          map[int]*generation // that a gc which was stopped may have left
	alone         bool                // servers have nothing to fall back to
	stateLost     bool                // a file of the state was damaged
}

// generation is one published state.
type generation struct {
	sets map[string]*made
	base string
	at   time.Time
}

func newModel() *model {
	return &model{
		base: "https://mirror.example/a", gens: map[int]*generation{}, accepted: map[string]int64{}, roots: map[string]map[string]bool{},
		streams: map[string]string{}, floors: map[string]time.Time{}, newest: map[string]*made{}, acked: map[string]*made{},
		waiting: map[*made]bool{}, passed: map[*made]bool{}, withdrawn: map[*made]bool{}, sick: map[string]bool{},
		again: map[string]string{}, left: map[int]*generation{},
	}
}

func (m *model) clone() *model {
	c := *m
	c.gens, c.accepted, c.streams, c.floors = maps.Clone(m.gens), maps.Clone(m.accepted), maps.Clone(m.streams), maps.Clone(m.floors)
	c.newest, c.acked, c.waiting = maps.Clone(m.newest), maps.Clone(m.acked), maps.Clone(m.waiting)
	c.withdrawn, c.sick, c.passed = maps.Clone(m.withdrawn), maps.Clone(m.sick), maps.Clone(m.passed)
	c.left, c.again = maps.Clone(m.left), maps.Clone(m.again)
	c.roots = map[string]map[string]bool{}
	for set, roots := range m.roots {
		c.roots[set] = maps.Clone(roots)
	}
	return &c
}

func (m *model) published() map[string]*made {
	if g := m.gens[m.current]; g != nil {
		return g.sets
	}
	return nil
}

// floor returns a time that has certainly passed, for a set.
func (m *model) floor(set string) time.Time {
	if t, ok := m.floors[set]; ok {
		return t
	}
	return built()
}

// accept notes that a bundle was imported.
func (m *model) accept(b *made) {
	if m.roots[b.set] == nil {
		m.roots[b.set] = map[string]bool{}
	}
	m.roots[b.set][b.root] = true
	if b.seq >= m.accepted[b.set] {
		m.accepted[b.set], m.newest[b.set] = b.seq, b
	}
	m.acked[b.set] = b
	m.streams[b.set] = b.stream
	const step = 90 * 24 * time.Hour // docs/trust.md, "Clocks"
	floor, to := m.floor(b.set), b.created
	if limit := floor.Add(step); to.After(limit) {
		to = limit
	}
	if to.After(floor) {
		m.floors[b.set] = to
	}
	for c := range b.carried {
		delete(m.sick, hexOf(c))
	}
	delete(m.waiting, b)
}

// holds reports whether the mirror has all of a bundle: its lists and what they name.
func (m *model) holds(b *made) bool {
	for _, of := range []map[string]*made{m.newest, m.acked} {
		if of[b.set] == b {
			return true
		}
	}
	for _, g := range m.gens {
		if g.sets[b.set] == b {
			return true
		}
	}
	return false
}

// files returns what a generation serves besides client files and what a publish makes.
func (g *generation) files() map[string]string {
	all := map[string]string{}
	for _, b := range g.sets {
		maps.Copy(all, b.files)
	}
	return all
}

// fill puts the mirror's address into a client file (docs/format.md, "Filled files").
func fill(content, base string) string {
	_, host, _ := strings.Cut(base, "://")
	host, _, _ = strings.Cut(host, "/")
	return strings.NewReplacer("@BASE@", base, "@HOST@", host, "@INSECURE@", strconv.FormatBool(strings.HasPrefix(base, "http:"))).Replace(content)
}

// inspect compares the folder with the model.
func (w *world) inspect() {
	m := w.model
	if current := w.linked("current"); current != m.current {
		w.fail("generation %d is served, want %d", current, m.current)
	}
	previous := w.linked("previous")
	if m.alone && previous != 0 {
		w.fail("servers fall back to generation %d, which was withdrawn", previous)
	}
	for n, g := range m.gens {
		w.inspectGeneration(n, g)
	}
	for _, of := range []map[string]*made{m.newest, m.acked} {
		for set, b := range of {
			for c := range b.contents() {
				if h := hexOf(c); !m.sick[h] && w.read("blobs/sha256/"+h[:2]+"/"+h) != c {
					w.fail("set %s: the store has lost blob %s of %v, which the next delta leaves out", set, h, b)
				}
			}
		}
	}
	w.inspectStatus()
	w.read1()
}

// linked returns the generation that a link leads to, 0: none.
func (w *world) linked(name string) int {
	target, err := os.Readlink(filepath.Join(w.mirror(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	w.must(err)
	n, err := strconv.Atoi(strings.TrimPrefix(target, "generations/"))
	if err != nil {
		w.fail("%s leads to %q", name, target)
	}
	return n
}

// read returns the content of a file of the mirror, "\x00" and the error if there is none.
func (w *world) read(name string) string {
	b, err := os.ReadFile(filepath.Join(w.mirror(), name))
	if err != nil {
		return "\x00" + err.Error()
	}
	return string(b)
}

const clientsDir = "_gapbundle/clients/"

func (w *world) inspectGeneration(n int, g *generation) {
	found := w.tree(filepath.Join(w.mirror(), "generations", numbered(n)))
	for path, want := range g.files() {
		got, ok := found[path]
		if (!ok || got != want) && !w.model.sick[hexOf(want)] {
			w.fail("generation %d, /%s: want %d bytes %s, got %v, %d bytes %s", n, path, len(want), tail(want), ok, len(got), tail(got))
		}
		delete(found, path)
	}
	for set, b := range g.sets {
		for name, raw := range b.clients {
			want, plain, aside := fill(raw, g.base), clientsDir+name, clientsDir+"_sets/"+set+"/"+name
			switch {
			case found[plain] == want:
				delete(found, plain)
			case found[aside] == want:
				delete(found, aside)
			case w.model.sick[hexOf(raw)]:
				delete(found, aside)
			default:
				w.fail("generation %d, client file %s of set %s: %q is neither at its place (%q) nor aside (%q)", n, name, set, want, found[plain], found[aside])
			}
		}
	}
	for path := range found {
		made := path == "index.html" || strings.HasPrefix(path, "_gapbundle/")
		if !made || strings.HasPrefix(path, clientsDir) && len(w.model.sick) == 0 {
			w.fail("generation %d serves /%s, which no bundle has: %.60q", n, path, found[path])
		}
	}
}

// numbered returns the name of a generation's folder.
func numbered(n int) string { return fmt.Sprintf("%06d", n) }

func tail(content string) string { return hexOf(content)[:12] }

// tree returns what a server finds below a folder.
func (w *world) tree(dir string) map[string]string {
	all := map[string]string{}
	var walk func(dir, prefix string)
	walk = func(dir, prefix string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			w.fail("published, and not to be read: %v", err)
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			fi, err := os.Stat(name)
			if err != nil {
				w.fail("published, and not to be read: %v", err)
			}
			if fi.IsDir() {
				walk(name, prefix+e.Name()+"/")
				continue
			}
			if rel := prefix + e.Name(); strings.HasPrefix(rel, "_gapbundle/") && !strings.HasPrefix(rel, clientsDir) {
				all[rel] = "" // made by the publish
				continue
			}
			b, err := os.ReadFile(name)
			w.must(err)
			all[prefix+e.Name()] = string(b)
		}
	}
	walk(dir, "")
	return all
}

// inspectStatus compares what the mirror says of its ratchets. While its state is damaged it
// may say less, and has to refuse every change.
func (w *world) inspectStatus() {
	if w.model.stateLost {
		return
	}
	var status *unpack.Status
	err := w.with(ctx(), func(m *unpack.Mirror) (err error) {
		status, err = m.Status(ctx())
		return err
	})
	if err != nil && len(w.model.sick) == 0 {
		w.fail("status: %v", err)
	}
	if status == nil {
		return
	}
	for set, want := range w.model.accepted {
		i := slices.IndexFunc(status.Sets, func(s unpack.SetStatus) bool { return s.Set == set })
		if i < 0 {
			if want > 0 {
				w.fail("set %s: accepted %d, and status does not know it", set, want)
			}
			continue
		}
		published := w.model.published()[set]
		switch got := status.Sets[i].Accepted; {
		case got < want:
			w.fail("set %s: the ratchet went back from %d to %d", set, want, got)
		case got > want && published != nil && published.seq == got && w.model.again[set] == published.root:
			w.model.accept(published)
		case got > want:
			w.fail("set %s: the ratchet is at %d, and nothing above %d was accepted", set, got, want)
		}
		if b := w.model.published()[set]; b != nil && status.Sets[i].Sequence != b.seq {
			w.fail("set %s: status says that bundle %d is published, want %v", set, status.Sets[i].Sequence, b)
		}
	}
}
