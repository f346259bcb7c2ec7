package rpmsig

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // packages have it; it is not what is trusted
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
)

// Verdict is what a package turned out to be.
type Verdict struct {
	Identity Identity
	// Signers are the keys whose signatures hold, all of them reaching header and
	// payload together; nobody: the package is not signed.
	Signers openpgp.EntityList
}

// Verifier receives the bytes of a package in order. It is for one goroutine.
type Verifier struct {
	keys openpgp.EntityList
	at   time.Time

	stage stage
	buf   []byte // of the stage
	need  int
	err   error

	sig, head *header
	headBytes []byte
	whole     hash.Hash // MD5 of header and payload, if the package has it
	payload   hash.Hash
	streams   []*streamed // signatures over header and payload
}

type stage int

const (
	atLead stage = iota
	atSigIntro
	atSig
	atIntro
	atHeader
	atPayload
)

// New checks by keys, as of the time at.
func New(keys openpgp.EntityList, at time.Time) *Verifier {
	return &Verifier{keys: keys, at: at, need: leadSize}
}

// Write takes the next bytes. It never fails: Verdict returns what is wrong.
func (v *Verifier) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && v.err == nil {
		if v.stage == atPayload {
			v.pass(p)
			if v.payload != nil {
				v.payload.Write(p)
			}
			break
		}
		take := min(v.need-len(v.buf), len(p))
		v.buf = append(v.buf, p[:take]...)
		if p = p[take:]; len(v.buf) == v.need {
			v.err = v.advance()
		}
	}
	return n, nil
}

// pass writes bytes of header or payload to what reaches over both.
func (v *Verifier) pass(p []byte) {
	if v.whole != nil {
		v.whole.Write(p)
	}
	for _, s := range v.streams {
		s.write(p)
	}
}

// advance looks at what a stage has collected.
func (v *Verifier) advance() (err error) {
	blob := v.buf
	switch v.stage {
	case atLead:
		if !bytes.HasPrefix(blob, []byte{0xed, 0xab, 0xee, 0xdb}) {
			return errors.New("not an rpm package")
		}
		v.next(atSigIntro, introSize)
	case atSigIntro, atIntro:
		n, err := sizes(blob)
		if err != nil {
			return err
		}
		if v.stage == atSigIntro {
			n = (n + 7) &^ 7 // the header after it is aligned
		}
		v.stage++
		if v.need += n; n == 0 {
			return v.advance()
		}
	case atSig:
		if v.sig, err = parseHeader(blob); err != nil {
			return err
		}
		v.next(atIntro, introSize)
	case atHeader:
		if v.head, err = parseHeader(blob); err != nil {
			return err
		}
		v.headBytes = blob
		v.next(atPayload, 0)
		return v.begin()
	}
	return nil
}

func (v *Verifier) next(s stage, need int) { v.stage, v.buf, v.need = s, nil, need }

// begin takes both headers: now it is known what the payload has to
// be held against.
func (v *Verifier) begin() error {
	digest, err := v.sig.bin(sigMD5)
	if err != nil {
		return err
	}
	if digest != nil {
		v.whole = md5.New() //nolint:gosec // see above
	}
	if v.head.has(tagPayloadDigest) {
		algo, told, err := v.head.number(tagPayloadAlgo)
		if err != nil {
			return err
		}
		if !told { // rpm 6 calls the tag SHA-256, and has others for others
			algo = 8
		}
		if v.payload = payloadHash(algo); v.payload == nil {
			return fmt.Errorf("payload digest of algorithm %d: not known", algo)
		}
	}
	for _, tag := range []uint32{sigPGP, sigGPG} {
		text, err := v.sig.bin(tag)
		if err != nil {
			return err
		}
		if text != nil {
			v.streams = append(v.streams, stream(text, v.keys, v.at))
		}
	}
	v.pass(v.headBytes)
	return nil
}

// payloadHash chooses the hash by the numbers of RFC 9580 section 9.5.
func payloadHash(algo uint32) hash.Hash {
	switch algo {
	case 8:
		return sha256.New()
	case 9:
		return sha512.New384()
	case 10:
		return sha512.New()
	}
	return nil
}

