package tree

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/state"
)

// copySuffix ends the name of the second copy of a record, which is written first.
const copySuffix = ".copy"

func copyFile(n int) string { return strings.TrimSuffix(recordFile(n), ".json") + copySuffix }

// writeRecord records a generation, twice: a generation whose only record is damaged would keep
// every command from changing the mirror, and could not be told from its folder.
func (b *Builder) writeRecord(g *Generation) error {
	if err := state.WriteJSON(b.root, copyFile(g.Number), g); err != nil {
		return err
	}
	return state.WriteJSON(b.root, recordFile(g.Number), g)
}

// Records are the generations whose records can be read, in order, and the numbers of those that
// have a folder or a record and none that can be read. Served is the number of the generation
// that is served; 0: none.
type Records struct {
	Generations []Generation
	Lost        []int
	Served      int
}

// Records reads every record that can be read, up to the generation that is served.
func (t *Trees) Records() (k Records, err error) {
	if k.Served, err = t.linked(currentLink); err != nil {
		return k, err
	}
	numbers := map[int]bool{}
	if k.Served != 0 {
		numbers[k.Served] = true
	}
	for _, dir := range []string{state.GenerationsDir, generationsDir} {
		entries, err := fs.ReadDir(t.root.FS(), dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return k, err
		}
		for _, e := range entries {
			digits := strings.TrimSuffix(e.Name(), ".json")
			if n, err := strconv.Atoi(digits); err == nil && n > 0 && n <= k.Served && path.Base(generationDir(n)) == digits {
				numbers[n] = true
			}
		}
	}
	for n := 1; n <= k.Served; n++ {
		if !numbers[n] {
			continue
		}
		g, err := t.Generation(n)
		switch {
		case err == nil && g.Number == n:
			k.Generations = append(k.Generations, *g)
		case err == nil, errors.Is(err, bundle.ErrCorrupt):
			k.Lost = append(k.Lost, n)
		case errors.Is(err, bundle.ErrUsage): // gone; of one that is not served by gc, if the copy went too
			has, err := t.HasCopy(n)
			if err != nil {
				return k, err
			}
			if has || n == k.Served {
				k.Lost = append(k.Lost, n)
			}
		default:
			return k, err
		}
	}
	return k, nil
}

// HasCopy reports whether the second copy of a record can be read.
func (t *Trees) HasCopy(n int) (bool, error) {
	var g Generation
	err := state.ReadJSON(t.root, copyFile(n), &g)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, bundle.ErrCorrupt) {
		return false, nil
	}
	return err == nil && g.Number == n, err
}

// RestoreRecord puts the second copy of a record in its place.
func (b *Builder) RestoreRecord(n int) error {
	var g Generation
	if err := state.ReadJSON(b.root, copyFile(n), &g); err != nil {
		return err
	}
	return state.WriteJSON(b.root, recordFile(n), &g)
}

// DropRecord gives up a generation that is not served and whose record is lost: servers do not
// fall back to it, and the next gc removes its files.
func (b *Builder) DropRecord(n int) error {
	previous, err := b.Previous()
	if err != nil {
		return err
	}
	if previous == n {
		if err := durable.Remove(b.root, previousLink); err != nil {
			return err
		}
	}
	return errors.Join(durable.Remove(b.root, recordFile(n)), durable.Remove(b.root, copyFile(n)), durable.Remove(b.root, generatedFile(n)))
}

// StandIn returns what a publish needs to know of generation n if its record is lost: the numbers
// that must not be used again, and a time that is not earlier than its own. It has no sets, so
// that nothing is taken over from its files.
func (t *Trees) StandIn(n int) (*Generation, error) {
	g := &Generation{Number: n, NextTree: 1}
	entries, err := fs.ReadDir(t.root.FS(), treesDir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if tree, err := strconv.Atoi(e.Name()); err == nil {
			g.NextTree = max(g.NextTree, tree+1)
		}
	}
	later := func(at time.Time) {
		if at.After(g.Time) {
			g.Time = at
		}
	}
	err = fs.WalkDir(t.root.FS(), generationDir(n), func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		if !e.IsDir() || name == generationDir(n) {
			later(fi.ModTime())
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	g.Time = g.Time.UTC().Truncate(time.Second).Add(time.Second)
	return g, err
}
