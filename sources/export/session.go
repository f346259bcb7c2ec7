package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/keys"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// session is one export or plan under way: the spec, the ledger, the base,
// and what the sources intend.
type session struct {
	o       Options
	spec    *config.Spec
	ledger  *ledger.Ledger
	base    *base // nil: full
	have    *bundle.DigestSet
	lock    *sources.Lock
	held    []bundle.Repository // of the base, kept as they are
	asked   *asked              // nil: no mirror asks for anything
	scratch *os.Root
	closers []func() error

	signers  []*bundle.Signer
	specs    []sources.Spec // of the sources that are planned
	client   *fetch.Client
	dates    *sources.Dates
	weak     *sources.WeakKeys
	adopted  *Adopted        // nil: nothing was
	site     *openpgp.Entity // nil: there is no key
	resolved *collect.Resolved
	survey   *collect.Survey
	layout   *layout
}

// begin does everything that comes before the first byte of payload. With
// write false nothing on disk changes.
func begin(ctx context.Context, o Options, write bool) (*session, error) {
	s, err := open(ctx, o, write)
	if err != nil {
		return s, err
	}
	if err := s.plan(ctx, write); err != nil {
		return s, errors.Join(err, s.close())
	}
	return s, nil
}

// open does what asks nobody.
func open(ctx context.Context, o Options, write bool) (s *session, err error) {
	s = &session{o: o.withDefaults()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.spec, err = config.Load(o.SpecPath); err != nil {
		return s, bundle.About(bundle.AboutSpec, err)
	}
	if err := collect.CheckSpecs(s.o.Kinds, s.spec.Sources); err != nil {
		return s, bundle.About(bundle.AboutSpec, err) // before the folder of the state is made
	}
	if write {
		if err := s.loadSigners(); err != nil {
			return s, err
		}
	}
	if err := s.openLedger(ctx, write); err != nil {
		return s, bundle.About(bundle.AboutState, err)
	}
	if err := s.chooseBase(); err != nil {
		return s, bundle.About(bundle.AboutBase, err)
	}
	if s.specs, err = s.selected(); err != nil {
		return s, err
	}
	return s, s.prepare(write)
}

func (s *session) close() error {
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *session) loadSigners() error {
	if s.signers = s.o.Signers; len(s.signers) > 0 {
		return nil
	}
	paths := s.o.Keys
	if len(paths) == 0 {
		paths = s.spec.Signing.Exporter
	}
	if len(paths) == 0 {
		return bundle.About(bundle.AboutKey, fmt.Errorf("exporter key: none given: name one in the spec (signing: exporter:) or with --key: %w", bundle.ErrUsage))
	}
	for _, p := range paths {
		signer, err := keys.LoadSigner(p, s.o.Passphrase)
		if err != nil {
			return err
		}
		s.signers = append(s.signers, signer)
	}
	return nil
}

// siteKey is the key that signs rebuilt indexes, or nil. A plan reads it
// without its passphrase: it signs nothing.
func (s *session) siteKey(write bool) (*openpgp.Entity, error) {
	path := s.o.SiteKey
	if path == "" {
		path = s.spec.Signing.Site
	}
	switch {
	case path == "":
		return nil, nil
	case write:
		return keys.LoadSite(path, s.o.SitePassphrase)
	}
	e, _, err := pubkeys.LoadOpenPGP(path)
	if err != nil {
		return nil, &bundle.AboutError{Thing: bundle.AboutKey, Name: keys.KeySite, Err: err}
	}
	return e, nil
}

func (s *session) openLedger(ctx context.Context, write bool) (err error) {
	dir := s.o.stateDir(s.spec.Dir, s.spec.Set)
	if write {
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			return err
		}
		s.ledger, err = ledger.Open(ctx, dir, s.spec.Set, s.o.RetryLock)
	} else {
		s.ledger, err = ledger.OpenReadOnly(dir, s.spec.Set)
	}
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.ledger.Close)
	if err := s.settleDestination(); err != nil {
		return err
	}
	if s.o.Adopt == "" {
		return s.refuseOldLedger()
	}
	if !write {
		return nil
	}
	return s.adopt(ctx)
}

// refuseOldLedger notices a ledger that was restored from an old copy: a
// target that holds a later bundle of the same stream than it knows.
func (s *session) refuseOldLedger() error {
	if s.ledger.Stream() == "" {
		return nil
	}
	for _, target := range s.o.Targets {
		entries, err := os.ReadDir(target)
		if err != nil {
			continue // made later, or named when it is written to
		}
		for _, e := range entries {
			set, n, partial, ok := bundle.SplitDirName(e.Name())
			if !ok || partial || set != s.spec.Set || n < s.ledger.Next() {
				continue
			}
			m, err := readManifest(filepath.Join(target, e.Name()))
			if err == nil && m.Stream == s.ledger.Stream() {
				return fmt.Errorf("ledger: next number is %d, but %s has bundle %d of this stream; the ledger is an old copy: adopt that bundle: %w",
					s.ledger.Next(), filepath.Join(target, e.Name()), n, bundle.ErrUsage)
			}
		}
	}
	return nil
}

