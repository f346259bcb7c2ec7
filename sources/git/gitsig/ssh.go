package gitsig

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
)

const (
	sshMagic     = "SSHSIG"
	sshNamespace = "git"
	sshEnd       = "-----END SSH SIGNATURE-----"
	maxSSHSigner = 10_000 // lines of an allowed-signers file
)

// allowed is one key of an allowed-signers file.
type allowed struct {
	key           ssh.PublicKey
	after, before time.Time // zero: no bound
}

// parseAllowed reads an allowed-signers file: principals, options, and a key
// on each line. The names of the principals are up to the writer of the file; a
// signature of a tag names nobody. Keys for other namespaces are left out, and
// certificate authorities refused, since certificates are not read.
func parseAllowed(content []byte) ([]allowed, error) {
	var all []allowed
	scanner := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if n > maxSSHSigner {
			return nil, fmt.Errorf("more than %d lines", maxSSHSigner)
		}
		_, rest, ok := cutWord(line)
		if !ok {
			return nil, fmt.Errorf("line %d: want principals and a key", n)
		}
		// After the principals a line is as in authorized_keys.
		key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		a := allowed{key: key}
		git, err := a.apply(options)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if git {
			all = append(all, a)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("no OpenPGP key, and no line of an allowed-signers file for the namespace git")
	}
	return all, nil
}

// cutWord cuts the first word off, which may be in quotes.
func cutWord(line string) (word, rest string, ok bool) {
	quoted := false
	for i, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case (r == ' ' || r == '\t') && !quoted:
			return line[:i], strings.TrimLeft(line[i:], " \t"), true
		}
	}
	return line, "", false
}

// apply reads options; git reports whether the key may sign for git.
func (a *allowed) apply(options []string) (git bool, err error) {
	git = true
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "namespaces":
			git = slices.Contains(strings.Split(value, ","), sshNamespace)
		case "valid-after":
			a.after, err = parseSSHTime(value)
		case "valid-before":
			a.before, err = parseSSHTime(value)
		default:
			err = fmt.Errorf("option %.40q: not supported", name)
		}
		if err != nil {
			return false, err
		}
	}
	return git, nil
}

// parseSSHTime reads a time of ssh-keygen(1). One without Z is local time
// there; here it is UTC, since the machine's zone must not decide.
func parseSSHTime(s string) (time.Time, error) {
	digits := strings.TrimSuffix(s, "Z")
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(digits) == len(layout) {
			return time.Parse(layout, digits)
		}
	}
	return time.Time{}, fmt.Errorf("time %.40q: want YYYYMMDD[HHMM[SS]][Z]", s)
}

// sshSignature is the content of the armor (PROTOCOL.sshsig).
type sshSignature struct {
	key                       []byte
	namespace, reserved, hash string
	signature                 ssh.Signature
}

func parseSSHSignature(armored []byte) (s sshSignature, err error) {
	text, _, found := strings.Cut(strings.TrimPrefix(string(armored), sshArmor), sshEnd)
	if !found {
		return s, errors.New("an SSH signature that does not end")
	}
	blob, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, text))
	if err != nil {
		return s, err
	}
	rest, ok := bytes.CutPrefix(blob, []byte(sshMagic+"\x00\x00\x00\x01"))
	if !ok {
		return s, errors.New("not an SSH signature of version 1")
	}
	var inner []byte
	for _, field := range []func([]byte){
		func(b []byte) { s.key = b }, func(b []byte) { s.namespace = string(b) }, func(b []byte) { s.reserved = string(b) },
		func(b []byte) { s.hash = string(b) }, func(b []byte) { inner = b },
	} {
		var b []byte
		if b, rest, err = cutString(rest); err != nil {
			return s, err
		}
		field(b)
	}
	if len(rest) > 0 {
		return s, errors.New("an SSH signature with bytes after it")
	}
	return s, ssh.Unmarshal(inner, &s.signature)
}

// weakSSH returns what is wrong with a key; empty: nothing.
func weakSSH(key ssh.PublicKey) string {
	public, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return ""
	}
	switch k := public.CryptoPublicKey().(type) {
	case *rsa.PublicKey:
		return pubkeys.WeakLength("RSA", k.N.BitLen())
	case ed25519.PublicKey:
		if bundle.IsSmallOrder(k) {
			return "an Ed25519 point of small order, by which anybody can sign"
		}
	}
	return ""
}

// cutString cuts a string with its length off (RFC 4251, section 5).
func cutString(b []byte) (s, rest []byte, err error) {
	if len(b) < 4 || int64(binary.BigEndian.Uint32(b)) > int64(len(b)-4) {
		return nil, nil, errors.New("an SSH signature that is cut off")
	}
	n := binary.BigEndian.Uint32(b)
	return b[4 : 4+n], b[4+n:], nil
}

func (k *Keys) verifySSH(payload, armored []byte, now time.Time) (string, error) {
	if len(k.ssh) == 0 {
		return "", errors.New("by SSH, and the spec names no allowed-signers file")
	}
	s, err := parseSSHSignature(armored)
	if err != nil {
		return "", err
	}
	if s.namespace != sshNamespace {
		return "", fmt.Errorf("for the namespace %.40q, want %s", s.namespace, sshNamespace)
	}
	if s.signature.Format == ssh.KeyAlgoRSA || s.signature.Format == "ssh-dss" {
		return "", fmt.Errorf("of the kind %s, which uses SHA-1", s.signature.Format)
	}
	var sum []byte
	switch s.hash {
	case "sha256":
		h := sha256.Sum256(payload)
		sum = h[:]
	case "sha512":
		h := sha512.Sum512(payload)
		sum = h[:]
	default:
		return "", fmt.Errorf("over the hash %.40q, want sha256 or sha512", s.hash)
	}
	i := slices.IndexFunc(k.ssh, func(a allowed) bool { return bytes.Equal(a.key.Marshal(), s.key) })
	if i < 0 {
		return "", errors.New("by an SSH key that the allowed-signers file does not have")
	}
	a := k.ssh[i]
	if !a.after.IsZero() && now.Before(a.after) || !a.before.IsZero() && !now.Before(a.before) {
		return "", fmt.Errorf("by the key %s, which is not valid at %s", ssh.FingerprintSHA256(a.key), now.UTC().Format(time.RFC3339))
	}
	if why, print := weakSSH(a.key), ssh.FingerprintSHA256(a.key); why != "" && (k.Weak == nil || !k.Weak(print)) {
		return "", fmt.Errorf("by the key %s, which is weak: %s", print, why)
	}
	signed := []byte(sshMagic)
	for _, field := range [][]byte{[]byte(s.namespace), []byte(s.reserved), []byte(s.hash), sum} {
		signed = binary.BigEndian.AppendUint32(signed, uint32(len(field)))
		signed = append(signed, field...)
	}
	if err := a.key.Verify(signed, &s.signature); err != nil {
		return "", err
	}
	return bundle.VouchedSSH + ssh.FingerprintSHA256(a.key), nil
}