// Verdict ends the check, after all bytes were written. The error names what is wrong:
// a digest, a signature, or a signature by no known key.
func (v *Verifier) Verdict() (*Verdict, error) {
	defer v.Close()
	if v.err == nil && v.stage != atPayload {
		v.err = errors.New("not a whole rpm package")
	}
	if v.err != nil {
		return nil, v.err
	}
	id, err := v.head.identity()
	if err != nil {
		return nil, err
	}
	if err := v.digests(); err != nil {
		return nil, err
	}
	signers, err := v.signatures()
	if err != nil {
		return nil, err
	}
	return &Verdict{Identity: id, Signers: signers}, nil
}

// Close ends what Verdict was not asked for.
func (v *Verifier) Close() {
	for _, s := range v.streams {
		s.close()
	}
}

// digests holds every digest that the package has against its bytes.
func (v *Verifier) digests() error {
	for _, d := range []struct {
		tag  uint32
		name string
		of   func() hash.Hash
	}{
		{sigSHA1, "SHA1", sha1.New},
		{sigSHA256, "SHA256", sha256.New},
		{sigSHA3, "SHA3-256", func() hash.Hash { return sha3.New256() }},
	} {
		want, err := v.sig.text(d.tag)
		if err != nil {
			return err
		}
		if want == "" {
			continue
		}
		h := d.of()
		h.Write(v.headBytes)
		if have := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(have, want) {
			return fmt.Errorf("header %s digest: want %.128s, got %s", d.name, want, have)
		}
	}
	if v.whole != nil {
		want, err := v.sig.bin(sigMD5)
		if err != nil {
			return err
		}
		if have := v.whole.Sum(nil); !bytes.Equal(have, want) {
			return fmt.Errorf("header and payload MD5 digest: want %x, got %x", want, have)
		}
	}
	if v.payload != nil {
		want, err := v.head.strings(tagPayloadDigest)
		if err != nil {
			return err
		}
		if have := hex.EncodeToString(v.payload.Sum(nil)); !strings.EqualFold(have, want[0]) {
			return fmt.Errorf("payload digest: want %.128s, got %s", want[0], have)
		}
	}
	return nil
}

// signatures holds every signature against the keys. One of those by which rpm
// before 4.20 knew a package has to hold if it is there; of the OpenPGP list one is enough.
func (v *Verifier) signatures() (signers openpgp.EntityList, err error) {
	var header, both bool
	add := func(all openpgp.EntityList) {
		for _, e := range all {
			if !slices.Contains(signers, e) {
				signers = append(signers, e)
			}
		}
	}
	for _, s := range v.streams {
		signer, err := s.verdict()
		if err != nil {
			return nil, fmt.Errorf("header and payload signature: %w", err)
		}
		add(openpgp.EntityList{signer})
		both = true
	}
	for _, tag := range []uint32{sigRSA, sigDSA} {
		text, err := v.sig.bin(tag)
		if err != nil {
			return nil, err
		}
		if text == nil {
			continue
		}
		signer, err := checkSignature(text, v.headBytes, v.keys, v.at)
		if err != nil {
			return nil, fmt.Errorf("header signature: %w", err)
		}
		add(openpgp.EntityList{signer})
		header = true
	}
	several, err := v.openPGP()
	if err != nil {
		return nil, err
	}
	add(several)
	header = header || len(several) > 0
	switch {
	case both, header && v.payload != nil:
		return signers, nil
	case header:
		return nil, errors.New("signature: is over the header alone, which has no digest of the payload")
	}
	return nil, nil
}

// openPGP checks the list of signatures that rpm has had since 4.20.
func (v *Verifier) openPGP() (signers openpgp.EntityList, err error) {
	list, err := v.sig.strings(sigOpenPGP)
	if err != nil {
		return nil, err
	}
	var others []error
	for _, text := range list {
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return nil, errors.New("header signature: not base64")
		}
		signer, err := checkSignature(raw, v.headBytes, v.keys, v.at)
		if err != nil {
			others = append(others, err)
			continue
		}
		signers = append(signers, signer)
	}
	if len(signers) == 0 && len(others) > 0 {
		return nil, fmt.Errorf("header signature: %w", errors.Join(others...))
	}
	return signers, nil
}

// Keys names keys, for errors.
func Keys(keys openpgp.EntityList) string {
	if len(keys) == 0 {
		return "no key"
	}
	return pgpkeys.Fingerprints(keys)
}
