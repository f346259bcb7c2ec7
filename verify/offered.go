package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// OfferedKey is an OpenPGP key that a bundle publishes and the policy does not hold, with
// what people need to decide about it.
type OfferedKey struct {
	bundle.PublishedKey
	// Sources are the repositories that want it, by name.
	Sources []string
	// About is what the key states about itself, by Options.Describe; empty: not known.
	About string
	// Text is all of it in one line.
	Text string
}

// Bounds of what is read to describe keys.
const (
	maxOffered    = 64 << 20 // bytes of all files
	maxOfferedOne = 16 << 20 // bytes of one
)

// describeKeys describes keys: from their files in the volumes at hand, if tables state where.
// A file that cannot be read is left out; the import reads every key file again and judges it.
func describeKeys(b *Bundle, keys []bundle.PublishedKey, o Options, tables bool) []OfferedKey {
	var files map[string][]byte
	if tables && o.Describe != nil {
		files = keyFiles(b, keys)
	}
	all := make([]OfferedKey, len(keys))
	for i, k := range keys {
		all[i] = OfferedKey{PublishedKey: k, Sources: sourcesOf(b, k)}
		all[i].Text = fmt.Sprintf("%s (%s, for %s)", k.Fingerprint, k.Role, strings.Join(all[i].Sources, ", "))
		if file, ok := files[k.Path]; ok {
			all[i].About = bundle.PlainText(o.Describe(file, k.Fingerprint, o.Now))
		}
		if all[i].About != "" {
			all[i].Text += ": " + all[i].About
		}
	}
	return all
}

// sourcesOf returns the names of the repositories that a key vouches for.
func sourcesOf(b *Bundle, k bundle.PublishedKey) (names []string) {
	for _, mount := range k.Mounts {
		name := mount
		for i := range b.manifest.Repositories {
			if r := &b.manifest.Repositories[i]; r.Mount == mount {
				name = r.Name
			}
		}
		names = append(names, name)
	}
	return names
}

// keyFiles reads the files of keys, by their paths. A file that is not whole in the volumes
// at hand is left out.
func keyFiles(b *Bundle, keys []bundle.PublishedKey) map[string][]byte {
	wanted, paths, left := map[bundle.Digest]int64{}, map[string]bundle.Digest{}, int64(maxOffered)
	for i := range b.manifest.Repositories {
		mount := b.manifest.Repositories[i].Mount + "/"
		if !slices.ContainsFunc(keys, func(k bundle.PublishedKey) bool { return strings.HasPrefix(k.Path, mount) }) {
			continue
		}
		for f, err := range b.Files(i) {
			if err != nil {
				return nil // checkLists reports it
			}
			p := mount + f.Path
			if f.Size <= maxOfferedOne && left >= f.Size && slices.ContainsFunc(keys, func(k bundle.PublishedKey) bool { return k.Path == p }) {
				wanted[f.Digest], paths[p], left = f.Size, f.Digest, left-f.Size
			}
		}
	}
	parts := map[bundle.Digest][]byte{}
	for _, v := range b.volumes {
		if v.Present {
			_ = b.catalog.ReadSmall(b.reader, v.Volume, wanted, parts) // Stream reports it
		}
	}
	files := map[string][]byte{}
	for p, d := range paths {
		if bundle.DigestOf(parts[d]) == d {
			files[p] = parts[d]
		}
	}
	return files
}
