package rpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"encoding/hex"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// maxIndex bounds a metadata file, packed or not: Fedora's filelists unpack to
// 800 MB, and a bomb would fill scratch or never end.
const maxIndex = 4 << 30 // bytes

// Types of metadata files.
const (
	typePrimary    = "primary"
	typePrimaryZck = "primary_zck"
	typeFilelists  = "filelists"
	typeOther      = "other"
	typeUpdates    = "updateinfo"
	typeGroup      = "group"
	typeGroupGz    = "group_gz"
	typeModules    = "modules"
	typeDeltas     = "prestodelta"
	typeDeltasOld  = "deltainfo"
)

// isNeeded: dnf refuses a repository that lists one of these and lacks it
// (TestDNFDoesWithout asks it); others it does without. Groups it takes packed,
// where they are.
func isNeeded(kind string, index *rpmmd.Repomd) bool {
	if kind == typeGroup {
		return index.Find(typeGroupGz) == nil
	}
	return slices.Contains([]string{typePrimary, typeFilelists, typeUpdates, typeGroupGz, typeModules, typeDeltas, typeDeltasOld}, kind)
}

// isRead: what is read while a source is planned.
func isRead(kind string, rebuilt bool) bool {
	switch kind {
	case typePrimary:
		return true
	case typeDeltas, typeDeltasOld:
		return !rebuilt
	case typeFilelists, typeOther, typeUpdates, typeGroup, typeGroupGz, typeModules:
		return rebuilt
	}
	return false
}

// metadata is a file that repomd.xml lists and upstream has.
type metadata struct {
	*rpmmd.Data
	path  string // below the repository
	local string // name in scratch, if it was read
	// digest is that of the file in scratch.
	digest bundle.Digest
}

// mismatchError: a file is not what repomd.xml says. Upstream may have changed
// between the two, so they are read once more, from the top.
type mismatchError struct {
	repomd, file string // URLs
	want, have   string
}

func (e *mismatchError) Error() string {
	return fmt.Sprintf("%s: want %s, as %s says, got %s", fetch.Redact(e.file), e.want, fetch.Redact(e.repomd), e.have)
}

// Unwrap is fetch.ErrUpstream.
func (e *mismatchError) Unwrap() error { return fetch.ErrUpstream }

// urls are where the repository has a file.
func (l *located) urls(from string) []string {
	if isURL(from) {
		return []string{from}
	}
	all := make([]string, len(l.bases))
	for i, base := range l.bases {
		all[i] = base + from
	}
	return all
}

// download puts a metadata file into scratch, checked by size and checksum.
func (l *located) download(ctx context.Context, client *fetch.Client, scratch *os.Root, m *metadata) (n int64, err error) {
	if newHash(m.Checksum.Type) == nil {
		return 0, fmt.Errorf("%s: checksum of type %s: not trusted: %w", l.at(m.path), m.Checksum.Type, fetch.ErrRefused)
	}
	limit := int64(maxIndex)
	if m.Size >= 0 {
		limit = m.Size
	}
	if limit > maxIndex {
		return 0, fmt.Errorf("%s: %d bytes, at most %d: %w", l.at(m.path), limit, int64(maxIndex), fetch.ErrUpstream)
	}
	err = firstOf(ctx, l.urls(escape(m.path)), func(u string) (err error) {
		n, err = l.downloadFrom(ctx, client, u, limit, scratch, m)
		return err
	})
	return n, err
}

func (l *located) downloadFrom(ctx context.Context, client *fetch.Client, url string, limit int64, scratch *os.Root, m *metadata) (n int64, err error) {
	body, err := client.Open(ctx, url, 0, "")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	out, err := scratch.Create(m.local)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum, whole := newHash(m.Checksum.Type), bundle.NewHash()
	if n, err = io.Copy(io.MultiWriter(out, sum, whole), io.LimitReader(body, limit+1)); err != nil {
		return n, err
	}
	m.digest = bundle.SumOf(whole)
	have := hex.EncodeToString(sum.Sum(nil))
	if have != m.Checksum.Hex || m.Size >= 0 && n != m.Size || n > limit {
		return n, &mismatchError{
			repomd: l.bases[0] + nameRepomd, file: body.Meta.URL,
			want: fmt.Sprintf("%s:%s (%d bytes)", m.Checksum.Type, m.Checksum.Hex, m.Size),
			have: fmt.Sprintf("%s:%s (%d bytes)", m.Checksum.Type, have, n),
		}
	}
	return n, nil
}

// open reads a metadata file in scratch, unpacked.
func (l *loaded) open(scratch *os.Root, m *metadata) (io.ReadCloser, error) {
	limit := int64(maxIndex)
	if m.OpenSize >= 0 && m.OpenSize < limit {
		limit = m.OpenSize
	}
	in, err := scratch.Open(m.local)
	if err != nil {
		return nil, err
	}
	r, err := decompress.Reader(in, m.path, l.at(m.path), limit)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return &both{Reader: r, closers: []io.Closer{r, in}}, nil
}

// both is a reader over another one, and closes all of them.
type both struct {
	io.Reader
	closers []io.Closer
}

func (b *both) Close() error {
	var errs []error
	for _, c := range b.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// upstreamError says that what upstream wrote is at fault, if it is: the local
// disk has errors of its own. No bundle is malformed, so that the class is
// upstream's alone.
func upstreamError(what string, err error) error {
	if errors.Is(err, bundle.ErrMalformed) && !errors.Is(err, fetch.ErrUpstream) {
		return fmt.Errorf("%s: %s: %w", what, err.Error(), fetch.ErrUpstream)
	}
	return err
}
