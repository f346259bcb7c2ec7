package verify

import (
	"context"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxDamagePaths is how many files a DamageError names; the rest is counted.
const maxDamagePaths = 8

// damages adds to d which blob is hit first, and which files need one of them.
// It is for an error's text: where the lists cannot be read it stays short.
func (b *Bundle) damages(ctx context.Context, d *DamageError, hit []bundle.Blob) {
	if len(hit) == 0 {
		return
	}
	d.Blob = hit[0].Digest
	set := bundle.NewDigestSet(int64(len(hit)))
	for _, blob := range hit {
		set.Add(blob.Digest, blob.Size)
	}
	for i, r := range b.manifest.Repositories {
		for f, err := range b.Files(i) {
			if err != nil || ctx.Err() != nil {
				break
			}
			if _, ok := set.Size(f.Digest); !ok {
				continue
			}
			if len(d.Paths) == maxDamagePaths {
				d.More++
				continue
			}
			d.Paths = append(d.Paths, "/"+r.Mount+"/"+f.Path)
		}
	}
}