// selected applies Only and Hold to the spec's sources and sets what is held.
func (s *session) selected() ([]sources.Spec, error) {
	if len(s.o.Only) > 0 && len(s.o.Hold) > 0 {
		return nil, fmt.Errorf("--only and --hold: give one of them: %w", bundle.ErrUsage)
	}
	names := append(slices.Clone(s.o.Only), s.o.Hold...)
	if len(names) == 0 {
		return s.spec.Sources, nil
	}
	if s.base == nil {
		return nil, fmt.Errorf("--only and --hold: there is no base whose lists the other sources could keep: %w", bundle.ErrUsage)
	}
	var errs []error
	for _, n := range names {
		if !slices.ContainsFunc(s.spec.Sources, func(p sources.Spec) bool { return p.Name == n }) {
			errs = append(errs, fmt.Errorf("source %q: not in the spec: %w", n, bundle.ErrUsage))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var planned []sources.Spec
	for _, p := range s.spec.Sources {
		if slices.Contains(s.o.Hold, p.Name) || len(s.o.Only) > 0 && !slices.Contains(s.o.Only, p.Name) {
			errs = append(errs, s.hold(p.Name))
			continue
		}
		planned = append(planned, p)
	}
	return planned, errors.Join(errs...)
}

// hold keeps what the base has of a source and of what was derived from it.
func (s *session) hold(name string) error {
	before := len(s.held)
	for _, r := range s.base.manifest.Repositories {
		if r.Name == name || strings.HasPrefix(r.Name, name+"/") {
			r.Carried = nil
			s.held = append(s.held, r)
		}
	}
	if len(s.held) == before {
		return fmt.Errorf("source %q: held back, but base %d does not have it: %w", name, s.base.manifest.Sequence, bundle.ErrUsage)
	}
	return nil
}

// prepare opens what a plan needs: key, client, and what the base has.
func (s *session) prepare(write bool) (err error) {
	if s.site, err = s.siteKey(write); err != nil {
		return err
	}
	s.client, err = fetch.New(fetch.Options{Hosts: s.spec.Hosts, Env: s.o.Env, Home: s.o.Home, Log: s.o.Log, Offline: s.o.offline, Wait: s.o.Wait})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { s.client.Close(); return nil })
	s.have, err = s.base.blobs(s.asked)
	return err
}

// env is what sources get: everything is opened from the top.
func (s *session) env(write bool) (env *sources.Env, err error) {
	if s.lock, err = sources.OpenLock(filepath.Join(s.spec.Dir, sources.LockName), s.o.UpdateLock); err != nil {
		return nil, err
	}
	if err := s.openScratch(write); err != nil {
		return nil, err
	}
	memory, err := s.memory()
	if err != nil {
		return nil, err
	}
	before, err := s.ledger.Dates()
	if err != nil {
		return nil, err
	}
	s.dates = sources.NewDates(before, s.o.AllowOlder)
	s.weak = sources.NewWeakKeys(s.spec.AllowWeakKeys)
	env = &sources.Env{
		Dates: s.dates, Weak: s.weak,
		Set: s.spec.Set, Tool: s.o.Tool, Program: s.o.Program, Fetch: s.client, Base: memory, Dir: s.spec.Dir, Now: s.o.Now, Site: s.site,
		Scratch: s.scratch, Lock: s.lock, Log: s.o.Log,
	}
	if s.base != nil {
		env.Have = s.have.Size
	}
	for _, r := range s.held {
		lists := s.tree(r.Kind, nil)
		env.Held = append(env.Held, sources.Held{
			Repository: r, Files: func() iter.Seq2[bundle.File, error] { return lists.Files(r.Name) },
		})
	}
	return env, nil
}

// plan reads upstream's metadata, from the top, and lays out the volumes.
func (s *session) plan(ctx context.Context, write bool) error {
	env, err := s.env(write)
	if err != nil {
		return err
	}
	if err := s.unknownAllowed(); err != nil {
		return err
	}
	reading := ctx
	if s.o.Reading != nil {
		reading = fetch.WithReading(ctx, newReading(s.o, s.specs))
	}
	if s.resolved, err = collect.Resolve(reading, s.o.Kinds, s.specs, env); err != nil {
		return err
	}
	room, err := s.room(write)
	if err != nil {
		return err
	}
	o := collect.SurveyOptions{Have: s.have.Size, Room: room, Held: env.Held, Before: s.filesBefore()}
	if err := s.layOut(o, write); err != nil {
		return err
	}
	if write {
		if err := s.refuseShrunk(); err != nil {
			return err
		}
	}
	_, err = s.documents(s.survey.Kept)
	return err
}

// room is what the file systems of the targets have together; 0 where a further
// medium can be asked for, in a plan, which says how many more it takes, and where nothing
// is known.
func (s *session) room(write bool) (int64, error) {
	if !write || s.o.NextMedium != nil || len(s.o.Targets) == 0 {
		return 0, nil
	}
	return media.FileSystems(s.o.Targets)
}

// planAgain plans once more, and says whether upstream's metadata is another
// than before.
func (s *session) planAgain(ctx context.Context) (changed bool, err error) {
	before, err := s.resolved.Digest()
	if err != nil {
		return false, err
	}
	if err := s.plan(ctx, true); err != nil {
		return false, err
	}
	now, err := s.resolved.Digest()
	return now != before, err
}

// openScratch is the ledger's, or for a plan a folder outside of everything
// that a plan promises to leave alone.
func (s *session) openScratch(write bool) (err error) {
	if write {
		s.scratch, err = s.ledger.Scratch()
		if err == nil {
			s.closers = append(s.closers, s.scratch.Close)
		}
		return err
	}
	dir, err := os.MkdirTemp("", "gapbundle-plan-")
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	if s.scratch, err = os.OpenRoot(dir); err == nil {
		s.closers = append(s.closers, s.scratch.Close)
	}
	return err
}
