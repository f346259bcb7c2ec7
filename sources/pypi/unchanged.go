package pypi

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/index"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/replay"
)

// maxRecord bounds the record, in bytes.
const maxRecord = 4 << 20

// record makes the record of a plan. Pages that were read ahead and by chance
// belong to it: they are read again the next time.
func (r *reader) record(mark string, notes []string) ([]byte, error) {
	asked := r.index.Asked()
	slices.SortFunc(asked, func(a, b pages.Asked) int { return strings.Compare(a.Name+" "+a.Index, b.Name+" "+b.Index) })
	return json.MarshalIndent(pages.Record{Mark: mark, Pages: asked, Notes: notes}, "", " ")
}

// recalled returns the record of the base, if everything that the plan is a
// function of is what it was: then the base is the plan. nil: it is not.
func (e *entry) recalled(ctx context.Context, env *sources.Env, w *wanted) (*pages.Record, []byte, error) {
	if _, named := env.Entries(e.name); !named { // the base does not state what its files are called
		return nil, nil, nil
	}
	cursor := env.Cursor(e.name)
	defer cursor.Close()
	at, ok, err := cursor.Lookup(pages.RecordPath)
	if err != nil || !ok {
		return nil, nil, err
	}
	content, err := env.Content(at.File.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	mark, err := w.mark(e, env)
	if err != nil {
		return nil, nil, err
	}
	have, err := pages.ReadRecord(content)
	if err != nil || have.Mark != mark {
		return nil, nil, nil // what cannot be read is made again
	}
	same := make([]bool, len(have.Pages))
	err = sources.EachOf(ctx, readAhead, len(same), func(ctx context.Context, i int) (err error) {
		same[i], err = index.IsSame(ctx, env, e.indexes, have.Pages[i])
		return err
	})
	if err != nil || slices.Contains(same, false) {
		return nil, nil, err
	}
	return have, content, nil
}

// unchanged plans a source whose base is the plan.
func (e *entry) unchanged(env *sources.Env, have *pages.Record, content []byte) (sources.Repository, error) {
	repo, err := e.repository()
	if err != nil {
		return repo, err
	}
	repo.Notes = append(repo.Notes, "nothing changed since the last export: its choice is used again")
	repo.Notes = append(repo.Notes, have.Notes...)
	again := replay.NewAgain(func(ctx context.Context) (*sources.Plan, error) {
		w, err := readWanted(e)
		if err != nil {
			return nil, err
		}
		made, _, err := e.fresh(ctx, env, w)
		return &sources.Plan{Repositories: []sources.Repository{made}}, err
	})
	repo.Artifacts = keeping(replay.Plan{Again: again}.Artifacts(env, e.name), content)
	return repo, nil
}

// keeping marks the record among artifacts, and has its content.
func keeping(all func() iter.Seq2[sources.Artifact, error], content []byte) func() iter.Seq2[sources.Artifact, error] {
	return func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			for a, err := range all() {
				if a.File.Path == pages.RecordPath && err == nil {
					a.Keep = len(content) <= maxRecord
					a.Open = sources.InMemory(content, "")
				}
				if !yield(a, err) {
					return
				}
			}
		}
	}
}
