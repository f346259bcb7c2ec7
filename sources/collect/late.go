package collect

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
)

// merge lists results, in path order, of repository i into its lists: new ones
// where it has none yet, otherwise by merging two sorted lists into new ones.
func (ls *listing) merge(i int, results []*result) error {
	for _, u := range results {
		if u.err != nil {
			ls.findings = append(ls.findings, u.err)
		}
	}
	if err := ls.refusals(); err != nil {
		return err
	}
	old := ls.lists[i].collected
	fresh := &lists{collected: old, made: true, names: ls.lists[i].names}
	fresh.collected.FilesName, fresh.collected.EvidenceName = old.FilesName+"-late", old.EvidenceName+"-late"
	for _, u := range results {
		fresh.collected.Made = append(fresh.collected.Made, u.artifact)
	}
	r := &fresh.collected.Repository
	r.Count, r.Bytes, r.Unpinned, fresh.collected.Filled = 0, 0, 0, 0
	ls.lists[i] = fresh
	l, err := ls.use(i)
	if err != nil {
		return err
	}
	for row, err := range ls.rows(old) {
		if err != nil {
			return err
		}
		for len(results) > 0 && bundle.ComparePaths(results[0].file.Path, row.file.Path) <= 0 {
			if err := l.settled(results[0]); err != nil {
				return err
			}
			results = results[1:]
		}
		if err := l.write(row.file, row.evidence, "", ""); err != nil {
			return err
		}
	}
	for _, u := range results {
		if err := l.settled(u); err != nil {
			return err
		}
	}
	return ls.close(i)
}

// row is a line of a file list with its line of evidence.
type row struct {
	file     bundle.File
	evidence bundle.Evidence
}

// rows streams both lists of c side by side; a repository that has none yet
// has no rows.
func (ls *listing) rows(c Collected) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		if c.Repository.Files.MediaType == "" {
			return
		}
		files, err := ls.o.Scratch.Open(c.FilesName)
		if err != nil {
			yield(row{}, err)
			return
		}
		defer func() { _ = files.Close() }() // read-only
		evidence, err := ls.o.Scratch.Open(c.EvidenceName)
		if err != nil {
			yield(row{}, err)
			return
		}
		defer func() { _ = evidence.Close() }() // read-only
		next, stop := iter.Pull2(bundle.ReadList[bundle.Evidence](evidence, c.EvidenceName))
		defer stop()
		for f, err := range bundle.ReadList[bundle.File](files, c.FilesName) {
			e, evidenceErr, _ := next()
			if !yield(row{f, e}, errors.Join(err, evidenceErr)) {
				return
			}
		}
	}
}

// results looks files up in the list of repository i, which is closed.
func (ls *listing) results(i int) *lookup { return &lookup{ls: ls, collected: ls.lists[i].collected} }

// lookup is a Results over a list in scratch. Paths asked for in ascending
// order cost one pass over the list.
type lookup struct {
	ls        *listing
	collected Collected
	next      func() (row, error, bool)
	stop      func()
	at        row
	some      bool
}

// Lookup finds path among the collected files of the repository.
func (k *lookup) Lookup(ctx context.Context, path string) (bundle.File, bool, error) {
	if k.next == nil || k.some && bundle.ComparePaths(path, k.at.file.Path) < 0 {
		k.close()
		k.next, k.stop = iter.Pull2(k.ls.rows(k.collected))
		k.some = false
	}
	for !k.some || bundle.ComparePaths(k.at.file.Path, path) < 0 {
		if err := ctx.Err(); err != nil {
			return bundle.File{}, false, err
		}
		r, err, ok := k.next()
		if err != nil {
			return bundle.File{}, false, fmt.Errorf("source %s: %w", k.collected.Repository.Name, err)
		}
		if !ok {
			k.close()
			return bundle.File{}, false, nil
		}
		k.at, k.some = r, true
	}
	return k.at.file, k.at.file.Path == path, nil
}

// close releases the open list.
func (k *lookup) close() {
	if k.stop != nil {
		k.stop()
		k.next, k.stop = nil, nil
	}
}
