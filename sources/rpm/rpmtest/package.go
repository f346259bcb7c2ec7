package rpmtest

import (
	"bytes"
	"crypto"
	"crypto/md5" //nolint:gosec // packages have it
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Now is the judging time of tests: that of sourcetest.
var Now = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// NewKey returns a signing key of a year before Now; lifetime 0: for ever.
func NewKey(t testing.TB, name string, lifetime time.Duration) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@a.example", &packet.Config{
		Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048, KeyLifetimeSecs: uint32(lifetime.Seconds()),
		Time: func() time.Time { return Now.AddDate(-1, 0, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Sign returns a detached signature, not armored. A zero time is eleven months
// before Now.
func Sign(t testing.TB, by *openpgp.Entity, content []byte, hash crypto.Hash, at time.Time) []byte {
	t.Helper()
	if at.IsZero() {
		at = Now.AddDate(0, -11, 0)
	}
	var b bytes.Buffer
	salted := false // the same package has the same bytes
	err := openpgp.DetachSign(&b, by, bytes.NewReader(content), &packet.Config{
		DefaultHash: hash, Time: func() time.Time { return at }, NonDeterministicSignaturesViaNotation: &salted,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Version3 makes a signature of version 3 by an RSA key, as rpmsign did for
// EL7. A zero time is eleven months before Now.
func Version3(t testing.TB, by *openpgp.Entity, content []byte, at time.Time) []byte {
	t.Helper()
	if at.IsZero() {
		at = Now.AddDate(0, -11, 0)
	}
	made := binary.BigEndian.AppendUint32([]byte{0}, uint32(at.Unix()))
	h := crypto.SHA256.New()
	h.Write(content)
	h.Write(made)
	digest := h.Sum(nil)
	private, ok := by.PrivateKey.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		t.Fatal("not an RSA key")
	}
	number, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest)
	if err != nil {
		t.Fatal(err)
	}
	body := append([]byte{3, 5}, made...)
	body = binary.BigEndian.AppendUint64(body, by.PrimaryKey.KeyId)
	body = append(body, 1, 8, digest[0], digest[1])
	body = binary.BigEndian.AppendUint16(body, uint16(private.N.BitLen()))
	body = append(body, number...)
	return append(binary.BigEndian.AppendUint16([]byte{0x89}, uint16(len(body))), body...)
}

// Raw makes a signature of version 4 by an RSA key as the OpenPGP library makes
// none: of any type, over a digest of any algorithm, whose number is id.
func Raw(t testing.TB, by *openpgp.Entity, content []byte, kind packet.SignatureType, id byte, hash crypto.Hash) []byte {
	t.Helper()
	private, ok := by.PrivateKey.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		t.Fatal("not an RSA key")
	}
	// Subpackets (RFC 9580 section 5.2.3): when, hashed; by whom, not.
	made := binary.BigEndian.AppendUint32([]byte{5, 2}, uint32(Now.AddDate(0, -11, 0).Unix()))
	body := append([]byte{4, byte(kind), 1, id, 0, byte(len(made))}, made...)
	h := hash.New()
	h.Write(content)
	h.Write(body)
	h.Write(binary.BigEndian.AppendUint32([]byte{4, 0xff}, uint32(len(body))))
	digest := h.Sum(nil)
	number, err := rsa.SignPKCS1v15(nil, private, hash, digest)
	if err != nil {
		t.Fatal(err)
	}
	body = append(body, 0, 10, 9, 16)
	body = binary.BigEndian.AppendUint64(body, by.PrimaryKey.KeyId)
	body = append(body, digest[0], digest[1])
	body = binary.BigEndian.AppendUint16(body, uint16(private.N.BitLen()))
	body = append(body, number...)
	return append(binary.BigEndian.AppendUint16([]byte{0x89}, uint16(len(body))), body...)
}

// Form is how a package is signed.
type Form int

// Forms of signatures, and of what is left out.
const (
	Header      Form = iota // over the header, which has a digest of the payload
	HeaderAlone             // over the header, which has none
	Both                    // over header and payload, and no digest of the payload
	OpenPGP                 // as Header, in the list that rpm 6 writes
	Unsigned                // digests alone
)

// Package is an rpm package.
type Package struct {
	Name, Epoch, Version, Release, Arch string
	// Relations are names, or as "name >= version-release". The index has them
	// all, the header none.
	Requires, Provides, Conflicts, Obsoletes, Recommends []string
	Files                                                []string
	Payload                                              []byte
	SourceRPM                                            string
	// Location is its href: absent, "Packages/<file name>".
	Location, Base string
	// Signer signs; nil: it is not signed.
	Signer *openpgp.Entity
	Form   Form
	Hash   crypto.Hash // of signatures; 0: SHA-256
	Signed time.Time   // zero: eleven months before Now
	// InHeader changes the header: an entry takes the place of those of its tag, one
	// without Data takes them off. InSignature does so for the signature header.
	InHeader    []Entry
	InSignature func(head, both []byte) []Entry
	// Spoil changes the finished file.
	Spoil func(rpm []byte) []byte
	// Signature makes the signature instead of Sign.
	Signature func(content []byte) []byte
}

// FileName returns the package's own: name-version-release.arch.rpm.
func (p *Package) FileName() string {
	return p.Name + "-" + p.Version + "-" + p.Release + "." + p.Arch + ".rpm"
}

// Types and tags of headers.
const (
	int32Type, stringType, binType, stringArrayType = 4, 6, 7, 8
)

// Entry is one of a header's: Kind is its type, Count how many of it Data has.
type Entry struct {
	Tag, Kind, Count uint32
	Data             []byte
}

// change removes entries whose tags are in changes, and adds those of changes
// that have Data.
func change(entries, changes []Entry) []Entry {
	for _, c := range changes {
		entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.Tag == c.Tag })
	}
	for _, c := range changes {
		if c.Data != nil {
			entries = append(entries, c)
		}
	}
	return entries
}

func text(tag uint32, s string) Entry { return Entry{tag, stringType, 1, append([]byte(s), 0)} }

// Texts returns an entry of strings.
func Texts(tag uint32, all ...string) Entry {
	var b []byte
	for _, s := range all {
		b = append(append(b, s...), 0)
	}
	return Entry{tag, stringArrayType, uint32(len(all)), b}
}

// Number returns an entry of one number.
func Number(tag, n uint32) Entry {
	return Entry{tag, int32Type, 1, binary.BigEndian.AppendUint32(nil, n)}
}

// Bin returns an entry of bytes.
func Bin(tag uint32, b []byte) Entry { return Entry{tag, binType, uint32(len(b)), b} }

// header writes a header with a region, as rpm does.
func header(region uint32, items []Entry) []byte {
	slices.SortStableFunc(items, func(a, b Entry) int { return int(a.Tag) - int(b.Tag) })
	var index, data []byte
	entry := func(i Entry, offset uint32) {
		for _, n := range []uint32{i.Tag, i.Kind, offset, i.Count} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
	}
	for _, i := range items {
		for i.Kind == int32Type && len(data)%4 != 0 {
			data = append(data, 0)
		}
		entry(i, uint32(len(data)))
		data = append(data, i.Data...)
	}
	total := uint32(len(items) + 1)
	var trailer []byte
	for _, n := range []uint32{region, binType, -(total * 16), 16} {
		trailer = binary.BigEndian.AppendUint32(trailer, n)
	}
	rest := index
	index = nil
	entry(Entry{Tag: region, Kind: binType, Count: 16}, uint32(len(data)))
	index = append(index, rest...)
	data = append(data, trailer...)
	out := []byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0}
	out = binary.BigEndian.AppendUint32(out, total)
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	return append(append(out, index...), data...)
}

