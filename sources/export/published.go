package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// publishing collects the keys that a set publishes: those of the planned repositories, and
// those that the base has for repositories that are held back.
type publishing struct {
	base    *base
	held    []bundle.Repository
	planned []collect.Planned
}

func (p *plan) published() publishing {
	return publishing{p.base, p.held, p.resolved.Repositories}
}

// keys returns the keys of all repositories, once each, sorted.
func (k publishing) keys() []bundle.PublishedKey {
	all := k.ofHeld()
	for _, p := range k.planned {
		for _, key := range p.Keys {
			all = append(all, bundle.PublishedKey{Fingerprint: key.Fingerprint, Role: key.Role, Path: keysMount + "/" + key.Path, Mounts: []string{p.Mount}})
		}
	}
	byFingerprint := make(map[string]bundle.PublishedKey)
	for _, key := range all {
		if known, ok := byFingerprint[key.Fingerprint]; ok {
			key.Mounts = append(key.Mounts, known.Mounts...)
		}
		byFingerprint[key.Fingerprint] = key
	}
	var out []bundle.PublishedKey
	for _, f := range slices.Sorted(maps.Keys(byFingerprint)) {
		key := byFingerprint[f]
		slices.Sort(key.Mounts)
		key.Mounts = slices.Compact(key.Mounts)
		out = append(out, key)
	}
	return out
}

// stay reports whether every key that the base declares is declared again: then
// every file of its keys may stay.
func (k publishing) stay() bool {
	declared := make(map[string]bool)
	for _, key := range k.keys() {
		declared[key.Fingerprint] = true
	}
	for _, key := range k.base.manifest.Keys {
		if !declared[key.Fingerprint] {
			return false
		}
	}
	return true
}

// ofHeld returns the keys that the base publishes for repositories held back.
func (k publishing) ofHeld() []bundle.PublishedKey {
	var out []bundle.PublishedKey
	for _, r := range k.held {
		for _, key := range k.base.manifest.Keys {
			if slices.Contains(key.Mounts, r.Mount) {
				key.Mounts = []string{r.Mount}
				out = append(out, key)
			}
		}
	}
	return out
}

// files returns the files of all published keys: those of planned repositories from the plan,
// those of held ones from the base. The root names one file for each key, whichever
// repositories have it, so the file named for a held repository's key may be another
// repository's. Therefore all files of the base stay if all its keys do; otherwise those stay
// whose bytes are those of a file with a held repository's key.
func (k publishing) files() ([]sources.Artifact, error) {
	var out []sources.Artifact
	known := make(map[string]bool)
	entries := k.entries()
	add := func(path string, content []byte) error {
		if known[path] {
			return nil
		}
		known[path] = true
		a, err := entries.file(path, content)
		out = append(out, a)
		return err
	}
	for _, p := range k.planned {
		for _, key := range p.Keys {
			if err := add(key.Path, key.Armored); err != nil {
				return nil, err
			}
			if key.Dearmored == nil {
				continue
			}
			if err := add(sources.DearmoredPath(key.Path), key.Dearmored); err != nil {
				return nil, err
			}
		}
	}
	if len(k.held) == 0 {
		return out, nil
	}
	held := make(map[string]bool)
	for _, key := range k.ofHeld() {
		name := strings.TrimPrefix(key.Path, keysMount+"/")
		held[name], held[sources.DearmoredPath(name)] = true, true
	}
	var files []bundle.File
	stay := make(map[bundle.Digest]bool)
	for _, r := range k.base.manifest.Repositories {
		if r.Name != keysName {
			continue
		}
		if err := k.base.files(r, func(f bundle.File) {
			files = append(files, f)
			stay[f.Digest] = stay[f.Digest] || held[f.Path]
		}); err != nil {
			return nil, err
		}
	}
	all := k.stay()
	for _, f := range files {
		if !known[f.Path] && (all || stay[f.Digest]) {
			out = append(out, sources.Artifact{File: f, Evidence: bundle.Evidence{Path: f.Path, Vouched: bundle.VouchedMade}})
		}
	}
	return out, nil
}

// keyEntries are the fingerprints that the root names, by the path of the file.
type keyEntries map[string][]string

func (k publishing) entries() keyEntries {
	all := keyEntries{}
	for _, key := range k.keys() {
		all[key.Path] = append(all[key.Path], key.Fingerprint)
	}
	return all
}

// file returns a key file with its entry. The root names one file for each key, so that a
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
