package site

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// contents publishes the contents list of a repository and the pages of its names, and
// notes both in ir.
func (w *writer) contents(set string, r *Repository, ir *inventoryRepository, before earlier) error {
	list := r.Repository.Contents
	if list == nil {
		return nil
	}
	ir.Entries, ir.ContentsList = r.Entries, string(list.Digest)
	plain := strings.ReplaceAll(r.Name, "/", "--")
	key := bundle.DigestOf([]byte(strings.Join([]string{set, r.Name, ir.ContentsList}, "\x00")))
	name := fmt.Sprintf("%s/%s-%s.contents.jsonl", inventoryDir, plain, key.Hex()[:16])
	ir.Contents = "/" + name
	own := bundle.DigestOf([]byte(set + "\x00" + r.Name))
	dir := fmt.Sprintf("%s/%s-%s", namesDir, plain, own.Hex()[:8])
	ir.NamesDir = "/" + dir
	if was, ok := before.named[ir.NamesDir]; ok && was.ContentsList == ir.ContentsList {
		if w.folder(inventoryDir) == nil && w.in.Link(name) == nil && (was.Names == "" || w.linkNames(dir) == nil) {
			ir.Names = was.Names
			return nil
		}
		if err := w.root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	err := w.file(name, func(out io.Writer) error {
		copied := bundle.NewListWriter[bundle.Entry](out)
		for e, err := range r.Contents() {
			if err == nil {
				err = copied.Write(e)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	start, err := w.names(set, r, dir)
	if start != "" {
		ir.Names = "/" + start
	}
	return err
}

// Published is a repository as a generation publishes it to everybody. Users who may not read
// the state of the mirror use it.
type Published struct {
	Set, Name, Kind       string
	Files, Bytes, Entries int64
	// ContentsList is the digest of the contents list; empty: there is none.
	ContentsList string
	path         string
}

// ReadPublished returns the repositories that a generation publishes; root is its folder.
func ReadPublished(root *os.Root) ([]Published, error) {
	inv, err := readInventory(root, inventoryJSON)
	if err != nil {
		return nil, err
	}
	var all []Published
	for _, s := range inv.Sets {
		for _, r := range s.Repositories {
			all = append(all, Published{
				Set: s.Name, Name: r.Name, Kind: r.Kind, Files: r.Count, Bytes: r.Bytes, Entries: r.Entries,
				ContentsList: r.ContentsList, path: strings.TrimPrefix(r.Contents, "/"),
			})
		}
	}
	return all, nil
}

// Read reads the contents list of a published repository, in the order of
// bundle.CompareEntries. Its bytes are compared with its digest at the end.
func (p *Published) Read(root *os.Root) iter.Seq2[bundle.Entry, error] {
	return func(yield func(bundle.Entry, error) bool) {
		f, err := root.Open(p.path)
		if err != nil {
			yield(bundle.Entry{}, err)
			return
		}
		defer f.Close()
		h := bundle.NewHash()
		for e, err := range bundle.ReadContents(io.TeeReader(f, h), "contents list of "+p.Name) {
			if !yield(e, err) || err != nil {
				return
			}
		}
		if got := bundle.SumOf(h); got.String() != p.ContentsList {
			yield(bundle.Entry{}, fmt.Errorf("contents list of %s: digest mismatch: want %s, got %s: %w", p.Name, p.ContentsList, got, errDamaged))
		}
	}
}
