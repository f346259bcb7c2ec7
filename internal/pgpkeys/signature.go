package pgpkeys

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	// MaxSignature bounds a detached signature.
	MaxSignature = 1 << 20 // bytes
	// maxSignatures bounds how many signatures of one content are looked at.
	maxSignatures = 16
)

// Dearmor returns a detached signature without its armor, if it has any.
func Dearmor(sig []byte) ([]byte, error) {
	if !bytes.Contains(sig, []byte(Armored)) {
		return sig, nil
	}
	block, err := armor.Decode(bytes.NewReader(sig))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(block.Body)
	return b.Bytes(), err
}

// Signers returns the keys whose signatures over content hold at the time at: one is
// enough, as archives sign with the key before and the one after a change.
// Expired and revoked keys count for nothing.
func Signers(content, signatures []byte, keys openpgp.EntityList, at time.Time) (openpgp.EntityList, error) {
	return SignersOf(bytes.NewReader(content), signatures, keys, at)
}

// SignersOf works like Signers, for content that is not in memory: it is read once for
// each signature. An error of reading it is returned as it is.
func SignersOf(content io.ReadSeeker, signatures []byte, keys openpgp.EntityList, at time.Time) (openpgp.EntityList, error) {
	config := &packet.Config{Time: func() time.Time { return at }}
	var signers openpgp.EntityList
	var others []string
	r := packet.NewReader(bytes.NewReader(signatures))
	for n := 0; ; n++ {
		p, err := r.Next()
		if err != nil {
			break // the end, or what nobody could read
		}
		sig, ok := p.(*packet.Signature)
		if !ok || n == maxSignatures {
			return nil, errors.New("signature not readable")
		}
		var one bytes.Buffer
		if err := sig.Serialize(&one); err != nil {
			return nil, errors.New("signature not readable")
		}
		signer, err := (*openpgp.Entity)(nil), Forgeable(sig)
		watched := &watchedReader{in: content}
		if err == nil {
			if _, err := content.Seek(0, io.SeekStart); err != nil {
				return nil, err
			}
			signer, err = openpgp.CheckDetachedSignature(keys, watched, &one, config)
		}
		switch {
		case watched.err != nil:
			return nil, watched.err
		case err != nil:
			others = append(others, fmt.Sprintf("%s (%v)", Issuer(sig), err))
		case !slices.Contains(signers, signer):
			signers = append(signers, signer)
		}
	}
	if len(signers) > 0 {
		return signers, nil
	}
	if len(others) == 0 {
		return nil, errors.New("signature not readable")
	}
	return nil, errors.New("signature by " + strings.Join(others, ", "))
}

// watchedReader keeps the error of a reader, which is not the signature's.
type watchedReader struct {
	in  io.Reader
	err error
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.in.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// Forgeable reports for a signature that it counts for nothing, whoever made it: two
// contents with one MD5, SHA-1 or RIPEMD-160 are made to order, and a signature
// of the one is a signature of the other. The OpenPGP library checks those
// over SHA-1 like any.
func Forgeable(sig *packet.Signature) error {
	switch sig.Hash {
	case crypto.MD5, crypto.SHA1, crypto.RIPEMD160:
		return fmt.Errorf("over a digest that is not trusted: %s", sig.Hash)
	}
	return nil
}

// Issuer returns the signer by a signature's own claim, for errors. The claim is not verified.
func Issuer(sig *packet.Signature) string {
	switch {
	case len(sig.IssuerFingerprint) > 0:
		return fmt.Sprintf("%X", sig.IssuerFingerprint)
	case sig.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *sig.IssuerKeyId)
	}
	return "nobody (unnamed)"
}
