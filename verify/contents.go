package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"io"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// A contents list is sorted by names and speaks of files, whose lists are sorted by
// paths. So what its entries claim of files is held as 16 bytes for each, while the
// list of files, and later that of evidence, streams by and settles the claims.

// claimKey is the beginning of the SHA-256 of a claim: nobody finds two claims with one.
type claimKey [16]byte

// claims are what the entries of one contents list claim of another list.
type claims struct {
	keys    []claimKey // sorted, each once
	settled []bool
	left    int
	// filter has a bit for each path that a claim is about, under a hash that nobody
	// can foresee: most files of a large folder are in no entry, and are passed over
	// without their SHA-256.
	filter []uint64
	seed   maphash.Seed
}

func fileClaim(e *bundle.Entry) claimKey { return keyOf(e.Path, string(e.Digest[:])) }

func evidenceClaim(e *bundle.Entry) claimKey {
	return keyOf(e.Path, e.Origin, e.Reason, e.Vouched)
}

// keyOf hashes texts; none has a NUL, but for a digest, which comes last.
func keyOf(texts ...string) (k claimKey) {
	var room [1024]byte
	all := room[:0]
	for _, text := range texts {
		all = append(append(all, text...), 0)
	}
	sum := sha256.Sum256(all)
	copy(k[:], sum[:])
	return k
}

// newClaims makes room for what n entries claim.
func newClaims(n int64) *claims {
	const bits, least = 8, 16 // bits of the filter for each entry; its least length in words
	words := least
	for int64(words)*64 < n*bits {
		words *= 2
	}
	return &claims{keys: make([]claimKey, 0, n), filter: make([]uint64, words), seed: maphash.MakeSeed()}
}

func (c *claims) bit(path string) (word *uint64, mask uint64) {
	h := maphash.String(c.seed, path)
	return &c.filter[h>>6&uint64(len(c.filter)-1)], 1 << (h & 63)
}

func (c *claims) add(path string, key claimKey) {
	word, mask := c.bit(path)
	*word |= mask
	c.keys = append(c.keys, key)
}

// ready ends adding.
func (c *claims) ready() {
	slices.SortFunc(c.keys, func(a, b claimKey) int { return bytes.Compare(a[:], b[:]) })
	c.keys = slices.Compact(c.keys)
	c.settled, c.left = make([]bool, len(c.keys)), len(c.keys)
}

func (c *claims) settleFile(f *bundle.File) {
	if c.concerns(f.Path) {
		c.settle(keyOf(f.Path, string(f.Digest[:])))
	}
}

func (c *claims) settleEvidence(e *bundle.Evidence) {
	if c.concerns(e.Path) {
		c.settle(keyOf(e.Path, e.Origin, e.Reason, e.Vouched))
	}
}

func (c *claims) concerns(path string) bool {
	if c == nil {
		return false
	}
	word, mask := c.bit(path)
	return *word&mask != 0
}

func (c *claims) settle(key claimKey) {
	i, ok := c.find(key)
	if ok && !c.settled[i] {
		c.settled[i], c.left = true, c.left-1
	}
}

func (c *claims) find(key claimKey) (int, bool) {
	return slices.BinarySearchFunc(c.keys, key, func(a, b claimKey) int { return bytes.Compare(a[:], b[:]) })
}

// claimFiles reads the contents lists of repositories, with every rule about such a list
// by itself, and returns what they claim of the file lists, by repository. The error is
// for what is not about the bundle.
func (l *lists) claimFiles(ctx context.Context, group []int) (map[int]*claims, error) {
	all := map[int]*claims{}
	for _, repo := range group {
		if l.b.manifest.Repositories[repo].Contents == nil || !l.atHand(repo, bundle.CarriedContents) {
			continue
		}
		made, err := claim(ctx, l.b, repo, fileClaim)
		if err != nil {
			if err := l.found.fault(err); err != nil {
				return nil, err
			}
			continue
		}
		all[repo], l.contents[repo] = made, true
		l.b.report.count("entries", l.b.manifest.Repositories[repo].Entries)
	}
	return all, nil
}

// claimEvidence returns what a contents list, read before, claims of the evidence list; nil:
// nothing, or the list was not read to its end.
func (l *lists) claimEvidence(ctx context.Context, repo int) (*claims, error) {
	if !l.contents[repo] {
		return nil, nil
	}
	return claim(ctx, l.b, repo, evidenceClaim)
}

func claim(ctx context.Context, b *Bundle, repo int, key func(*bundle.Entry) claimKey) (*claims, error) {
	r := &b.manifest.Repositories[repo]
	made, count := newClaims(r.Entries), int64(0)
	for e, err := range b.Contents(repo) {
		if err != nil {
			return nil, err
		}
		if count++; count > r.Entries {
			break
		}
		made.add(e.Path, key(&e))
		if count%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if count != r.Entries {
		return nil, fmt.Errorf("repository %s: contents list of %s, the root says %d: %w", r.Name, bundle.Count(count, "entry"), r.Entries, bundle.ErrMalformed)
	}
	made.ready()
	return made, nil
}

// unsettled returns an error that names an entry whose claim was not settled; nil: none is.
func (c *claims) unsettled(b *Bundle, repo int, key func(*bundle.Entry) claimKey) error {
	if c == nil || c.left == 0 {
		return nil
	}
	r := &b.manifest.Repositories[repo]
	for e, err := range b.Contents(repo) {
		if err != nil {
			return err
		}
		if i, ok := c.find(key(&e)); !ok || !c.settled[i] {
			return fmt.Errorf("repository %s: entry %.80q %.80q: path %q with %s, %s, origin %.200q, reason %.80q: %s are not as the lists of files and evidence have them: %w",
				r.Name, e.Name, e.Version, e.Path, e.Digest, e.Vouched, e.Origin, e.Reason, bundle.Count(c.left, "entry"), bundle.ErrMalformed)
		}
	}
	return io.ErrUnexpectedEOF // the list was longer before
}
