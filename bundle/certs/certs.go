// Package certs reads which OpenPGP certificates a key file has, for the import,
// which compares them with what a signed root declares.
//
// It cuts the packets itself: a library that reads keys skips what it does not know,
// and a client that knows it would trust a key that nobody looked at. Anything that is
// not plainly a file of public keys is therefore an error here: secret keys, other
// packets, text around the armor, lengths that are left open, keys that the library
// cannot read or sees with another fingerprint.
package certs

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 9580 section 5.5.4.2: the fingerprint of a version 4 key
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"regexp"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// MaxFile bounds a key file, which is in memory as a whole, armored and not.
// An exporter reads keyrings of at most 8 MiB, which are 11 MiB with armor.
const MaxFile = 16 << 20 // bytes

// Packet types of RFC 9580 section 5 that a file of public keys may have.
const (
	typeSignature     = 2
	typeSecretKey     = 5
	typePublicKey     = 6
	typeSecretSubkey  = 7
	typeUserID        = 13
	typePublicSubkey  = 14
	typeUserAttribute = 17
	typePadding       = 21
)

// Sizes of the body of a public key packet: version, time and algorithm come
// first; a fingerprint of version 4 has 16 bits for the length.
const (
	minKey   = 6         // bytes
	maxV4Key = 1<<16 - 1 // bytes
)

// Each calls found with the fingerprint of every certificate in file, in their
// order, as 40 or 64 upper-case hexadecimal digits. The file has an OpenPGP public
// key or several, armored or not. An error of found is returned as it is.
func Each(file []byte, found func(fingerprint string) error) error {
	if len(file) > MaxFile {
		return fmt.Errorf("%s, at most %d", spelling.Count(len(file), "byte"), MaxFile)
	}
	if len(file) > 0 && file[0] >= firstBit {
		return packets(file, found)
	}
	blocks := 0
	for {
		block, rest, err := dearmor(file)
		if err != nil {
			return err
		}
		if block == nil {
			break
		}
		if err := packets(block, found); err != nil {
			return err
		}
		blocks, file = blocks+1, rest
	}
	if blocks == 0 {
		return errors.New("no key in it")
	}
	return nil
}

// firstBit is set in the first byte of every packet, and in no byte of ASCII text.
const firstBit = 0x80

// packets reads the packets of one or several certificates.
func packets(b []byte, found func(fingerprint string) error) error {
	for n := 1; len(b) > 0 || n == 1; n++ {
		kind, body, rest, err := frame(b)
		if err != nil {
			return fmt.Errorf("packet %d: %w", n, err)
		}
		switch kind {
		case typePublicKey:
			fingerprint, err := fingerprint(b[:len(b)-len(rest)], body)
			if err != nil {
				return fmt.Errorf("packet %d: %w", n, err)
			}
			if err := found(fingerprint); err != nil {
				return err
			}
		case typeSecretKey, typeSecretSubkey:
			return fmt.Errorf("packet %d: a secret key", n)
		case typeSignature, typeUserID, typePublicSubkey, typeUserAttribute, typePadding:
			if n == 1 {
				return fmt.Errorf("packet 1: of type %d, want a public key", kind)
			}
		default:
			return fmt.Errorf("packet %d: of type %d, which no public key has", n, kind)
		}
		b = rest
	}
	return nil
}

// frame cuts off the first packet: RFC 9580 section 4.2. Lengths that are left
// open, or given in parts, are for data and not for keys.
func frame(b []byte) (kind byte, body, rest []byte, err error) {
	const (
		newFormat  = 0x40
		twoOctets  = 192 // the first octet of lengths of two octets, up to
		inParts    = 224 // those of a length in parts, up to
		fourOctets = 255
	)
	if len(b) < 2 || b[0] < firstBit {
		return 0, nil, nil, errors.New("no packet begins here")
	}
	var width, at int // of the length, and where it begins
	if b[0]&newFormat == 0 {
		kind, at = b[0]>>2&0x0f, 1
		width = 1 << (b[0] & 3)
		if width > 4 {
			return 0, nil, nil, errors.New("a packet without a length")
		}
	} else {
		kind = b[0] & 0x3f
		switch first := b[1]; {
		case first < twoOctets:
			width, at = 1, 1
		case first < inParts:
			if len(b) < 3 {
				return 0, nil, nil, errors.New("cut off")
			}
			size := int(first-twoOctets)<<8 + int(b[2]) + twoOctets
			return cut(kind, b[3:], size)
		case first == fourOctets:
			width, at = 4, 2
		default:
			return 0, nil, nil, errors.New("a packet in parts")
		}
	}
	if len(b) < at+width {
		return 0, nil, nil, errors.New("cut off")
	}
	var octets [8]byte
	copy(octets[8-width:], b[at:at+width])
	size := binary.BigEndian.Uint64(octets[:])
	if size > MaxFile {
		return 0, nil, nil, fmt.Errorf("of %s, at most %d", spelling.Count(size, "byte"), MaxFile)
	}
	return cut(kind, b[at+width:], int(size))
}

