package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// Bounds of the documents of one state: the ledger is no cache of content.
const (
	MaxDocument  = 4 << 20  // bytes of one
	MaxDocuments = 64 << 20 // bytes of all
	// maxDocumentCount bounds how many there are, and maxIndex their index.
	maxDocumentCount = 100_000
	maxIndex         = 64 << 20 // bytes
)

// Document is a file whose content is kept with the state that it belongs to.
type Document struct {
	Digest bundle.Digest `json:"digest"`
	Path   string        `json:"path"`
	// Repository is the name of the repository whose list has the file.
	Repository string `json:"repository"`
	Size       int64  `json:"size"`
}

// Documents are the documents of every state that may be the base of a delta: their content by
// digest, and an index for each state. A read-only ledger that does not exist has none.
type Documents struct {
	root    *os.Root   // of the ledger; nil: nothing there
	writing sync.Mutex // held while one is written: two can have the same content
}

// Documents returns the documents that the ledger keeps.
func (l *Ledger) Documents() *Documents { return &l.documents }

// CheckDocuments refuses, by their names, documents above the bounds. Errors match
// bundle.ErrUsage.
func CheckDocuments(all []Document) error {
	var errs []error
	var total int64
	for _, d := range all {
		if d.Size > MaxDocument {
			errs = append(errs, fmt.Errorf("source %s, %s: %s to keep between exports, at most %d: %w", d.Repository, d.Path, bundle.Count(d.Size, "byte"), MaxDocument, bundle.ErrUsage))
		}
		total += max(0, d.Size)
	}
	if total > MaxDocuments || len(all) > maxDocumentCount {
		largest := slices.MaxFunc(all, func(a, b Document) int { return cmp.Compare(a.Size, b.Size) })
		errs = append(errs, fmt.Errorf("%s with %s to keep between exports, at most %d with %d in a set; the largest is %s of source %s: make several sets of it: %w",
			bundle.Count(len(all), "document"), bundle.Count(total, "byte"), maxDocumentCount, MaxDocuments, largest.Path, largest.Repository, bundle.ErrUsage))
	}
	return errors.Join(errs...)
}

func documentName(d bundle.Digest) string { return documentsDir + "/" + d.Hex() }

func indexName(n int64) string { return fmt.Sprintf("%s/%06d.json", documentsDir, n) }

// Keep keeps the content of a document. It is not synced: content that a
// crash damaged is not opened, and what it spared is done once more. It may be
// called at the same time from several goroutines.
func (k *Documents) Keep(content []byte) error {
	if len(content) > MaxDocument {
		return fmt.Errorf("ledger: document of %s, at most %d: %w", bundle.Count(len(content), "byte"), MaxDocument, bundle.ErrUsage)
	}
	name := documentName(bundle.DigestOf(content))
	k.writing.Lock()
	defer k.writing.Unlock()
	if fi, err := k.root.Stat(name); err == nil && fi.Size() == int64(len(content)) {
		return nil
	}
	if err := k.root.WriteFile(name+".new", content, 0o600); err != nil {
		return err
	}
	return k.root.Rename(name+".new", name)
}

// Has reports whether the content of a document is kept, by its name and size.
func (k *Documents) Has(d bundle.Digest, size int64) bool {
	if k.root == nil {
		return false
	}
	fi, err := k.root.Stat(documentName(d))
	return err == nil && fi.Size() == size
}

// Open returns the content of a document of any kept state; the error
// matches fs.ErrNotExist where it is not there, or damaged.
func (k *Documents) Open(d bundle.Digest) ([]byte, error) {
	if k.root == nil {
		return nil, fmt.Errorf("document %s: %w", d, fs.ErrNotExist)
	}
	f, err := k.root.Open(documentName(d))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read-only
	b, err := bundle.ReadAllBounded(f, documentName(d), MaxDocument)
	if err == nil && bundle.DigestOf(b) != d || errors.Is(err, bundle.ErrMalformed) {
		return nil, fmt.Errorf("document %s: damaged: %w", d, fs.ErrNotExist)
	}
	return b, err
}

// Limit returns the largest document that can be kept, in bytes.
func (k *Documents) Limit() int64 { return MaxDocument }

// Of returns the documents of a kept state, sorted by repository and path; none where
// it has none.
func (k *Documents) Of(n int64) ([]Document, error) {
	if k.root == nil {
		return nil, nil
	}
	f, err := k.root.Open(indexName(n))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read-only
	b, err := bundle.ReadAllBounded(f, indexName(n), maxIndex)
	if err != nil {
		return nil, err
	}
	var all []Document
	if err := bundle.UnmarshalCanonical(b, &all); err != nil {
		return nil, fmt.Errorf("ledger, %s: %w", indexName(n), err)
	}
	return all, nil
}

// record records the documents of state n.
func (k *Documents) record(n int64, all []Document) error {
	if len(all) == 0 {
		err := k.root.Remove(indexName(n))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Document) int {
		return cmp.Or(strings.Compare(a.Repository, b.Repository), bundle.ComparePaths(a.Path, b.Path))
	})
	b, err := bundle.MarshalCanonical(all)
	if err != nil {
		return err
	}
	return durable.WriteFrom(k.root, indexName(n), 0o600, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// names adds the files of the documents that states have to those that are kept.
func (k *Documents) names(states []int64, keep map[string]bool) error {
	for _, n := range states {
		all, err := k.Of(n)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			keep[indexName(n)] = true
		}
		for _, d := range all {
			keep[documentName(d.Digest)] = true
		}
	}
	return nil
}
