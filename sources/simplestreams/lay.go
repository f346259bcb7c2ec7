package simplestreams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/replay"
	"github.com/gapbundle/gapbundle/sources/simplestreams/readers"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Why files besides images are in the mirror.
const (
	reasonUpstream = "streams of upstream"
	reasonMade     = "streams of the selection"
	reasonForm     = "unsigned form of a signed file, which lxc and incus read"
)

// planVersion changes when the same index and options lead to another list of
// files than before.
const planVersion = 1

// Plan reads each source and lays it out. A source whose index is what the base
// was made of costs one question about the index.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	if err := keyring.NeedSites(env, s.entries, func(e *entry) (strictyaml.Pos, string, bool) { return e.pos, e.name, e.rebuilt }); err != nil {
		return nil, err
	}
	return sources.PlanEach(ctx, len(s.entries), func(ctx context.Context, i int) (p sources.Planned, err error) {
		e := s.entries[i]
		p.Repository, p.Scratch, err = e.plan(ctx, env)
		return p, sources.InSource(e.pos, e.name, err)
	})
}

func (e *entry) plan(ctx context.Context, env *sources.Env) (repo sources.Repository, scratch int64, err error) {
	var keys keyring.Keys
	if e.keys != nil {
		if keys, err = keyring.Load(ctx, env, e.keys); err != nil {
			return repo, 0, err
		}
	}
	mark, err := e.mark(env)
	if err != nil {
		return repo, 0, err
	}
	if repo, scratch, same, err := e.unchanged(ctx, env, keys, mark); same || err != nil {
		return repo, scratch, err
	}
	return e.fresh(ctx, env, keys, mark)
}

