package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// thingHint returns what to do about the thing that an error is about (bundle.About), on the
// connected side.
func thingHint(err error) string {
	thing, name := bundle.ThingOf(err)
	var pin *sources.PinError
	switch {
	case errors.Is(err, bundle.ErrBusy), errors.Is(err, bundle.ErrUnsupported):
		return "" // the same for all things
	case errors.As(err, &pin) && pin.Lock != "":
		return "if upstream changed it on purpose, --update-lock takes the new content and prints what changed; moving: true in the spec is for a URL whose content always changes"
	case errors.As(err, &pin), thing == bundle.AboutPin:
		return "somebody changed it: if that was upstream and on purpose, correct the digest where it is pinned, in the spec or in the list or sums file that the spec names"
	case thing == bundle.AboutKey, thing == bundle.AboutPassphrase:
		return keyHint(err, thing, name)
	case thing == bundle.AboutSpec && errors.Is(err, fs.ErrNotExist):
		return "check the path: in a spec it is relative to the folder of the spec"
	case errors.As(err, new(*fs.PathError)), errors.As(err, new(*bundle.NoBundleError)):
		return "" // about a path, which is named
	case thing == bundle.AboutSpec && name == "":
		return "docs/spec.md describes every key of a spec"
	case thing == bundle.AboutSpec:
		return fmt.Sprintf("docs/sources/%s.md describes every option of the kind %[1]s, docs/spec.md the keys around them", name)
	case thing == bundle.AboutInput:
		return "the file is cut short, or is not what the spec takes it for: make it again, or copy it again from where it came"
	case thing == bundle.AboutSelection && !errors.Is(err, fetch.ErrUpstream):
		return fmt.Sprintf("correct the name, add the repository that has it as a source, or leave it out: docs/sources/%s.md", name)
	case thing == bundle.AboutCollected:
		return fmt.Sprintf("no bundle was finished: clients inside would miss what is named; add what has it to the spec, or leave out what needs it: docs/sources/%s.md", name)
	case thing == bundle.AboutSigner:
		return "if upstream has a new key, get its fingerprint by another way than this upstream and name the key in the spec; if not, somebody may have changed what was sent: docs/trust.md"
	case thing == bundle.AboutTargets && errors.Is(err, bundle.ErrUsage):
		return "name another medium or folder with --to, or move that bundle away; if the exporter's state was lost, or --state is another folder than before: gapbundle export SPEC --adopt FILE goes on from that bundle"
	case thing == bundle.AboutTargets && errors.Is(err, bundle.ErrCorrupt):
		return "the medium does not keep what is written to it: repeat the command with another medium, port or reader"
	case thing == bundle.AboutTargets:
		return "plug a medium with volumes of this bundle in again, name it with --to, and repeat the command"
	}
	return ledgerHint(err, thing, name)
}

// keyHint returns what to do about the file of a private key, or its passphrase.
func keyHint(err error, thing bundle.Thing, name string) string {
	option := ""
	if name == keys.KeySite {
		option = "--site "
	}
	var path *fs.PathError
	switch {
	case thing == bundle.AboutPassphrase:
		return passphraseHint(name) + fmt.Sprintf(". A lost passphrase needs a new key: gapbundle keygen %s--out NEWDIR", option)
	case errors.As(err, &path) && errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("correct the path in the spec, under signing, or after --%skey; a new key is made by gapbundle keygen %s--out %s", prefix(name), option, filepath.Dir(path.Path))
	case errors.As(err, &path):
		return ""
	}
	return fmt.Sprintf("name a private key that gapbundle keygen %s--out DIR has made, in the spec under signing or after --%skey", option, prefix(name))
}

// passphraseHint returns how a command gets the passphrase of a key.
func passphraseHint(name string) string {
	variable := keys.PassphraseEnv
	if name == keys.KeySite {
		variable = keys.SitePassphraseEnv
	}
	return fmt.Sprintf("set %s, give --%spassphrase-fd, or run the command on a terminal, which asks; the first of the three that is there counts", variable, prefix(name))
}

func prefix(name string) string {
	if name == keys.KeySite {
		return "site-"
	}
	return ""
}

// ledgerHint returns what to do about what an exporter remembers: its state, the base of a
// delta, and what came back from a mirror.
func ledgerHint(err error, thing bundle.Thing, name string) string {
	if thing == bundle.AboutReceipt && errors.Is(err, bundle.ErrMalformed) {
		switch name {
		case export.FileRequest:
			return "nothing was recorded; name a file that gapbundle repair wrote into the mirror's state/requests, or copy it again"
		case export.FileAdopted:
			return "name a bundle, or a receipt from the mirror's state/receipts, or copy it again"
		}
	}
	switch thing {
	case bundle.AboutBase:
		return "gapbundle receipts list prints what the exporter's state knows; --full builds on nothing and is always possible"
	case bundle.AboutState:
		return "the exporter's state is in .gapbundle next to the spec, or where --state says: put it back from a backup; without one, move it away and restore it from the newest receipt or bundle: gapbundle export SPEC --adopt FILE"
	case bundle.AboutReceipt:
		return "nothing was recorded; take the file again from the mirror's state/receipts (gapbundle status MIRROR prints set, stream and key), and compare key and destination: gapbundle receipts list"
	}
	return ""
}
