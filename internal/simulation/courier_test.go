package simulation

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// condition is what the courier makes of a bundle.
type condition int

const (
	sound   condition = iota // nothing that a reader needs is missing or changed
	short                    // files are missing
	harmed                   // bytes are not those that were signed
	dubious                  // may or may not matter
)

// delivery is a bundle on its way.
type delivery struct {
	*made
	condition
	dirs []string
	how  string
}

func (d *delivery) String() string { return fmt.Sprintf("%v: %s", d.made, d.how) }

// bundles returns those of both exporters that may be on a stick somewhere.
func (w *world) bundles() (all []*made) {
	for _, e := range w.exporters {
		all = append(all, e.made...)
	}
	return all
}

// deliver brings bundles: mostly the newest, some late, some again, some that are not as
// they were.
func (w *world) deliver() (all []*delivery) {
	candidates := w.bundles()
	if len(candidates) == 0 {
		return nil
	}
	late := slices.DeleteFunc(slices.Clone(candidates), func(b *made) bool {
		return w.model.roots[b.set][b.root] || w.model.passed[b] || b.seq > w.model.accepted[b.set]
	})
	if len(late) > 0 && w.one(6) {
		return []*delivery{w.carry(pick(w.r, late))}
	}
	for range 1 + w.r.IntN(2) {
		b := pick(w.r, candidates)
		if !w.one(4) {
			b = newestOf(pick(w.r, w.exporters).made, b)
		}
		if !slices.ContainsFunc(all, func(d *delivery) bool { return d.made == b }) {
			all = append(all, w.carry(b))
		}
	}
	if w.one(8) && len(w.evil.made) > 0 {
		all = append(all, w.carry(w.evil.made[len(w.evil.made)-1]))
	}
	return all
}

func newestOf(all []*made, otherwise *made) *made {
	if len(all) == 0 {
		return otherwise
	}
	return all[len(all)-1]
}

// carry copies a bundle onto a stick, or onto two.
func (w *world) carry(b *made) *delivery {
	d := &delivery{made: b, how: "as it was"}
	for range 1 + w.r.IntN(4)/3 {
		dir := filepath.Join(w.fresh("medium"), filepath.Base(b.dir))
		w.must(os.CopyFS(dir, os.DirFS(b.dir)))
		d.dirs = append(d.dirs, dir)
	}
	if !w.one(4) {
		return d
	}
	files, err := os.ReadDir(b.dir)
	w.must(err)
	file, where := pick(w.r, files).Name(), w.r.Float64()
	how := pick(w.r, []string{"flipped", "cut", "gone", "longer", "empty", "of another bundle", "of a stranger"})
	other := pick(w.r, w.bundles())
	for _, dir := range d.dirs {
		w.damage(filepath.Join(dir, file), how, where, other)
	}
	d.how = fmt.Sprintf("%s %s (%d copies)", file, how, len(d.dirs))
	if !w.sabotage.sound {
		d.condition = conditionOf(file, how, other == b)
	}
	return d
}

func (w *world) damage(name, how string, where float64, other *made) {
	content, err := os.ReadFile(name)
	w.must(err)
	at := int(where * float64(len(content)))
	switch how {
	case "flipped":
		content[at] ^= 1 << (len(content) % 8)
	case "cut":
		content = content[:at]
	case "gone":
		w.must(os.Remove(name))
		return
	case "longer":
		content = append(content, 0)
	case "empty":
		content = nil
	case "of another bundle":
		another, err := os.ReadFile(filepath.Join(other.dir, filepath.Base(name)))
		if err != nil {
			w.must(os.Remove(name))
			return
		}
		content = another
	case "of a stranger":
		content = []byte(strings.Repeat("poison ", len(content)/7+1)[:len(content)])
	}
	w.must(os.WriteFile(name, content, 0o644))
}

// conditionOf says whether it matters (docs/format.md, "A bundle is a directory").
func conditionOf(file, how string, same bool) condition {
	switch {
	case how == "of another bundle" && same:
		return sound
	case file == "MEDIUM.txt":
		return sound // never compared
	case file == "README.txt" && how == "gone":
		return sound // may be missing
	case strings.HasPrefix(file, "bundle.") && file != "bundle.json":
		return dubious // an ignored byte of the outer envelope, or no signature at all
	case how == "gone":
		return short
	case how == "of another bundle":
		return dubious // where the other has no such file it is gone; where it is the same it is the same
	}
	return harmed
}
