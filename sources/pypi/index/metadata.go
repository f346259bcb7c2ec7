package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/resolve"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// maxWheel bounds a file that has to be read whole in Plan.
const maxWheel = upstream.MaxIndex

// Known is the metadata of a file and what was read for it.
type Known struct {
	*simple.Metadata
	Sdist *simple.Sdist // of a source archive
	// About a wheel's METADATA: its digest and size, where scratch has it, and
	// whether it is the index's own file.
	Digest bundle.Digest
	Size   int64
	Local  string
	Origin bool
}

// Metadata reads that of a file of a project, once.
func (r *Reader) Metadata(ctx context.Context, name string, f *File) (*Known, error) {
	return r.known.Get(f, func() (*Known, error) {
		if f.Parsed.Sdist {
			return r.sdistMetadata(ctx, name, f)
		}
		content, origin, err := r.wheelMetadata(ctx, f)
		if err == nil && origin && r.LookForFiles {
			_, err = r.env.Fetch.Stat(ctx, f.URL)
			err = unusable(f, err)
		}
		if err != nil {
			return nil, err
		}
		k := &Known{Digest: bundle.DigestOf(content), Size: int64(len(content)), Origin: origin}
		if k.Metadata, err = simple.ParseMetadata(content); err != nil {
			return nil, errDiscard(name, f, err)
		}
		if err := matches(k.Metadata, name, f); err != nil {
			return nil, errDiscard(name, f, err)
		}
		k.Local, err = r.keep(bytes.NewReader(content), int64(len(content)))
		return k, err
	})
}

// matches refuses metadata of another project or version than the file's name
// states.
func matches(m *simple.Metadata, name string, f *File) error {
	if m.Name != name || m.Release.Compare(f.Parsed.Version) != 0 {
		return fmt.Errorf("its metadata is that of %s %s", m.Name, m.Release)
	}
	return nil
}

// wheelMetadata reads METADATA from the index if it offers it, otherwise from
// the end of the wheel.
func (r *Reader) wheelMetadata(ctx context.Context, f *File) (content []byte, origin bool, err error) {
	where := f.URL + pages.MetadataEnd
	if f.HasMetadata {
		content, _, err := r.env.Fetch.ReadWanted(ctx, where, simple.MaxMetadata, wanted(f.MetadataSHA256, -1))
		switch {
		case err == nil:
			if have := bundle.DigestOf(content).Hex(); f.MetadataSHA256 != "" && have != f.MetadataSHA256 {
				return nil, false, &upstream.MovedError{File: fetch.Redact(where), Index: fetch.Redact(f.Index), Want: "sha256:" + f.MetadataSHA256, Have: "sha256:" + have}
			}
			return content, true, nil
		case !upstream.IsAbsent(err):
			return nil, false, err
		}
	}
	content, err = r.fromWheel(ctx, f)
	return content, false, unusable(f, err)
}

// UnusableError is that of a file with which pip ends: its index lists it and it is not
// there, or it cannot be read. It matches fetch.ErrUpstream.
type UnusableError struct{ err error }

