package helm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/helm/pack"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/replay"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// gathered is what is known of a chart besides what its upstream's index states.
type gathered struct {
	artifact  *artifact // in a registry
	digest    bundle.Digest
	size      int64 // -1: not known
	vouched   string
	validator string // identifies the entry of the index
	scratch   string // its package, if it was fetched
	info      *pack.Chart
	told      bundle.Digest // what an index states that is wrong
	excused   bool          // the spec states that the index is wrong, and it is right
	prov      *provenance   // nil: there is none
	base      *base
	renders   []*rendering // one for each request
}

// provenance is a provenance file.
type provenance struct {
	content []byte // nil: the base has it
	file    bundle.File
	vouched string
	by      keyring.Keys
	place   *upstream.Place
}

// maxValues bounds a value file.
const maxValues = 5 << 20 // bytes

// gather learns the digest of every package, reads the provenance files, and renders
// the charts whose images are wanted.
func gather(ctx context.Context, env *sources.Env, all []*selection) error {
	var todo []*rendering
	for _, s := range all {
		base, err := recall(env, s.entry.spec.Name)
		if err != nil {
			return err
		}
		for _, c := range s.charts {
			for _, r := range c.requests {
				if s.entry.options.Images.Mode != modeNone {
					c.renders = append(c.renders, &rendering{chart: c, request: r, base: base})
				}
			}
		}
		if err := s.learn(ctx, env, base); err != nil {
			return err
		}
		for _, c := range s.charts {
			todo = append(todo, c.renders...)
		}
	}
	return sources.EachOf(ctx, runtime.NumCPU(), len(todo), func(ctx context.Context, i int) error { return todo[i].render(ctx, env) })
}

// learn finds out what there is to know of the charts of a source, and leaves out those that
// helm cannot use if the spec wants that.
func (s *selection) learn(ctx context.Context, env *sources.Env, base *base) error {
	unusable := make([]error, len(s.charts))
	err := sources.Each(ctx, len(s.charts), func(ctx context.Context, i int) error {
		c := s.charts[i]
		err := c.learn(ctx, env, base)
		if err != nil {
			err = c.requests[0].Pos.Wrap(fmt.Errorf("chart %s: %w", c.name(), err))
		}
		switch unfit := errors.As(err, new(*unusableError)); {
		case unfit && s.entry.options.Absent.Skips():
			unusable[i], err = err, nil
		case unfit:
			err = fmt.Errorf("%w; %s", err, rebuild.SkipHint)
		}
		return err
	})
	if err != nil {
		return err
	}
	var kept []*chart
	for i, c := range s.charts {
		if unusable[i] == nil {
			kept = append(kept, c)
		} else {
			_ = s.leave(unusable[i]) // the spec wants it
		}
	}
	if s.charts = kept; len(kept) == 0 {
		return s.entry.options.Pos.Wrap(fmt.Errorf("source %s: helm can use none of its charts: %s: %w", s.entry.spec.Name, strings.Join(s.left, "; "), fetch.ErrUpstream))
	}
	return nil
}

// unusableError is that of a package that helm cannot use, or that is another chart than its
// index states.
type unusableError struct{ error }

func (e *unusableError) Unwrap() error { return e.error }

// base is what the last export recorded of a source.
type base struct {
	files map[string]sources.Recorded
	found map[string]record // images by mark

	entries sync.Once
	byPath  map[string]sources.EntryList
}

// checked reports whether the base has this very line, so that the content was looked at
// when that was made.
func (b *base) checked(f bundle.File) bool {
	r, ok := b.files[f.Path]
	return ok && r.File.Digest == f.Digest && r.File.Size == f.Size && maps.Equal(r.File.Annotations, f.Annotations)
}

// learn finds out digest, evidence and provenance of a chart, and fetches the package
// where it has to be read.
func (c *chart) learn(ctx context.Context, env *sources.Env, base *base) error {
	if err := c.locate(ctx, env); err != nil {
		return err
	}
	c.base = base
	recorded, known := base.files[c.file()]
	known = known && c.where() == recorded.Origin && (recorded.Validator == c.validator || !c.digest.IsZero() && recorded.File.Digest == c.digest)
	if known && (c.digest.IsZero() || recorded.File.Digest == c.digest) {
		c.digest, c.size = recorded.File.Digest, recorded.File.Size
	}
	needed := !c.told.IsZero() && c.digest.IsZero() // is the digest of the index wrong still?
	needed = needed || c.of.entry.options.Absent.Skips() && c.local == "" && !known
	for _, r := range c.renders {
		done, err := r.remembered(env)
		if err != nil {
			return err
		}
		needed = needed || !done && c.info == nil
	}
	if needed {
		if err := c.fetch(ctx, env); err != nil {
			return err
		}
	}
	if c.told == c.digest && !c.told.IsZero() {
		c.excused, c.told, c.vouched = true, bundle.Digest{}, c.byIndex()
	}
	return c.prove(ctx, env)
}