// Build returns the file.
func (p *Package) Build(t testing.TB) []byte {
	t.Helper()
	payload := p.Payload
	if payload == nil {
		payload = bytes.Repeat([]byte(p.FileName()+"\n"), 40)
	}
	items := []Entry{text(1000, p.Name), text(1001, p.Version), text(1002, p.Release), text(1004, "what "+p.Name+" is"), text(1022, p.Arch)}
	if p.Arch != "src" && p.Arch != "nosrc" {
		items = append(items, text(1044, p.Name+"-"+p.Version+"-"+p.Release+".src.rpm"))
	}
	if p.Epoch != "" && p.Epoch != "0" {
		items = append(items, Number(1003, uint32(p.Epoch[0]-'0')))
	}
	if p.Form != HeaderAlone && p.Form != Both {
		sum := sha256.Sum256(payload)
		items = append(items, Texts(5092, hex.EncodeToString(sum[:])))
		if p.Form != OpenPGP { // rpm 6 leaves it out
			items = append(items, Number(5093, 8))
		}
	}
	head := header(63, change(items, p.InHeader))
	both := append(bytes.Clone(head), payload...)
	sum1, sum256, sum5 := sha1.Sum(head), sha256.Sum256(head), md5.Sum(both) //nolint:gosec // see above
	sigs := []Entry{text(269, hex.EncodeToString(sum1[:])), text(273, hex.EncodeToString(sum256[:])), Bin(1004, sum5[:])}
	if p.Signer != nil && p.Form != Unsigned {
		sigs = append(sigs, p.signature(t, head, both))
	}
	if p.InSignature != nil {
		sigs = change(sigs, p.InSignature(head, both))
	}
	sig := header(62, sigs)
	for len(sig)%8 != 0 {
		sig = append(sig, 0)
	}
	lead := make([]byte, 96)
	copy(lead, []byte{0xed, 0xab, 0xee, 0xdb, 3, 0})
	copy(lead[10:], p.Name)
	lead[78+1] = 5
	out := slices.Concat(lead, sig, both)
	if p.Spoil != nil {
		out = p.Spoil(out)
	}
	return out
}

func (p *Package) signature(t testing.TB, head, both []byte) Entry {
	hash := p.Hash
	if hash == 0 {
		hash = crypto.SHA256
	}
	sign := func(b []byte) []byte {
		if p.Signature != nil {
			return p.Signature(b)
		}
		return Sign(t, p.Signer, b, hash, p.Signed)
	}
	switch p.Form {
	case Both:
		return Bin(1002, sign(both))
	case OpenPGP:
		return Texts(278, base64.StdEncoding.EncodeToString(sign(head)))
	}
	return Bin(268, sign(head))
}
