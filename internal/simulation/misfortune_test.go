package simulation

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/unpack"
)

// harmDisk damages a stored blob, with all of its names.
func (w *world) harmDisk() {
	blobs, err := filepath.Glob(filepath.Join(w.mirror(), "blobs/sha256/*/*"))
	w.must(err)
	if len(blobs) == 0 {
		return
	}
	name := pick(w.r, blobs)
	fi, err := os.Stat(name)
	w.must(err)
	how := w.r.IntN(3)
	switch {
	case how == 0:
		w.must(os.Remove(name))
	case fi.Size() == 0:
		return
	case how == 1:
		w.must(os.Truncate(name, fi.Size()/2))
	default:
		content, err := os.ReadFile(name)
		w.must(err)
		content[len(content)/2] ^= 4
		w.must(os.Chmod(name, 0o644))
		w.must(os.WriteFile(name, content, 0o644))
		w.must(os.Chmod(name, fi.Mode()))
	}
	w.must(ignoreGone(os.Chtimes(name, fi.ModTime(), fi.ModTime())))
	w.model.sick[filepath.Base(name)] = true
	for _, r := range w.readers {
		r.harmed = r.harmed || hexOf(r.want) == filepath.Base(name)
	}
	w.touched = true
	w.note("the disk damages blob %.12s in way %d", filepath.Base(name), how)
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

const stateFiles = "state/sets/alpha.json state/sets/beta.json state/journal.jsonl state/mirror.json state/trust.json state/receipt.key"

// keepState keeps older copies of the state's files.
func (w *world) keepState() {
	if w.model.stateLost || !w.one(3) {
		return
	}
	for name := range strings.FieldsSeq(stateFiles) {
		if b, err := os.ReadFile(filepath.Join(w.mirror(), name)); err == nil {
			w.stateful[name] = b
		}
	}
}

// harmState loses a file of the state, cuts it, or puts an older one in its place.
func (w *world) harmState() {
	name := pick(w.r, strings.Fields(stateFiles))
	file := filepath.Join(w.mirror(), name)
	now, err := os.ReadFile(file)
	if err != nil || w.model.current == 0 || w.model.stateLost {
		return
	}
	var how string
	switch older := w.stateful[name]; w.r.IntN(3) {
	case 0:
		how = "lost"
		w.must(os.Remove(file))
	case 1:
		how = "cut"
		w.must(os.WriteFile(file, now[:len(now)*2/3], 0o600))
	default:
		if older == nil || name == "state/receipt.key" || name == "state/trust.json" || string(older) == string(now) {
			return
		}
		how = "replaced by an older one"
		w.must(os.WriteFile(file, older, 0o600))
	}
	w.model.stateLost = true
	w.note("%s is %s", name, how)
	if w.one(2) {
		w.receive()
	}
}

// loseExporter puts an older copy of an exporter's own state in place, or none.
func (w *world) loseExporter() {
	e := pick(w.r, w.exporters)
	ledger := filepath.Join(e.dir, ".gapbundle")
	switch {
	case e.backup == "":
		w.keepLedger(e)
		return
	case w.one(3):
		w.must(os.RemoveAll(ledger))
		w.note("%s has lost its ledger", e.name)
		e.destination = false
	default:
		w.must(os.RemoveAll(ledger))
		w.must(copyTree(e.backup, ledger))
		w.note("%s's ledger is the one of the backup", e.name)
	}
	e.target = ""
}

// keepLedger makes a backup.
func (w *world) keepLedger(e *exporter) {
	ledger := filepath.Join(e.dir, ".gapbundle")
	if _, err := os.Stat(ledger); err == nil {
		e.backup = w.fresh("backup") + "/ledger"
		w.must(copyTree(ledger, e.backup))
		w.note("a backup of %s's ledger", e.name)
	}
}

// adopt does what an operator does when an exporter has lost its ledger.
func (w *world) adopt() {
	m := w.model
	for _, e := range w.exporters {
		if len(e.made) == 0 || m.streams[e.name] == "" || m.stateLost {
			continue
		}
		newest := e.made[len(e.made)-1]
		if newest.stream == m.streams[e.name] {
			continue
		}
		killed, err := w.command("trust adopt "+e.name, func(ctx context.Context, mirror *unpack.Mirror) error {
			return mirror.Trust().AdoptStream(ctx, e.name, newest.stream)
		})
		if err != nil || killed {
			if err := w.with(ctx(), func(mirror *unpack.Mirror) error { return mirror.Trust().AdoptStream(ctx(), e.name, newest.stream) }); err != nil && !errors.Is(err, bundle.ErrUsage) {
				w.fail("adopt: %v", err)
			}
		}
		w.count("adopt")
		m.streams[e.name], m.accepted[e.name] = newest.stream, 0
		delete(m.roots, e.name)
		return
	}
}

// stranger makes a bundle for a set with a key that nobody trusts.
func (w *world) stranger() {
	w.evil.change(w)
	w.evil.publish(w)
	target := w.fresh("stick")
	o := w.exportOptions(ctx(), w.evil, target)
	o.Full = true
	_, err := export.Run(ctx(), o)
	w.must(err)
	w.note("a stranger signs %v", w.collect(w.evil, target))
}
