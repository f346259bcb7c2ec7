package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// keyEntries are the fingerprints that the root names, by the path of the file.
type keyEntries map[string][]string

func (s *session) keyEntries() keyEntries {
	all := keyEntries{}
	for _, k := range s.publishedKeys() {
		all[k.Path] = append(all[k.Path], k.Fingerprint)
	}
	return all
}

// file is a key file with its entry. The root names one file for each key, so that a
// file with keys that two sources have in common needs an entry of its own.
func (e keyEntries) file(path string, content []byte) (sources.Artifact, error) {
	a := made(path, content)
	found, err := reach.Fingerprints(content)
	if err != nil {
		return a, fmt.Errorf("key file %s: %w: %w", path, err, bundle.ErrUsage)
	}
	named := slices.Clone(e[keysMount+"/"+path])
	if armored, ok := strings.CutSuffix(path, ".gpg"); ok {
		named = append(named, e[keysMount+"/"+armored+".asc"]...)
	}
	slices.Sort(named)
	slices.Sort(found)
	if !slices.Equal(slices.Compact(named), slices.Compact(found)) {
		a.File.Annotations = reach.Entry(found)
	}
	return a, nil
}

// checkReach asks before anything is signed what every import will ask: whether the set
// has what it may. Key files of sources that are held back are not at hand on this side;
// their lines are looked at.
func (j *job) checkReach(ctx context.Context, m *bundle.Manifest, collected []collect.Collected) error {
	t := &tree{s: j.session, collected: collected, held: j.held}
	defer t.close()
	survey, err := reach.Look(reach.Set{
		Name: m.Set, Keys: m.Keys, Repositories: m.Repositories,
		Files: func(i int) iter.Seq2[bundle.File, error] { return t.Files(m.Repositories[i].Name) },
	})
	if err != nil {
		return err
	}
	err = survey.Judge(func(f bundle.File) ([]byte, error) {
		a, ok := j.own[f.Digest]
		if !ok || a.Open == nil {
			return nil, reach.ErrNotAtHand
		}
		in, err := a.Open(ctx, 0, "")
		if err != nil {
			return nil, err
		}
		content, err := bundle.ReadAllBounded(in.Body, f.Path, reach.MaxFile)
		return content, errors.Join(err, in.Body.Close())
	})
	if err != nil {
		return fmt.Errorf("no mirror would import this: %w: %w", err, bundle.ErrUsage)
	}
	return nil
}