func (e *UnusableError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong with the file.
func (e *UnusableError) Unwrap() error { return e.err }

// unusable returns the error of reading a file, an UnusableError if the file itself is at
// fault. Another digest than that of the index is not such an error: nothing excuses it.
func unusable(f *File, err error) error {
	blamed := upstream.Blame(fetch.Redact(f.URL), err)
	if upstream.IsAbsent(err) || errors.Is(err, simple.ErrInvalid) && !upstream.IsLocal(err) {
		return &UnusableError{blamed}
	}
	return blamed
}

// errNoRange means that a server sends whole files alone.
var errNoRange = errors.New("no ranges")

func (r *Reader) fromWheel(ctx context.Context, f *File) ([]byte, error) {
	meta, err := r.env.Fetch.Stat(ctx, f.URL)
	if err != nil {
		return nil, err
	}
	if validator := meta.Validator(); meta.Size >= 0 && validator != "" && f.SHA256 != "" {
		tail, err := simple.NewTail(meta.Size, func(at int64) (io.ReadCloser, error) {
			body, err := r.env.Fetch.Open(ctx, f.URL, at, validator)
			if err == nil && body.At != at {
				err = errors.Join(errNoRange, body.Close())
			}
			return body, err
		})
		if err == nil {
			var content []byte
			if content, err = simple.WheelMetadata(tail, meta.Size); err == nil {
				if f.Size < 0 {
					f.Size = meta.Size
				}
				return content, nil
			}
		}
		if !errors.Is(err, errNoRange) {
			return nil, err
		}
	}
	if err := r.Download(ctx, f); err != nil {
		return nil, err
	}
	in, err := r.env.Scratch.Open(f.Local)
	if err != nil {
		return nil, err
	}
	content, err := simple.WheelMetadata(in, f.Size)
	return content, errors.Join(err, in.Close())
}

// wanted returns what an index states of a file; without a digest, which decides what the content of
// an answer with a content coding is, nothing.
func wanted(digest string, size int64) *fetch.Wanted {
	d, err := bundle.ParseHex(digest)
	if err != nil {
		return nil
	}
	return fetch.SHA256(d[:], size)
}

// Download puts all of a file into scratch, checked by its digest, which it
// gets where the index names none.
func (r *Reader) Download(ctx context.Context, f *File) error {
	body, err := r.env.Fetch.OpenWanted(ctx, f.URL, nil, 0, "", wanted(f.SHA256, f.Size))
	if err != nil {
		return err
	}
	hash := bundle.NewHash()
	limit := int64(maxWheel)
	if f.Size >= 0 {
		limit = f.Size
	}
	local, n, err := r.store(io.TeeReader(io.LimitReader(body, limit+1), hash))
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	digest := bundle.SumOf(hash).Hex()
	if f.SHA256 == "" && f.Size < 0 && n <= limit {
		f.SHA256 = digest
	}
	if f.SHA256 == "" {
		f.SHA256 = digest
	}
	if digest != f.SHA256 || n > limit {
		return &upstream.MovedError{
			File: fetch.Redact(f.URL), Index: fetch.Redact(f.Index),
			Want: fmt.Sprintf("sha256:%s (%s)", f.SHA256, bundle.Count(f.Size, "byte")), Have: fmt.Sprintf("sha256:%s (%s)", digest, bundle.Count(n, "byte")),
		}
	}
	f.Local, f.Size = local, n
	return nil
}

// keep writes what is held into scratch.
func (r *Reader) keep(in io.Reader, size int64) (string, error) {
	local, n, err := r.store(in)
	if err == nil && n != size {
		err = io.ErrShortWrite
	}
	return local, err
}

// store writes a file into scratch under a name of its own.
func (r *Reader) store(in io.Reader) (local string, n int64, err error) {
	r.mu.Lock()
	r.local++
	local = fmt.Sprintf("%s-%d", r.scratchName, r.local)
	r.mu.Unlock()
	out, err := r.env.Scratch.Create(local)
	if err != nil {
		return "", 0, err
	}
	n, err = io.Copy(out, in)
	r.mu.Lock()
	r.scratch += n
	r.mu.Unlock()
	return local, n, errors.Join(err, out.Close())
}

// sdistMetadata reads PKG-INFO and the requirements of the build.
func (r *Reader) sdistMetadata(ctx context.Context, name string, f *File) (*Known, error) {
	if f.Local == "" {
		if err := r.Download(ctx, f); err != nil {
			return nil, unusable(f, err)
		}
	}
	in, err := r.env.Scratch.Open(f.Local)
	if err != nil {
		return nil, err
	}
	s, err := simple.ReadSdist(f.Name, in, f.Size)
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, unusable(f, err)
	}
	k := &Known{Sdist: s, Metadata: &simple.Metadata{}}
	if m, err := simple.ParseMetadata(s.PKGInfo); err == nil && matches(m, name, f) == nil {
		k.Metadata = m
	}
	return k, nil
}

// verifier compares METADATA of a wheel that is being read with what was
// published of it. It holds the end of the wheel.
type verifier struct {
	where string
	want  bundle.Digest
	again func(at int64) (io.ReadCloser, error)
	size  int64
	end   []byte
}

// held is how much of a wheel's end is held while it is read.
const held = 256 << 10 // bytes

func (v *verifier) Write(p []byte) (int, error) {
	v.size += int64(len(p))
	v.end = append(v.end, p[max(0, len(p)-held):]...)
	if len(v.end) > 2*held {
		v.end = append(v.end[:0], v.end[len(v.end)-held:]...)
	}
	return len(p), nil
}

func (v *verifier) Verdict() error {
	from := v.size - int64(len(v.end))
	tail, err := simple.NewTail(v.size, func(at int64) (io.ReadCloser, error) {
		if at >= from {
			return io.NopCloser(bytes.NewReader(v.end[at-from:])), nil
		}
		return v.again(at)
	})
	if err != nil {
		return err
	}
	content, err := simple.WheelMetadata(tail, v.size)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", v.where, err, fetch.ErrUpstream)
	}
	if have := bundle.DigestOf(content); have != v.want {
		return fmt.Errorf("%s: METADATA %s, and the index says %s: %w", v.where, have, v.want, fetch.ErrUpstream)
	}
	return nil
}

func (v *verifier) Close() {}

// Verify makes the verifier of a wheel, whose METADATA has to be want.
func (r *Reader) Verify(ctx context.Context, f *File, want bundle.Digest) func(where string) upstream.Verifier {
	return func(where string) upstream.Verifier {
		return &verifier{where: where, want: want, again: func(at int64) (io.ReadCloser, error) {
			body, err := r.env.Fetch.OpenWanted(ctx, f.URL, nil, 0, "", wanted(f.SHA256, f.Size))
			if err != nil {
				return nil, err
			}
			_, err = io.CopyN(io.Discard, body, at)
			return body, err
		}}
	}
}

// errDiscard returns the error for metadata that clients pass over.
func errDiscard(name string, f *File, err error) error {
	return errors.Join(fmt.Errorf("%s: skipped: %w", f.Name, err), &discarded{name})
}

// discarded makes an error match resolve.ErrDiscard without a word of its own.
type discarded struct{ name string }

func (d *discarded) Error() string { return "clients pass over this file of " + d.name }

// Unwrap makes it match.
func (d *discarded) Unwrap() error { return resolve.ErrDiscard }