// locate resolves the addresses of the package, and reads what the index states about it.
func (c *chart) locate(ctx context.Context, env *sources.Env) (err error) {
	if c.local != "" {
		return nil
	}
	c.size = -1
	if c.repo != nil {
		if c.urls, c.oci, err = c.repo.resolved(env, c.URLs); err != nil {
			return err
		}
	}
	if len(c.urls) == 0 {
		name, tag, ok := cutTag(c.oci)
		if !ok {
			tag = strings.ReplaceAll(c.Version, "+", "_")
		}
		if c.artifact, err = resolve(ctx, env, c.of.client, name, tag); err != nil {
			return err
		}
		c.size = c.artifact.chart.Size
		if c.repo == nil {
			if c.Entry, err = c.artifact.entry(c.Entry); err != nil {
				return upstream.Blame(c.where(), err)
			}
		}
		if c.digest, err = bundle.ParseHex(c.artifact.chart.Digest.Encoded()); err != nil {
			return upstream.Blame(c.where(), err)
		}
		c.vouched = c.connection()
	}
	c.validator = replay.Configuration([]string{c.from, c.Version, c.Created.String(), c.Digest, strings.Join(c.urls, " "), c.digest.Hex()})
	if c.repo == nil || c.Digest == "" {
		c.vouched = c.connection()
		return nil
	}
	told, err := pack.ParseSum(c.Digest)
	if err != nil {
		return upstream.Blame(c.repo.page.URL, err)
	}
	switch {
	case slices.Contains(c.of.entry.options.WrongDigests, c.name()):
		c.told, c.vouched = told, c.connection()
	case !c.digest.IsZero() && c.digest != told:
		return c.mismatch(c.digest, told)
	default:
		c.digest, c.vouched = told, c.byIndex()
	}
	return nil
}

// byIndex returns how a package is vouched for that has the digest of its index.
func (c *chart) byIndex() string {
	if c.repo.page.Secure {
		return bundle.VouchedIndex
	}
	return bundle.VouchedNone
}

// cutTag takes the tag off a reference.
func cutTag(reference string) (name, tag string, ok bool) {
	i := strings.LastIndexByte(reference, ':')
	if i < 0 || i < strings.LastIndexByte(reference, '/') {
		return reference, "", false
	}
	return reference[:i], reference[i+1:], true
}

// connection returns how a package is vouched for that only the connection protects.
func (c *chart) connection() string {
	plain := func(u string) bool { return strings.HasPrefix(u, "http://") }
	host, _, _ := strings.Cut(c.oci, "/")
	if slices.ContainsFunc(c.urls, plain) || len(c.urls) == 0 && slices.Contains(c.of.entry.options.Images.PlainHTTP, host) {
		return bundle.VouchedNone
	}
	return bundle.VouchedTLS
}

func (c *chart) mismatch(have, want bundle.Digest) error {
	return &upstream.MovedError{File: c.where(), Index: c.repo.page.URL, Want: want.String(), Have: have.String() + " (wrong-digests: [" + c.name() + "] takes it as it is)"}
}

// fetched is a package in scratch.
type fetched struct {
	Digest string
	Size   int64
}

// fetch puts the package into scratch and reads it.
func (c *chart) fetch(ctx context.Context, env *sources.Env) error {
	c.scratch = sources.ScratchName(Name, "package-"+bundle.DigestOf([]byte(c.where()+" "+c.digest.Hex())).Hex())
	got, err := c.download(ctx, env)
	if err != nil {
		return err
	}
	have, err := bundle.ParseHex(got.Digest)
	if err != nil {
		return err
	}
	if !c.digest.IsZero() && have != c.digest {
		if c.repo == nil {
			return fmt.Errorf("%s: want %s, got %s: %w", c.where(), c.digest, have, fetch.ErrUpstream)
		}
		return c.mismatch(have, c.digest)
	}
	c.digest, c.size = have, got.Size
	f, err := env.Scratch.Open(c.scratch)
	if err != nil {
		return err
	}
	defer f.Close()
	if c.info, err = pack.Read(f); err == nil {
		err = c.info.Is(c.Name, c.Version)
	}
	if err = upstream.Blame(c.where(), err); err != nil && !upstream.IsLocal(err) {
		return &unusableError{err}
	}
	return err
}

// written returns a function that writes content.
func written(content []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}
}

