package simplestreams

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// maxFiles bounds the products files of an index; MAAS's has 3, a cloud's 40.
const maxFiles = 1000

// reading is what upstream has of a source: its index, and its products files
// in scratch.
type reading struct {
	*entry
	place *upstream.Place
	keys  keyring.Keys // that may sign
	index indexFile
	files []*productsFile
	// vouched is how that is vouched for to which the index and the files lead.
	vouched string
	by      keyring.Keys // that signed
	scratch int64
	notes   []string
}

type indexFile struct {
	*streams.Index
	path      string // below the root
	content   []byte
	validator string
	vouched   string
}

// productsFile is a products file whose signature holds.
type productsFile struct {
	*streams.File
	entry streams.Entry
	text  *os.File // what is signed
	// raw and local are its names in scratch: as upstream has it, and the text.
	raw, local string
	size       int64 // of raw
	digest     bundle.Digest
	secure     bool
	vouched    string
	by         keyring.Keys
}

// close closes the files in scratch, which are still there to be opened.
func (r *reading) close() error {
	var errs []error
	for _, f := range r.files {
		if f != nil && f.text != nil {
			errs = append(errs, f.text.Close())
		}
	}
	return errors.Join(errs...)
}

// read reads a source: once more, from the index on, if upstream changed
// meanwhile. The caller closes it.
func (e *entry) read(ctx context.Context, env *sources.Env, keys keyring.Keys) (*reading, error) {
	var r *reading
	err := upstream.Forward(ctx, env, e.name, func() int { return 1 }, func(int) (sources.Dated, error) {
		err := upstream.Steady(ctx, env, e.name, func() error {
			if r != nil {
				if err := r.close(); err != nil {
					return err
				}
			}
			r = &reading{entry: e, keys: keys, place: upstream.At(e.root)}
			if err := r.readIndex(ctx, env); err != nil {
				return err
			}
			return r.readProducts(ctx, env)
		})
		return r.dated(), err
	})
	if err != nil && r != nil {
		err = errors.Join(err, r.close())
	}
	return r, err
}

// dated returns the dates of the index and of its products files.
func (r *reading) dated() sources.Dated {
	dated := sources.Dated{}
	if r.index.Index != nil {
		dated[r.index.path] = streams.Updated(r.index.Fields)
	}
	for _, f := range r.files {
		if f != nil && f.File != nil {
			dated[f.entry.Path] = streams.Updated(f.Header)
		}
	}
	return dated
}

func (r *reading) readIndex(ctx context.Context, env *sources.Env) error {
	page, err := r.place.Read(ctx, env, r.entry.index, streams.MaxIndex)
	if err != nil {
		return err
	}
	what := r.place.Where(r.entry.index)
	text, vouched := page.Content, unvouched(page.Meta.Secure)
	if r.entry.keys != nil {
		var b bytes.Buffer
		signature, err := streams.Unsign(&b, bytes.NewReader(page.Content))
		if err != nil {
			return r.refuse(what, err)
		}
		if r.by, err = r.signers(env, what, bytes.NewReader(b.Bytes()), signature); err != nil {
			return err
		}
		text, vouched = b.Bytes(), r.by.Vouched()
	}
	index, err := streams.ReadIndex(bytes.NewReader(text))
	if err != nil {
		return upstream.Blame(what, err)
	}
	r.index = indexFile{Index: index, path: r.entry.index, content: page.Content, validator: page.Meta.Validator(), vouched: vouched}
	r.vouched = bundle.VouchedIndex
	if r.entry.keys == nil {
		r.vouched = vouched
	}
	return nil
}

// unvouched returns how content is vouched for that nobody signed.
func unvouched(secure bool) string {
	if secure {
		return bundle.VouchedTLS
	}
	return bundle.VouchedNone
}

// signers returns the keys that signed text.
func (r *reading) signers(env *sources.Env, what string, text io.ReadSeeker, signature []byte) (keyring.Keys, error) {
	by, err := pgpkeys.SignersOf(text, signature, openpgp.EntityList(r.keys), env.Now.Add(keyring.ClockSkew))
	var local *os.PathError
	if err != nil && !errors.As(err, &local) {
		err = r.refuse(what, err)
	}
	return keyring.Keys(by), err
}

func (r *reading) refuse(what string, why error) error {
	if !errors.Is(why, bundle.ErrMalformed) && errors.As(why, new(*os.PathError)) {
		return why
	}
	text := strings.TrimSuffix(why.Error(), ": "+bundle.ErrMalformed.Error())
	return fmt.Errorf("%s: %s, want a signature by %s: %w", what, text, r.keys, bundle.About(bundle.AboutSigner, fetch.ErrRefused))
}

