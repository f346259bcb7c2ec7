package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/keys"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// opened is what an export or a plan starts from: the spec, the keys, the ledger and the
// base. All of it is on this machine, and open sets all of it.
type opened struct {
	o       Options
	spec    *config.Spec
	ledger  *ledger.Ledger
	to      destination
	own     ownKeys // of the exporter; a plan has none
	site    *openpgp.Entity
	adopted *Adopted // nil: nothing was
	base    *base    // nil: full
	have    *bundle.DigestSet
	asked   *asked              // nil: no mirror asks for anything
	specs   []sources.Spec      // of the sources that are planned
	held    []bundle.Repository // of the base, kept as they are
	client  *fetch.Client
	spools  *os.Root // where answers are kept until it is known what they are: the plan's scratch
	closers []func() error
}

// open does everything that asks nobody. Unless o.writes is set nothing on disk changes.
func open(ctx context.Context, o Options) (_ *opened, err error) {
	o = o.withDefaults()
	in := &opened{o: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.close())
		}
	}()
	if in.spec, err = config.Load(o.SpecPath); err != nil {
		return nil, bundle.About(bundle.AboutSpec, err)
	}
	if err := collect.CheckSpecs(o.Kinds, in.spec.Sources); err != nil {
		return nil, bundle.About(bundle.AboutSpec, err) // before the folder of the state is made
	}
	if o.writes {
		if in.own, err = loadOwn(o, in.spec); err != nil {
			return nil, err
		}
	}
	if err := in.openState(ctx); err != nil {
		return nil, bundle.About(bundle.AboutState, err)
	}
	of := choice{o, in.spec, in.ledger, in.to, in.own}
	if in.base, in.asked, err = of.base(); err != nil {
		return nil, bundle.About(bundle.AboutBase, err)
	}
	if in.base != nil && in.base.close != nil {
		in.atEnd(in.base.close)
	}
	if in.specs, in.held, err = selectSources(o, in.spec, in.base); err != nil {
		return nil, err
	}
	if in.site, err = siteKey(o, in.spec); err != nil {
		return nil, err
	}
	if in.client, err = in.newClient(); err != nil {
		return nil, err
	}
	in.have, err = in.base.blobs(in.asked)
	return in, err
}

// atEnd notes what close calls, the last first.
func (in *opened) atEnd(do func() error) { in.closers = append(in.closers, do) }

func (in *opened) close() error {
	var errs []error
	for _, c := range slices.Backward(in.closers) {
		errs = append(errs, c())
	}
	in.closers = nil
	return errors.Join(errs...)
}

// openState opens the ledger, restores a lost one, and settles the destination.
func (in *opened) openState(ctx context.Context) (err error) {
	if in.ledger, err = openLedger(ctx, in.o, in.spec); err != nil {
		return err
	}
	in.atEnd(in.ledger.Close)
	name, err := settleDestination(in.o, in.ledger)
	if err != nil {
		return err
	}
	in.to = destination{in.ledger, name}
	switch {
	case in.o.Adopt == "":
		return refuseOldLedger(in.ledger, in.spec.Set, in.o.Targets)
	case !in.o.writes:
		return nil
	}
	lost := adoption{in.o, in.spec.Set, in.ledger, in.own}
	in.adopted, in.to, err = lost.restore(ctx, in.to)
	return err
}

func openLedger(ctx context.Context, o Options, spec *config.Spec) (*ledger.Ledger, error) {
	dir := o.stateDir(spec.Dir, spec.Set)
	if !o.writes {
		return ledger.OpenReadOnly(dir, spec.Set)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	return ledger.Open(ctx, dir, spec.Set, o.RetryLock)
}

// refuseOldLedger notices a ledger that was restored from an old copy: a
// target that holds a later bundle of the same stream than it knows.
func refuseOldLedger(l *ledger.Ledger, ofSet string, targets []string) error {
	if l.Stream() == "" {
		return nil
	}
	for _, target := range targets {
		entries, err := os.ReadDir(target)
		if err != nil {
			continue // made later, or named when it is written to
		}
		for _, e := range entries {
			set, n, partial, ok := bundle.SplitDirName(e.Name())
			if !ok || partial || set != ofSet || n < l.Next() {
				continue
			}
			m, err := readManifest(filepath.Join(target, e.Name()))
			if err == nil && m.Stream == l.Stream() {
				return fmt.Errorf("ledger: next number is %d, but %s has bundle %d of this stream; the ledger is an old copy: adopt that bundle: %w",
					l.Next(), filepath.Join(target, e.Name()), n, bundle.ErrUsage)
			}
		}
	}
	return nil
}

// siteKey returns the key that signs rebuilt indexes, or nil. A plan reads it
// without its passphrase: it signs nothing.
func siteKey(o Options, spec *config.Spec) (*openpgp.Entity, error) {
	path := o.SiteKey
	if path == "" {
		path = spec.Signing.Site
	}
	switch {
	case path == "":
		return nil, nil
	case o.writes:
		return keys.LoadSite(path, o.SitePassphrase)
	}
	e, _, err := pubkeys.LoadOpenPGP(path)
	if err != nil {
		return nil, &bundle.AboutError{Thing: bundle.AboutKey, Name: keys.KeySite, Err: err}
	}
	return e, nil
}

func (in *opened) newClient() (*fetch.Client, error) {
	o := in.o
	client, err := fetch.New(fetch.Options{
		Hosts: in.spec.Hosts, Env: o.Env, Home: o.Home, Log: o.Log, Offline: o.offline, Wait: o.Wait, Decode: decompress.Coding, Spool: in.spool,
	})
	if err == nil {
		in.atEnd(func() error { client.Close(); return nil })
	}
	return client, err
}
