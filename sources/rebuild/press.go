package rebuild

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/stock"
)

// Press puts files that are made here into scratch, each content once, whatever names
// it has. It is for one goroutine.
type Press struct {
	// Reason is why they are in the mirror, Vouched how they are vouched for: see Vouched.
	Reason, Vouched string
	// Bytes is how much of scratch they take, for sources.Plan.Scratch.
	Bytes int64

	env    *sources.Env
	prefix string
	n      int
	known  map[bundle.Digest]string // names in scratch
}

// NewPress makes files of one repository.
func NewPress(env *sources.Env, kind, repo, reason string, inputs ...string) *Press {
	return &Press{
		Reason: reason, Vouched: Vouched(inputs...),
		env: env, prefix: sources.ScratchName(kind, repo) + "-made", known: map[bundle.Digest]string{},
	}
}

// Put returns a file that write writes, after read has read it back. Nothing is held in
// memory.
func (p *Press) Put(path string, write func(io.Writer) error, read Read) (f stock.File, err error) {
	name := p.next()
	out, err := p.env.Scratch.Create(name)
	if err != nil {
		return f, err
	}
	m := NewMeter(out)
	if err := errors.Join(write(m), out.Close()); err != nil {
		return f, err
	}
	digest := m.Digest()
	known, ok := p.known[digest]
	if ok {
		return p.file(path, digest, m.N, known), p.env.Scratch.Remove(name)
	}
	if err := readBack(path, func() (io.ReadCloser, error) { return p.env.Scratch.Open(name) }, read); err != nil {
		return f, err
	}
	p.known[digest] = name
	p.Bytes += m.N
	return p.file(path, digest, m.N, name), nil
}

// PutBytes works like Put, for content that is in memory.
func (p *Press) PutBytes(path string, content []byte, read Read) (stock.File, error) {
	digest := bundle.DigestOf(content)
	if name, ok := p.known[digest]; ok {
		return p.file(path, digest, int64(len(content)), name), nil
	}
	return p.Put(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}, read)
}

// Closed returns the file of a signature that only an export makes: a plan does not
// open the site's key. Its size and digest are not known.
func (p *Press) Closed(path string) stock.File {
	return stock.File{Path: path, Size: -1, Reason: p.Reason, More: &stock.More{Vouched: p.Vouched, Open: closedKey}}
}

func closedKey(context.Context, int64, string) (*bundle.Content, error) {
	return nil, fmt.Errorf("site key: not open: %w", bundle.ErrUsage)
}

func (p *Press) next() string {
	p.n++
	return fmt.Sprintf("%s-%d", p.prefix, p.n)
}

func (p *Press) file(path string, digest bundle.Digest, size int64, local string) stock.File {
	return stock.File{Path: path, Size: size, Digest: digest, Reason: p.Reason, More: &stock.More{Vouched: p.Vouched, Local: local}}
}

// Meter counts and hashes what is written through it.
type Meter struct {
	N    int64 // bytes
	w    io.Writer
	hash hash.Hash
}

// NewMeter writes to w.
func NewMeter(w io.Writer) *Meter { return &Meter{w: w, hash: bundle.NewHash()} }

func (m *Meter) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	m.N += int64(n)
	_, _ = m.hash.Write(b[:n]) // never fails
	return n, err
}

// Digest returns the digest of what was written.
func (m *Meter) Digest() bundle.Digest { return bundle.SumOf(m.hash) }
