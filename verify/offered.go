package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/certs"
)

// OfferedKey is an OpenPGP key that a bundle publishes and the policy does not hold, with
// what people need to decide about it.
type OfferedKey struct {
	bundle.PublishedKey
	// Sources are the repositories that want it, by name.
	Sources []string
	// Certificate is what the key says of itself; nil: its file is not at hand.
	Certificate *certs.Certificate
	// Text is all of it in one line.
	Text string
}

// maxOffered bounds how much of key files is read to describe keys.
const maxOffered = 64 << 20 // bytes

// offered describes keys: from their files in the volumes at hand, if tables say where.
// What cannot be read is left out; the import reads every key file again and judges it.
func (c *opening) offered(keys []bundle.PublishedKey, tables bool) []OfferedKey {
	var files map[string][]byte
	if tables {
		files = c.keyFiles(keys)
	}
	all := make([]OfferedKey, len(keys))
	for i, k := range keys {
		all[i] = OfferedKey{PublishedKey: k, Sources: c.sourcesOf(k)}
		if found, err := certs.Describe(files[k.Path]); err == nil {
			if at := slices.IndexFunc(found, func(f certs.Certificate) bool { return f.Fingerprint == k.Fingerprint }); at >= 0 {
				all[i].Certificate = &found[at]
			}
		}
		all[i].Text = fmt.Sprintf("%s (%s, for %s)", k.Fingerprint, k.Role, strings.Join(all[i].Sources, ", "))
		if described := all[i].Certificate; described != nil {
			all[i].Text += ": " + bundle.PlainText(described.Text(c.o.Now))
		}
	}
	return all
}

// sourcesOf are the names of the repositories that a key vouches for.
func (c *opening) sourcesOf(k bundle.PublishedKey) (names []string) {
	for _, mount := range k.Mounts {
		name := mount
		for i := range c.b.manifest.Repositories {
			if r := &c.b.manifest.Repositories[i]; r.Mount == mount {
				name = r.Name
			}
		}
		names = append(names, name)
	}
	return names
}

// keyFiles reads the files of keys, by their paths. A file that is not whole in the volumes
// at hand is left out.
func (c *opening) keyFiles(keys []bundle.PublishedKey) map[string][]byte {
	wanted, paths, left := map[bundle.Digest]int64{}, map[string]bundle.Digest{}, int64(maxOffered)
	for i := range c.b.manifest.Repositories {
		mount := c.b.manifest.Repositories[i].Mount + "/"
		if !slices.ContainsFunc(keys, func(k bundle.PublishedKey) bool { return strings.HasPrefix(k.Path, mount) }) {
			continue
		}
		for f, err := range c.b.Files(i) {
			if err != nil {
				return nil // checkLists reports it
			}
			p := mount + f.Path
			if f.Size <= certs.MaxFile && left >= f.Size && slices.ContainsFunc(keys, func(k bundle.PublishedKey) bool { return k.Path == p }) {
				wanted[f.Digest], paths[p], left = f.Size, f.Digest, left-f.Size
			}
		}
	}
	parts := map[bundle.Digest][]byte{}
	for _, v := range c.b.volumes {
		if v.Present {
			_ = c.b.catalog.ReadSmall(c.b.reader, v.Volume, wanted, parts) // Stream reports it
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
