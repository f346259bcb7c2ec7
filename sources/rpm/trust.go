package rpm

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmsig"
)

// trust is what the packages of a source are held against.
type trust struct {
	keys     openpgp.EntityList
	unsigned bool // packages without a signature are let in
	at       time.Time
	// mark names keys, those that have lapsed, and rule. It is recorded with
	// each package as its validator: one that was collected under another mark
	// is checked again.
	mark string
}

func newTrust(keys openpgp.EntityList, unsigned bool, at time.Time) *trust {
	at = at.Add(clockSkew)
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
	return &trust{keys: keys, unsigned: unsigned, at: at, mark: "rpm:" + bundle.DigestOf(text).Hex()[:16]}
}

// usable refuses keys of which none counts any more: nothing could be carried.
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

// validator is the mark of a package's file: what it was checked by, and who the
// index says that it is.
func (t *trust) validator(want *expectation) string {
	mark := t.mark + ":" + bundle.DigestOf([]byte(want.identity)).Hex()[:16]
	if want.checksum.Type == "sha256" {
		return mark
	}
	return mark + ":" + want.checksum.Type + ":" + want.checksum.Hex
}

// vouched is how packages are vouched for. Which of several keys signed one is
// not known before it is read, and then the index has to do.
func (t *trust) vouched(l *located) string {
	switch {
	case len(t.keys) == 1 && !t.unsigned:
		return bundle.VouchedOpenPGP + pgpkeys.Fingerprint(t.keys[0])
	case !t.unsigned:
		return bundle.VouchedIndex
	}
	return l.vouchedIndex()
}

// expectation is what an index says about a file.
type expectation struct {
	where    string // for errors
	checksum rpmmd.Checksum
	size     int64    // -1: not told
	identity identity // "": it was compared when the base was made
}

// checked reads a file while it is verified: the last byte is given out when
// everything holds.
type checked struct {
	in     io.ReadCloser
	want   expectation
	trust  *trust // nil: no package, the checksum alone is checked
	sum    hash.Hash
	verify *rpmsig.Verifier
	n      int64
	buf    []byte
	held   []byte // of buf: read and not given out
	err    error  // what follows behind held
}

// chunk is how much is read at once.
const chunk = 64 << 10 // bytes

func newChecked(in io.ReadCloser, want expectation, t *trust) *checked {
	c := &checked{in: in, want: want, trust: t, sum: newHash(want.checksum.Type), buf: make([]byte, chunk)}
	if t != nil {
		c.verify = rpmsig.New(t.keys, t.at)
	}
	return c
}

// Read gives one byte less than it has, until the verdict.
func (c *checked) Read(p []byte) (int, error) {
	for {
		ready := c.held
		if c.err != io.EOF && len(ready) > 0 {
			ready = ready[:len(ready)-1]
		}
		switch {
		case len(ready) > 0:
			n := copy(p, ready)
			c.held = c.held[n:]
			return n, nil
		case c.err != nil:
			return 0, c.err
		}
		kept := copy(c.buf, c.held)
		n, err := c.in.Read(c.buf[kept:])
		c.take(c.buf[kept : kept+n])
		c.held = c.buf[:kept+n]
		switch {
		case err == nil && c.want.size >= 0 && c.n > c.want.size: // it may never end
			err = c.verdict()
		case err == io.EOF:
			if err = c.verdict(); err == nil {
				err = io.EOF
			}
		}
		c.err = err
	}
}

func (c *checked) take(p []byte) {
	c.n += int64(len(p))
	c.sum.Write(p)
	if c.verify != nil {
		_, _ = c.verify.Write(p) // never fails
	}
}

// verdict is about the whole content.
func (c *checked) verdict() error {
	have := hex.EncodeToString(c.sum.Sum(nil))
	if c.want.size >= 0 && c.n != c.want.size || have != c.want.checksum.Hex {
		// The collector takes it for a file that changed meanwhile.
		return fmt.Errorf("%s: want %s:%s (%d bytes), got %s (%d bytes): %w",
			c.want.where, c.want.checksum.Type, c.want.checksum.Hex, c.want.size, have, c.n, bundle.ErrCorrupt)
	}
	if c.verify == nil {
		return nil
	}
	v, err := c.verify.Verdict()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w, want a signature by %s: %w", c.want.where, err, rpmsig.Keys(c.trust.keys), fetch.ErrRefused)
	case len(v.Signers) == 0 && !c.trust.unsigned:
		return fmt.Errorf("%s: package is not signed, want a signature by %s (allow-unsigned: true lets it in): %w",
			c.want.where, rpmsig.Keys(c.trust.keys), fetch.ErrRefused)
	}
	if own := ownIdentity(v.Identity); c.want.identity != "" && c.want.identity != own {
		return fmt.Errorf("%s: says of itself that it is %s, the index says %s: %w", c.want.where, own, c.want.identity, fetch.ErrRefused)
	}
	return nil
}

// Close ends the check as well.
func (c *checked) Close() error {
	if c.verify != nil {
		c.verify.Close()
	}
	return c.in.Close()
}

// identity is who a package is: epoch, version, release, architecture and name,
// a line each. A NEVRA tells less: "a-1-2-3.noarch" is version 2 of "a-1", and
// version "1-2" of "a".
type identity string

func identityOf(p *rpmmd.Package) identity {
	return identity(fmt.Sprintf("%d\n%s\n%s\n%s\n%s", p.EVR.Epoch, p.EVR.Version, p.EVR.Release, p.Arch, p.Name))
}

// ownIdentity is that of a package's header.
func ownIdentity(id rpmsig.Identity) identity {
	return identityOf(&rpmmd.Package{Name: id.Name, EVR: rpmmd.EVR{Epoch: id.Epoch, Version: id.Version, Release: id.Release}, Arch: id.Arch})
}

// String is for people: the NEVRA.
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

// residents tells who lies at a location. A list that has two packages there would
// have one of them checked, and say of its content that it is the other one as
// well. Hashes with a seed of their own stand for both: a list has millions.
type residents struct {
	seed maphash.Seed
	at   map[uint64]uint64
}

func newResidents() *residents { return &residents{maphash.MakeSeed(), map[uint64]uint64{}} }

func (r *residents) add(path string, who identity) error {
	place, own := maphash.String(r.seed, path), maphash.String(r.seed, string(who))
	if before, ok := r.at[place]; ok && before != own {
		return fmt.Errorf("location %.200q: is another package's too: %w", path, fetch.ErrUpstream)
	}
	r.at[place] = own
	return nil
}

// open opens a file that is checked while it is read: from its first byte on,
// whatever is asked for.
func (w expectation) open(client *fetch.Client, urls []string, t *trust) bundle.Open {
	next := rotation(urls)
	return func(ctx context.Context, _ int64, _ string) (*bundle.Content, error) {
		body, err := openFirst(ctx, client, next(0), 0, "")
		if err != nil {
			return nil, err
		}
		w := w
		w.where = fetch.Redact(body.Meta.URL)
		sized, err := ending(body, w.size)
		if err != nil {
			return nil, err
		}
		c := &bundle.Content{Body: newChecked(sized, w, t)}
		if t != nil {
			c.Validator = t.validator(&w)
		}
		return c, nil
	}
}