// fresh plans a source from what upstream has.
func (e *entry) fresh(ctx context.Context, env *sources.Env, keys keyring.Keys, mark string) (repo sources.Repository, scratch int64, err error) {
	r, err := e.read(ctx, env, keys)
	if err != nil {
		return repo, 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	repo, err = e.repository(env, r.by)
	if err != nil {
		return repo, 0, err
	}
	l := &layout{reading: r, env: env, mark: mark, press: rebuild.NewPress(env, Name, e.name, reasonMade, r.index.vouched)}
	if e.rebuilt {
		err = l.rebuilt()
	} else {
		err = l.verbatim()
	}
	if err == nil {
		err = l.stock.Settle()
	}
	repo.Artifacts = l.stock.Artifacts(env, e.name)
	repo.Notes = r.notes
	return repo, r.scratch + l.press.Bytes, err
}

// repository returns the facts about a source besides its files. by are the keys
// that signed it.
func (e *entry) repository(env *sources.Env, by keyring.Keys) (sources.Repository, error) {
	repo := sources.Repository{Name: e.name, Mount: e.mount, Mode: string(rebuild.Verbatim), Annotations: map[string]string{}}
	public, err := bundle.ParsePublic(e.root, "")
	if err != nil {
		return repo, err
	}
	repo.Public = []sources.Public{public}
	if e.rebuilt { // the site's key alone signs what clients get
		repo.Mode, repo.Annotations[readers.KeysKey] = string(rebuild.Rebuilt), keyring.SitePath(env)
		_, repo.Keys, err = keyring.Site(env)
	} else {
		if len(by) > 0 {
			repo.Annotations[readers.KeysKey] = keyring.Path(e.name)
		}
		repo.Keys, err = by.Publish(keyring.RoleUpstream, keyring.Path(e.name))
	}
	if err != nil {
		return repo, err
	}
	repo.Annotations[readers.IndexKey] = e.index
	return repo, keyring.WithoutArmor(repo.Keys) // MAAS passes its keyring to gpgv, which reads no armor
}

// mark identifies what a source is planned for.
func (e *entry) mark(env *sources.Env) (string, error) {
	o := e.options
	o.Pos, o.Keyring = strictyaml.Pos{}, keyring.Entry{}
	of := struct {
		Version     int
		Root, Index string
		Rebuilt     bool
		Options     options
	}{planVersion, e.root, e.index, e.rebuilt, o}
	if e.rebuilt {
		return replay.Mark(env, of)
	}
	return replay.Configuration(of), nil
}

// unchanged plans a source whose index is, by what upstream states about it, the
// one that the base was made of for the same options. Whoever signed it then
// has to be trusted still.
func (e *entry) unchanged(ctx context.Context, env *sources.Env, keys keyring.Keys, mark string) (repo sources.Repository, scratch int64, same bool, err error) {
	memory, err := replay.Recall(env, e.name, reasonUpstream)
	if err != nil {
		return repo, 0, false, err
	}
	index, ok := memory.Marked(mark)
	if !ok || index.Validator == "" {
		return repo, 0, false, nil
	}
	by, err := e.signedBefore(env, keys)
	if by == nil && e.keys != nil || err != nil {
		return repo, 0, false, err
	}
	if !e.stands(ctx, env, index) {
		return repo, 0, false, nil
	}
	repo, err = e.repository(env, by)
	again := replay.NewAgain(func(ctx context.Context) (*sources.Plan, error) {
		repo, _, err := e.fresh(ctx, env, keys, mark)
		return &sources.Plan{Repositories: []sources.Repository{repo}}, err
	})
	repo.Artifacts = replay.Plan{Again: again, Finish: finish}.Artifacts(env, e.name)
	repo.Notes = []string{"nothing changed since the last export"}
	return repo, memory.Remake, true, err
}

// stands asks upstream whether its index is still the recorded one. Whatever is
// wrong with the answer is an error of whoever reads the index then.
func (e *entry) stands(ctx context.Context, env *sources.Env, index sources.Recorded) bool {
	meta, err := env.Fetch.Stat(ctx, upstream.At(e.root).URL(e.index))
	return err == nil && meta.Validator() == index.Validator && (meta.Secure || index.Vouched != bundle.VouchedTLS)
}

// finish sets the validator of a file that was not read to the one that it had.
func finish(r sources.Recorded, a *sources.Artifact) error {
	if r.File.Annotations[replay.MarkKey] != "" {
		a.Validator = r.Validator
	}
	return nil
}

// signedBefore returns the keys that signed what the base has; none if one of them
// does not count any more.
func (e *entry) signedBefore(env *sources.Env, keys keyring.Keys) (keyring.Keys, error) {
	var by keyring.Keys
	for r, err := range env.Base.Files(e.name) {
		if err != nil {
			return nil, err
		}
		fingerprint, ok := strings.CutPrefix(r.Vouched, bundle.VouchedOpenPGP)
		if !ok {
			continue
		}
		i := slices.IndexFunc(keys, func(k *openpgp.Entity) bool { return pgpkeys.Fingerprint(k) == fingerprint })
		if i < 0 {
			return nil, nil
		}
		if _, ok := keys[i].SigningKey(env.Now); !ok {
			return nil, nil
		}
		by = by.Union(keyring.Keys{keys[i]})
	}
	return by, nil
}

// layout is a source on its way to artifacts.
type layout struct {
	*reading
	env   *sources.Env
	mark  string
	press *rebuild.Press
	stock stock.Stock
}

// own adds what upstream has, below the folder under: the index, and those
// products files that are wanted. annotations are the index's.
func (l *layout) own(under string, annotations map[string]string, wanted func(*productsFile) bool) {
	annotations = maps.Clone(annotations)
	annotations[replay.MarkKey] = l.mark
	l.stock.Add(stock.File{
		Path: under + l.index.path, From: l.index.path, Place: l.place, Reason: reasonUpstream,
		Size: int64(len(l.index.content)), Digest: bundle.DigestOf(l.index.content),
		More: &stock.More{Vouched: l.index.vouched, Content: l.index.content, Validator: l.index.validator, Annotations: annotations},
	})
	for _, f := range l.files {
		if wanted(f) {
			l.stock.Add(stock.File{
				Path: under + f.entry.Path, From: f.entry.Path, Place: l.place, Reason: reasonUpstream, Size: f.size, Digest: f.digest,
				More: &stock.More{Vouched: f.vouched, Local: f.raw},
			})
		}
	}
}

// verbatim lays out everything that upstream has.
func (l *layout) verbatim() error {
	v := streams.NewView(l.index.Index)
	for _, f := range l.files {
		what := l.place.Where(f.entry.Path)
		v.Begin(f.Header)
		for _, name := range f.Names {
			p, err := f.Product(name)
			if err != nil {
				return upstream.Blame(what, err)
			}
			v.Product(p)
			if err := l.everything(f, p); err != nil {
				return upstream.Blame(what, err)
			}
		}
		v.End(what)
		if l.entry.keys == nil || streams.Unsigned(f.entry.Path) == f.entry.Path {
			continue
		}
		info, err := f.text.Stat()
		if err != nil {
			return err
		}
		l.scratch += info.Size()
		form, err := l.press.Put(streams.Unsigned(f.entry.Path), func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(f.text, 0, info.Size()))
			return err
		}, readProducts(f.Names))
		if err != nil {
			return err
		}
		form.Reason = reasonForm
		l.stock.Add(form)
	}
	if misfit := v.Misfit(); misfit != nil {
		l.note("upstream's own streams are not complete for their readers: %v", misfit)
	}
	if l.options.Mode == "" {
		l.note("nothing is chosen: upstream's streams and all that they list; filters, subarch or newest: 1 carry less")
	}
	annotations, err := readers.Annotations(v)
	if err != nil {
		return l.pos.Wrap(err)
	}
	l.own("", annotations, func(*productsFile) bool { return true })
	if l.entry.keys == nil {
		return nil
	}
	return l.putIndex(l.index.Fields, l.index.Entries, streams.Unsigned, reasonForm)
}