func cut(kind byte, b []byte, size int) (_ byte, body, rest []byte, err error) {
	if size > len(b) {
		return 0, nil, nil, errors.New("cut off")
	}
	return kind, b[:size], b[size:], nil
}

// fingerprint returns the fingerprint of a public key packet with this body: RFC 9580 section
// 5.5.4. Programs hash the numbers that they have read, not the packet: a packet in
// which the two differ would be two keys.
func fingerprint(whole, body []byte) (string, error) {
	const v4, v6 = 4, 6
	if len(body) < minKey {
		return "", fmt.Errorf("a public key of %s", spelling.Count(len(body), "byte"))
	}
	var h hash.Hash
	var head []byte
	switch version := body[0]; {
	case version == v4 && len(body) <= maxV4Key:
		h, head = sha1.New(), binary.BigEndian.AppendUint16([]byte{0x99}, uint16(len(body))) //nolint:gosec // as above; bounded
	case version == v6:
		h, head = sha256.New(), binary.BigEndian.AppendUint32([]byte{0x9b}, uint32(len(body)))
	default:
		return "", fmt.Errorf("a public key of version %d with %s, want version 4 or 6", version, spelling.Count(len(body), "byte"))
	}
	h.Write(head)
	h.Write(body)
	sum := h.Sum(nil)
	p, err := packet.Read(bytes.NewReader(whole))
	if err != nil {
		return "", err
	}
	if key, ok := p.(*packet.PublicKey); !ok || !bytes.Equal(key.Fingerprint, sum) {
		return "", fmt.Errorf("a public key with the hash %X that is read as another one", sum)
	}
	return fmt.Sprintf("%X", sum), nil
}

const (
	armorBegin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	armorEnd   = "-----END PGP PUBLIC KEY BLOCK-----"
)

var (
	armorHeader   = regexp.MustCompile(`^[A-Za-z-]+: `)
	armorChecksum = regexp.MustCompile(`^=[A-Za-z0-9+/]{4}$`)
)

// dearmor decodes the first armored block, RFC 9580 section 6.2, and returns what
// follows it; nil if nothing but empty lines is left. The checksum is not looked at:
// a client that cares refuses the file.
func dearmor(b []byte) (block, rest []byte, err error) {
	line, b, more := nextLine(b)
	for len(line) == 0 {
		if !more {
			return nil, nil, nil
		}
		line, b, more = nextLine(b)
	}
	if secret := []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----"); bytes.Equal(line, secret) {
		return nil, nil, errors.New("a secret key")
	}
	if string(line) != armorBegin {
		return nil, nil, fmt.Errorf("line %.60q: want %s", line, armorBegin)
	}
	for line, b, more = nextLine(b); armorHeader.Match(line); line, b, more = nextLine(b) {
	}
	if len(line) > 0 {
		return nil, nil, fmt.Errorf("line %.60q: want an empty line before the key", line)
	}
	var text []byte
	for more {
		line, b, more = nextLine(b)
		if armorChecksum.Match(line) {
			line, b, more = nextLine(b)
			if string(line) != armorEnd {
				return nil, nil, fmt.Errorf("line %.60q: want %s", line, armorEnd)
			}
		}
		if string(line) == armorEnd {
			block = make([]byte, base64.StdEncoding.DecodedLen(len(text)))
			n, err := base64.StdEncoding.Strict().Decode(block, text)
			return block[:n], b, err
		}
		text = append(text, line...)
	}
	return nil, nil, fmt.Errorf("no %s", armorEnd)
}

// nextLine cuts off the first line, without white space at its end; more reports
// whether another one follows.
func nextLine(b []byte) (line, rest []byte, more bool) {
	line, rest, more = bytes.Cut(b, []byte{'\n'})
	return bytes.TrimRight(line, " \t\r"), rest, more
}