// readProducts reads the products files of the index that are of use.
func (r *reading) readProducts(ctx context.Context, env *sources.Env) error {
	entries := r.useful()
	if len(entries) > maxFiles {
		return fmt.Errorf("%s: %s, at most %d: %w", r.place.Where(r.entry.index), bundle.Count(len(entries), "products file"), maxFiles, fetch.ErrUpstream)
	}
	r.files = make([]*productsFile, len(entries))
	err := sources.Each(ctx, len(entries), func(ctx context.Context, i int) (err error) {
		prefix := fmt.Sprintf("%s-%d", sources.ScratchName(Name, r.name), i)
		r.files[i], err = r.products(ctx, env, entries[i], prefix)
		return err
	})
	for _, f := range r.files {
		if f == nil {
			continue
		}
		r.scratch += f.size
		r.by = r.by.Union(f.by)
		if r.entry.keys == nil && f.vouched == bundle.VouchedNone {
			r.vouched = bundle.VouchedNone
		}
	}
	return err
}

// useful returns the entries whose files are read: where an index is of images, a
// rebuilt source leaves out what is not, because MAAS refuses an index with it.
func (r *reading) useful() []streams.Entry {
	isImages := func(e streams.Entry) bool {
		return e.Datatype == "" || e.Datatype == streams.DatatypeDownloads || e.Datatype == streams.DatatypeIDs
	}
	if !r.rebuilt || !slices.ContainsFunc(r.index.Entries, isImages) {
		return r.index.Entries
	}
	var useful []streams.Entry
	for _, e := range r.index.Entries {
		if isImages(e) {
			useful = append(useful, e)
		} else {
			r.note("%s: left out: its datatype is %s, and readers of images refuse an index with that", e.ID, e.Datatype)
		}
	}
	return useful
}

// maxNotes bounds the remarks on a source.
const maxNotes = 20

func (r *reading) note(format string, args ...any) {
	switch {
	case len(r.notes) < maxNotes:
		r.notes = append(r.notes, fmt.Sprintf(format, args...))
	case len(r.notes) == maxNotes:
		r.notes = append(r.notes, "there are more remarks of this kind")
	}
}

// products fetches a products file, checks its signature, and reads it.
func (r *reading) products(ctx context.Context, env *sources.Env, e streams.Entry, prefix string) (f *productsFile, err error) {
	what := r.place.Where(e.Path)
	f = &productsFile{entry: e, raw: prefix + "-raw", local: prefix + "-raw"}
	if err := r.download(ctx, env, f); err != nil {
		if upstream.IsAbsent(err) {
			return f, upstream.Gone(what, r.place.Where(r.entry.index), err)
		}
		return f, err
	}
	f.vouched = unvouched(f.secure)
	var signature []byte
	if r.entry.keys != nil {
		f.local = prefix + "-text"
		if signature, err = unsign(env, f.raw, f.local); err != nil {
			return f, r.refuse(what, err)
		}
	}
	if f.text, err = env.Scratch.Open(f.local); err != nil {
		return f, err
	}
	if r.entry.keys != nil {
		if f.by, err = r.signers(env, what, f.text, signature); err != nil {
			return f, err
		}
		f.vouched = f.by.Vouched()
	}
	info, err := f.text.Stat()
	if err != nil {
		return f, err
	}
	if f.File, err = streams.Open(f.text, info.Size()); err != nil {
		return f, upstream.Blame(what, err)
	}
	if id, ok := f.Header["content_id"].(string); ok && id != e.ID {
		return f, &upstream.MovedError{File: what, Index: r.place.Where(r.entry.index), Want: "content_id " + e.ID, Have: id}
	}
	return f, nil
}

// download puts a products file into scratch. Nothing defines what it has to be
// but its signature.
func (r *reading) download(ctx context.Context, env *sources.Env, f *productsFile) (err error) {
	body, err := env.Fetch.Open(ctx, r.place.URL(f.entry.Path), 0, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	out, err := env.Scratch.Create(f.raw)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := bundle.NewHash()
	f.size, err = io.Copy(io.MultiWriter(out, hash), io.LimitReader(body, streams.MaxProducts+1))
	if err == nil && f.size > streams.MaxProducts {
		err = fmt.Errorf("%s: more than %d bytes: %w", body.Meta.URL, streams.MaxProducts, fetch.ErrUpstream)
	}
	f.digest, f.secure = bundle.SumOf(hash), body.Meta.Secure
	return err
}

// unsign puts the signed text of a file in scratch next to it.
func unsign(env *sources.Env, raw, local string) (signature []byte, err error) {
	in, err := env.Scratch.Open(raw)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := env.Scratch.Create(local)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return streams.Unsign(out, in)
}