// download fetches the package once in an export.
func (c *chart) download(ctx context.Context, env *sources.Env) (got fetched, err error) {
	about, err := env.Scratch.ReadFile(c.scratch + ".json")
	if err == nil {
		return got, json.Unmarshal(about, &got)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return got, err
	}
	content, err := c.open(env)(ctx, 0, "")
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, content.Body.Close()) }()
	hash := bundle.NewHash()
	err = env.KeepScratch(c.scratch, func(out io.Writer) (err error) {
		got.Size, err = io.Copy(io.MultiWriter(out, hash), io.LimitReader(content.Body, pack.MaxPackage+1))
		return err
	})
	if err != nil {
		return got, err
	}
	if got.Size > pack.MaxPackage {
		return got, fmt.Errorf("%s: more than %d bytes: %w", c.where(), pack.MaxPackage, fetch.ErrUpstream)
	}
	got.Digest = bundle.SumOf(hash).Hex()
	if about, err = json.Marshal(got); err != nil {
		return got, err
	}
	return got, env.KeepScratch(c.scratch+".json", written(about))
}

// prove reads the provenance file, verifies it if there is a keyring, and compares the
// sum in it.
func (c *chart) prove(ctx context.Context, env *sources.Env) error {
	place := upstream.At(suffixed(c.urls)...)
	if c.reuse(env, place) {
		return nil
	}
	what, p, err := c.readProvenance(ctx, env, place)
	if err != nil {
		return err
	}
	if p == nil || p.Absent {
		if c.of.entry.keys != nil {
			return c.of.keys.Unsigned(c.file(), what)
		}
		return nil
	}
	c.prov = &provenance{content: p.Content, place: place, vouched: c.connection(), file: bundle.File{Size: int64(len(p.Content)), Digest: bundle.DigestOf(p.Content)}}
	text := keyring.Plain(p.Content)
	if c.of.entry.keys != nil {
		if text, c.prov.by, err = c.of.keys.ClearSigned(what, p.Content, env.Now); err != nil {
			return err
		}
		c.prov.vouched, c.vouched = c.prov.by.Vouched(), c.prov.by.Vouched()
	} else if c.local != "" {
		c.prov.vouched = bundle.VouchedLocal
	}
	sum, err := pack.Sum(text, c.file())
	switch {
	case err != nil:
		return upstream.Blame(what, err)
	case !c.digest.IsZero() && sum != c.digest:
		return fmt.Errorf("%s: says that %s is %s, and it is %s: %w", what, c.file(), sum, c.digest, fetch.ErrRefused)
	case c.of.entry.keys != nil:
		c.digest = sum
	}
	return nil
}

func suffixed(urls []string) []string {
	all := make([]string, len(urls))
	for i, u := range urls {
		all[i] = u + ".prov"
	}
	return all
}

// readProvenance reads the provenance file from next to the package; nil: there is none.
func (c *chart) readProvenance(ctx context.Context, env *sources.Env, place *upstream.Place) (what string, p *page, err error) {
	switch {
	case c.local != "":
		what = filepath.Base(c.local) + ".prov"
		content, err := bundle.ReadNamed(c.local+".prov", pack.MaxProvenance)
		if errors.Is(err, fs.ErrNotExist) {
			return what, nil, nil
		}
		return what, &page{Content: content}, err
	case c.artifact != nil:
		d := c.artifact.provenance
		what = "provenance of " + c.where()
		if d.Digest == "" {
			return what, nil, nil
		}
		p, err = once(env, "prov", c.where()+d.Digest.String(), func() (*page, error) {
			content, err := readBlob(ctx, c.artifact.repo, d, pack.MaxProvenance)
			return &page{Content: content}, err
		})
		return what, p, err
	}
	p, err = once(env, "prov", place.URL(""), func() (*page, error) { return pageOf(place.Optional(ctx, env, "", pack.MaxProvenance)) })
	return place.Where(""), p, err
}

// reuse takes the provenance file of the base, if it is of this very package and, with
// a keyring, signed by a key that still counts.
func (c *chart) reuse(env *sources.Env, place *upstream.Place) bool {
	r, ok := c.base.files[c.file()+".prov"]
	if !ok || c.digest.IsZero() || r.Validator != c.digest.Hex() || len(c.urls) == 0 || r.Origin != place.Where("") {
		return false
	}
	p := &provenance{file: bundle.File{Size: r.File.Size, Digest: r.File.Digest}, vouched: r.Vouched, place: place}
	fingerprint, signed := strings.CutPrefix(r.Vouched, bundle.VouchedOpenPGP)
	if c.of.entry.keys != nil {
		i := slices.IndexFunc(c.of.keys, func(k *openpgp.Entity) bool { return pgpkeys.Fingerprint(k) == fingerprint })
		if !signed || i < 0 {
			return false
		}
		if _, valid := c.of.keys[i].SigningKey(env.Now); !valid {
			return false
		}
		p.by, c.vouched = keyring.Keys{c.of.keys[i]}, r.Vouched
	} else if signed {
		return false
	}
	c.prov = p
	return true
}
