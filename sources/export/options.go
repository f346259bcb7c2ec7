// Package export runs the steps from a spec to a signed bundle: config.Load,
// collect.Resolve, collect.Collect, media.Writer. Each step makes its own
// decisions. This package adds what concerns all of them: it chooses the base
// of a delta, updates the exporter's ledger, and reports what an export would
// do.
//
// From the disconnected side it reads receipts, repair requests and, with
// --adopt, an earlier bundle of its own.
package export

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// Options are what a person asks of one export. The zero value of a field is
// its default; SpecPath, Kinds and Now are required.
type Options struct {
	// SpecPath is the spec file.
	SpecPath string
	// Targets are directories on media, filled one after the other.
	Targets []string
	// Keys are exporter keys, instead of the spec's; SiteKey likewise.
	Keys    []string
	SiteKey string
	// Signers are exporter keys that are open already; files of keys are not read then.
	Signers []*bundle.Signer
	// VolumeSize is in bytes; 0: bundle.DefaultVolumeSize, or less if that fits the targets.
	VolumeSize int64
	// Destination is the name of a receiving mirror in the ledger. Empty: the one that the
	// ledger knows by a name, if there is one and no other.
	Destination string
	// NewDestination allows a Destination that the ledger does not know although it knows
	// others.
	NewDestination bool
	// Base is what a delta is made against: a receipt, a bundle, a sequence or a state
	// code; empty: the ledger decides.
	Base string
	// Repair is a signed request of a mirror for what is damaged there: the delta carries
	// that again.
	Repair string
	// Full makes a bundle that needs no base.
	Full bool
	// Only and Hold name sources; the others, or these, keep the base's lists.
	Only, Hold []string
	// Expires is how long importers accept the bundle; 0: for ever.
	Expires time.Duration
	// ConfirmReceipt is asked whether the fingerprint of a receipt's key is right, where a
	// base or what is adopted is a receipt whose key the destination has not pinned; nil: no.
	ConfirmReceipt func(fingerprint string) (bool, error)
	// Adopt is a receipt or a bundle from which a lost ledger is restored.
	Adopt string
	// StateDir is the ledger's folder; empty: .gapbundle/<set> next to the spec.
	StateDir string
	// UpdateLock lets content that differs from its pin replace it.
	UpdateLock bool
	// AllowShrink names sources that may have far fewer files than the base has.
	AllowShrink []string
	// AllowOlder names sources whose upstream may show an older state than the one that
	// was exported before.
	AllowOlder []string
	// NoReadback leaves out reading the media back; recorded in the bundle.
	NoReadback bool
	// Compression is how hard volumes and catalogue are compressed.
	Compression media.Compression
	// Jobs is how many compressors run; 0: one for each processor.
	Jobs int
	// RetryLock is how long to wait for another export to end.
	RetryLock time.Duration
	// Now is the judging time and the time that the bundle bears.
	Now time.Time
	// Passphrase and SitePassphrase unlock the keys; nil: keys that need
	// one are refused.
	Passphrase, SitePassphrase keys.PassphraseFunc
	// Progress learns what is done; nil: nobody.
	Progress bundle.Progress
	// Reading is called for each file that is read while the sources are planned, with its
	// source (the host if the source is not known) and its size in bytes (-1: not known). It
	// may be called by many goroutines at once. nil: not called.
	Reading func(source, file string, size int64)
	// Choosing is called when nothing is read any more while the sources are planned, with
	// the source (or host) that was read last: what is carried is chosen, and indexes are made.
	// nil: not called.
	Choosing func(source string)
	Log      *slog.Logger
	// NextMedium is asked for another directory when all targets are full, "": there is
	// none; nil: the export stops and can be repeated with another --to.
	NextMedium func(ctx context.Context, q media.NextMedium) (string, error)
	// Media learns what fits on which target before the first byte is written; nil: nobody.
	Media func(*MediaPlan)
	// Absent is asked about a medium with volumes that was taken out before
	// the root was written; nil: it stays without (Result.Without).
	Absent func(ctx context.Context, number int, dir string) (again bool, err error)
	// Changes is how many changes by name are found; 0: none, contents.All: all of them.
	Changes int
	// offline asks nobody; Offline sets it. writes lets the disk change; Run sets it.
	offline, writes bool
	// Kinds are the kinds of sources that may be used.
	Kinds sources.Kinds
	// Tool is the name and version that the bundle bears.
	Tool string
	// Program is the path of the program, which some kinds run as a child; "": they
	// refuse.
	Program string
	// Env and Home are where credentials by reference are looked up; zero:
	// the process's own.
	Env  func(string) string
	Home string
	// Wait waits before another attempt at an upstream; nil: by the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

func (o *Options) withDefaults() Options {
	d := *o
	if d.Progress == nil {
		d.Progress = bundle.NoProgress
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return d
}

// stateDir returns where the ledger of a set is.
func (o *Options) stateDir(specDir, set string) string {
	if o.StateDir != "" {
		return o.StateDir
	}
	return filepath.Join(specDir, ".gapbundle", set)
}
