package rpm

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmsig"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// trust is what the packages of a source are checked by.
type trust struct {
	keys keyring.Keys
	// published is the text of the keys below keys/ of the mirror; nil: there are none.
	published []byte
	unsigned  bool // packages without a signature are accepted
	at        time.Time
	// mark names keys, those that have lapsed, and rule. It is recorded with
	// each package as its validator: one that was collected under another mark
	// is checked again.
	mark string
}

func newTrust(keys keyring.Keys, unsigned bool, at time.Time) *trust {
	at = at.Add(keyring.ClockSkew)
	var prints, lapsed []string
	for _, k := range keys {
		prints = append(prints, pgpkeys.Fingerprint(k))
		some, _ := rpmsig.Lapsed(k, at)
		lapsed = append(lapsed, some...)
	}
	text, err := json.Marshal(struct {
		Keys, Lapsed []string
		Unsigned     bool
	}{prints, lapsed, unsigned})
	if err != nil {
		text = nil // strings always marshal
	}
	published, err := keys.Publish(keyring.RoleUpstream, "")
	var armored []byte
	if err == nil && len(published) > 0 { // repository reports an error
		armored = published[0].Armored
	}
	return &trust{keys: keys, published: armored, unsigned: unsigned, at: at, mark: "rpm:" + bundle.DigestOf(text).Hex()[:16]}
}

// usable refuses a keyring in which every key has expired or is revoked: no package could pass.
func (t *trust) usable() error {
	var why []string
	for _, k := range t.keys {
		_, cause := rpmsig.Lapsed(k, t.at)
		if cause == nil {
			return nil
		}
		why = append(why, fmt.Sprintf("%s: %v", pgpkeys.Fingerprint(k), cause))
	}
	if len(why) == 0 || t.unsigned {
		return nil
	}
	return fmt.Errorf("gpgkey: no key of the source counts at %s; get the vendor's present one: %s: %w",
		t.at.UTC().Format(time.DateOnly), strings.Join(why, ", "), fetch.ErrRefused)
}

// validator returns the mark of a package's file: the keys that checked it, and the package
// that the index lists it as.
func (t *trust) validator(f *stock.File) string {
	mark := t.mark + ":" + bundle.DigestOf([]byte(f.Tag)).Hex()[:16]
	if f.Digest.IsZero() {
		return mark + ":" + f.More.Sum.String()
	}
	return mark
}

// vouched returns how packages are vouched for. If one of several keys signed, which one is
// not known before the package is read, and the index has to do.
func (t *trust) vouched(h *head) string {
	switch {
	case len(t.keys) == 1 && !t.unsigned:
		return t.keys.Vouched()
	case !t.unsigned:
		return bundle.VouchedIndex
	}
	return h.vouchedIndex()
}

// open returns the function that opens a package and checks its signature while it is
// read. The recorded validator has the keys that checked it. An empty identity is not
// compared: that was done when the base was made.
func (t *trust) open(env *sources.Env, place *upstream.Place, name string, want upstream.Want, who identity, validator string) bundle.Open {
	verify := func(where string) upstream.Verifier {
		return &verifier{rpmsig.New(openpgp.EntityList(t.keys), t.at), t, where, who}
	}
	return upstream.Validated(place.OpenChecked(env, want, verify, name), validator)
}

// verifier checks the signature of a package, and that it is the one that the index states.
type verifier struct {
	signature *rpmsig.Verifier
	trust     *trust
	where     string // for errors
	identity  identity
}

func (v *verifier) Write(p []byte) (int, error) { return v.signature.Write(p) }

func (v *verifier) Verdict() error {
	verdict, err := v.signature.Verdict()
	wanted := rpmsig.Keys(openpgp.EntityList(v.trust.keys))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w, want a signature by %s: %w", v.where, err, wanted, bundle.About(bundle.AboutSigner, fetch.ErrRefused))
	case len(verdict.Signers) == 0 && !v.trust.unsigned:
		return fmt.Errorf("%s: package is not signed, want a signature by %s (allow-unsigned: true accepts it): %w", v.where, wanted, bundle.About(bundle.AboutSigner, fetch.ErrRefused))
	}
	if own := ownIdentity(verdict.Identity); v.identity != "" && v.identity != own {
		return fmt.Errorf("%s: is %s by its own header, the index says %s: %w", v.where, own, v.identity, fetch.ErrRefused)
	}
	return nil
}

func (v *verifier) Close() { v.signature.Close() }

// finish completes the artifact of a package, which has to have a signature of its own.
// A package of the base counts if it was checked by the same keys. shared are the paths of
// packages whose content an earlier source of the plan has, checked by the same keys.
func (t *trust) finish(env *sources.Env, f *stock.File, recorded *sources.Recorded, shared map[string]bool, a *sources.Artifact) {
	want := upstream.Want{Sum: upstream.SHA256(f.Digest), Size: f.Size}
	if f.Digest.IsZero() {
		want.Sum = f.More.Sum
	}
	a.Validator = t.validator(f)
	a.Open = t.open(env, f.Place, f.From, want, identity(f.Tag), a.Validator)
	if recorded != nil && recorded.Validator == a.Validator && (f.Digest.IsZero() || recorded.File.Digest == f.Digest) {
		a.File.Digest, a.File.Size = recorded.File.Digest, recorded.File.Size
		return
	}
	if !shared[f.Path] {
		a.Known = upstream.ReadThrough(a.Open)
	}
}

// identity is which package a file is: epoch, version, release, architecture and name,
// a line each. A NEVRA has less: "a-1-2-3.noarch" is version 2 of "a-1", and
// version "1-2" of "a".
type identity string

func identityOf(p *rpmmd.Package) identity {
	return identity(strconv.FormatUint(uint64(p.EVR.Epoch), 10) + "\n" + p.EVR.Version + "\n" + p.EVR.Release + "\n" + p.Arch + "\n" + p.Name)
}

// ownIdentity returns the identity by a package's header.
func ownIdentity(id rpmsig.Identity) identity {
	return identityOf(&rpmmd.Package{Name: id.Name, EVR: rpmmd.EVR{Epoch: id.Epoch, Version: id.Version, Release: id.Release}, Arch: id.Arch})
}

// String returns the NEVRA, for people.
func (i identity) String() string {
	part := strings.SplitN(string(i), "\n", 5)
	if len(part) < 5 {
		return string(i)
	}
	epoch := part[0] + ":"
	if epoch == "0:" {
		epoch = ""
	}
	return fmt.Sprintf("%s-%s%s-%s.%s", part[4], epoch, part[1], part[2], part[3])
}

// owners knows which package is at a location. A list that has two packages there would
// have one of them checked, and take its content for the other one as well. Hashes with a
// seed of their own stand for both: a list has millions.
type owners struct {
	seed maphash.Seed
	at   map[uint64]uint64
}

func newOwners() *owners { return &owners{maphash.MakeSeed(), map[uint64]uint64{}} }

func (o *owners) add(path string, p *rpmmd.Package) error {
	place := maphash.String(o.seed, path)
	own := maphash.Comparable(o.seed, struct {
		name, arch string
		evr        rpmmd.EVR
	}{p.Name, p.Arch, p.EVR})
	if before, ok := o.at[place]; ok && before != own {
		return fmt.Errorf("location %.200q: is another package's too: %w", path, fetch.ErrUpstream)
	}
	o.at[place] = own
	return nil
}