// everything adds the files of all items of a product.
func (l *layout) everything(f *productsFile, p *streams.Product) error {
	if err := f.Expand(p); err != nil {
		return err
	}
	for _, v := range p.Versions {
		first := len(l.stock.Files)
		for i := range v.Items {
			if err := l.carry(&l.stock, f, p, &v, &v.Items[i], reasonListed); err != nil {
				return err
			}
		}
		name(l.stock.Files[first:], f, p, &v)
	}
	return nil
}

// rebuilt lays out what is chosen, with streams that name nothing else.
func (l *layout) rebuilt() error {
	chosen, err := l.choose()
	if err != nil {
		return err
	}
	l.stock.Add(chosen.stock.Files...)
	v := streams.NewView(l.index.Index)
	var entries []streams.Entry
	var newest time.Time
	for i := range chosen.files {
		f := &chosen.files[i]
		date := latest(streams.Updated(f.Header), streams.Updated(f.entry.Fields))
		newest = latest(newest, date)
		fields := dated(f.entry.Fields, date)
		var names []any
		for _, name := range slices.Sorted(maps.Keys(f.products)) {
			names = append(names, name)
		}
		fields["products"] = names
		entries = append(entries, streams.Entry{ID: f.entry.ID, Path: f.entry.Path, Fields: fields})
		if err := l.products(f, v, date); err != nil {
			return err
		}
	}
	if newest.IsZero() {
		newest = streams.Updated(l.index.Fields)
	}
	fields := dated(l.index.Fields, newest)
	v.Index = &streams.Index{Fields: fields, Entries: entries}
	if misfit := v.Misfit(); misfit != nil {
		text := strings.TrimSuffix(misfit.Error(), ": "+bundle.ErrIncomplete.Error())
		return fmt.Errorf("%s: clients would refuse the whole selection: %s; leave it out by a filter, as in product_name!=NAME: %w", l.place.Where(l.index.path), text, fetch.ErrUpstream)
	}
	annotations, err := readers.Annotations(v)
	if err != nil {
		return l.pos.Wrap(err)
	}
	l.own(rebuild.UpstreamFolder, annotations, func(f *productsFile) bool {
		return slices.ContainsFunc(chosen.files, func(c chosenFile) bool { return c.productsFile == f })
	})
	if err := l.putIndex(fields, entries, streams.Unsigned, reasonMade); err != nil {
		return err
	}
	signed := &streams.Index{Fields: fields, Entries: slices.Clone(entries)}
	for i := range signed.Entries {
		signed.Entries[i].Path = streams.Signed(signed.Entries[i].Path)
	}
	text, err := signed.Marshal()
	if err != nil {
		return err
	}
	return l.sign(streams.Signed(l.index.path), newest, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(text))), nil })
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// dated returns fields with a new date, if there is one.
func dated(fields streams.Object, date time.Time) streams.Object {
	fields = maps.Clone(fields)
	if !date.IsZero() {
		fields["updated"] = streams.FormatUpdated(date)
	}
	return fields
}

// products makes a products file in both forms.
func (l *layout) products(f *chosenFile, v *streams.View, date time.Time) error {
	header := dated(f.Header, date)
	v.Begin(header)
	names := slices.Sorted(maps.Keys(f.products))
	made, err := l.press.Put(streams.Unsigned(f.entry.Path), func(w io.Writer) error {
		return f.Write(w, header, names, func(p *streams.Product) error {
			keep(p, f.products[p.Name])
			v.Product(p)
			return nil
		})
	}, readProducts(names))
	if err != nil {
		return err
	}
	v.End(l.place.Where(f.entry.Path))
	l.stock.Add(made)
	return l.sign(streams.Signed(f.entry.Path), date, func() (io.ReadCloser, error) { return l.env.Scratch.Open(made.More.Local) })
}

// sign makes the clear-signed form of a text. A plan does not open the key.
func (l *layout) sign(path string, date time.Time, text func() (io.ReadCloser, error)) error {
	signer, _, err := keyring.Site(l.env)
	if err != nil {
		return err
	}
	if signer == nil {
		l.stock.Add(l.press.Closed(path))
		return nil
	}
	made, err := l.press.Put(path, func(w io.Writer) (err error) {
		in, err := text()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, in.Close()) }()
		return signer.ClearSignTo(w, in, date)
	}, readSigned(text))
	l.stock.Add(made)
	return err
}

// putIndex makes an index whose products files have the paths that form returns.
func (l *layout) putIndex(fields streams.Object, entries []streams.Entry, form func(string) string, reason string) error {
	x := &streams.Index{Fields: fields, Entries: slices.Clone(entries)}
	for i := range x.Entries {
		x.Entries[i].Path = form(x.Entries[i].Path)
	}
	text, err := x.Marshal()
	if err != nil {
		return err
	}
	made, err := l.press.PutBytes(form(l.index.path), text, readIndex(x.Entries))
	made.Reason = reason
	l.stock.Add(made)
	return err
}
