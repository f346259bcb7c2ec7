package gitsig

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"

	"github.com/gapbundle/gapbundle/internal/fetch"
)

var now = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

const tag = "object 1111111111111111111111111111111111111111\ntype commit\ntag v1\ntagger A <a@b> 1700000000 +0000\n\nmessage\n"

const commit = "tree 1111111111111111111111111111111111111111\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\nmessage\n"

// signedCommit puts a signature into a commit as git does.
func signedCommit(signature string) string {
	lines := strings.ReplaceAll(strings.TrimSuffix(signature, "\n"), "\n", "\n ")
	head, body, _ := strings.Cut(commit, "\n\n")
	return head + "\ngpgsig " + lines + "\nencoding UTF-8\n\n" + body
}

// payloadOfCommit returns what such a commit signs.
func payloadOfCommit() string {
	head, body, _ := strings.Cut(commit, "\n\n")
	return head + "\nencoding UTF-8\n\n" + body
}

// signer signs texts; file is what the spec names for it.
type signer struct {
	file []byte
	sign func(text string) string
}

func pgpSigner(t testing.TB) signer { return pgpSignerBy(t, nil) }

func pgpSignerBy(t testing.TB, c *packet.Config) signer {
	t.Helper()
	e, err := openpgp.NewEntity("a", "", "a@b", c)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := armor.Encode(&file, openpgp.PublicKeyType, nil)
	if err := errors.Join(err, e.Serialize(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return signer{file.Bytes(), func(text string) string {
		var b bytes.Buffer
		if err := openpgp.ArmoredDetachSign(&b, e, strings.NewReader(text), nil); err != nil {
			t.Fatal(err)
		}
		return b.String() + "\n"
	}}
}

func sshSigner(t testing.TB, namespace, options string) signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return sshSignerBy(t, private, ssh.KeyAlgoED25519, namespace, options)
}

func sshSignerBy(t testing.TB, private crypto.Signer, algorithm, namespace, options string) signer {
	t.Helper()
	key, err1 := ssh.NewPublicKey(private.Public())
	any, err2 := ssh.NewSignerFromKey(private)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	s, ok := any.(ssh.AlgorithmSigner)
	if !ok {
		t.Fatalf("%T signs by one algorithm alone", any)
	}
	file := "# signers\na@b,c@d " + options + string(ssh.MarshalAuthorizedKey(key))
	return signer{[]byte(file), func(text string) string {
		sum := sha512.Sum512([]byte(text))
		fields := func(b []byte, all ...[]byte) []byte {
			for _, f := range all {
				b = append(binary.BigEndian.AppendUint32(b, uint32(len(f))), f...)
			}
			return b
		}
		signature, err := s.SignWithAlgorithm(nil, fields([]byte(sshMagic), []byte(namespace), nil, []byte("sha512"), sum[:]), algorithm)
		if err != nil {
			t.Fatal(err)
		}
		blob := fields([]byte(sshMagic+"\x00\x00\x00\x01"), key.Marshal(), []byte(namespace), nil, []byte("sha512"), ssh.Marshal(signature))
		return sshArmor + base64.StdEncoding.EncodeToString(blob) + "\n" + sshEnd + "\n"
	}}
}

func keysOf(t testing.TB, files ...[]byte) *Keys {
	t.Helper()
	k := &Keys{}
	for _, f := range files {
		if err := k.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func TestVerify(t *testing.T) {
	pgp, other, s := pgpSigner(t), pgpSigner(t), sshSigner(t, "git", `namespaces="git,file",valid-before="20270101" `)
	k := keysOf(t, pgp.file, s.file)
	for name, from := range map[string]signer{"openpgp": pgp, "ssh": s} {
		by, err := k.Verify("tag", []byte(tag+from.sign(tag)), time.Now())
		if err != nil || !strings.HasPrefix(by, name+":") {
			t.Errorf("%s tag: %q, %v", name, by, err)
		}
		by, err = k.Verify("commit", []byte(signedCommit(from.sign(payloadOfCommit()))), time.Now())
		if err != nil || !strings.HasPrefix(by, name+":") {
			t.Errorf("%s commit: %q, %v", name, by, err)
		}
		for what, object := range map[string]string{
			"changed": strings.Replace(tag, "v1", "v2", 1) + from.sign(tag), "unsigned": tag,
			"twice": tag + from.sign(tag) + from.sign(tag),
		} {
			if by, err := k.Verify("tag", []byte(object), time.Now()); !errors.Is(err, fetch.ErrRefused) {
				t.Errorf("%s, %s: %q, %v, want ErrRefused", name, what, by, err)
			}
		}
		if by, err := k.Verify("commit", []byte(strings.Replace(signedCommit(from.sign(payloadOfCommit())), "message", "massage", 1)), time.Now()); !errors.Is(err, fetch.ErrRefused) {
			t.Errorf("%s, changed commit: %q, %v", name, by, err)
		}
	}
	for name, test := range map[string]struct {
		keys *Keys
		from signer
	}{
		"another OpenPGP key": {k, other},
		"another SSH key":     {k, sshSigner(t, "git", "")},
		"no SSH keys":         {keysOf(t, pgp.file), s},
		"no OpenPGP keys":     {keysOf(t, s.file), pgp},
		"expired in the file": func() struct {
			keys *Keys
			from signer
		} {
			x := sshSigner(t, "git", `valid-before="20200101Z" `)
			return struct {
				keys *Keys
				from signer
			}{keysOf(t, x.file), x}
		}(),
		"another namespace": func() struct {
			keys *Keys
			from signer
		} {
			x := sshSigner(t, "file", "")
			return struct {
				keys *Keys
				from signer
			}{keysOf(t, x.file), x}
		}(),
	} {
		if by, err := test.keys.Verify("tag", []byte(tag+test.from.sign(tag)), now); !errors.Is(err, fetch.ErrRefused) {
			t.Errorf("%s: %q, %v, want ErrRefused", name, by, err)
		}
	}
}

func TestAllowedSigners(t *testing.T) {
	s := sshSigner(t, "git", "")
	key := strings.TrimPrefix(string(s.file), "# signers\na@b,c@d ")
	for name, text := range map[string]string{
		"empty": "", "no key": "a@b\n", "authority": "a@b cert-authority " + key, "option": "a@b no-such " + key,
		"time": `a@b valid-after="x" ` + key, "another namespace": `a@b namespaces="file" ` + key, "not base64": "a@b ssh-ed25519 !!\n",
	} {
		if err := new(Keys).Add([]byte(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := new(Keys).Add([]byte("\"a b\",c@d  " + key)); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	pgp, s := pgpSigner(f), sshSigner(f, "git", "")
	k := keysOf(f, pgp.file, s.file)
	f.Add("tag", []byte(tag+pgp.sign(tag)))
	f.Add("tag", []byte(tag+s.sign(tag)))
	f.Add("commit", []byte(signedCommit(s.sign(payloadOfCommit()))))
	good := map[string]bool{tag: true, payloadOfCommit(): true}
	f.Fuzz(func(t *testing.T, kind string, object []byte) {
		if _, err := k.Verify(kind, object, time.Now()); err != nil {
			return
		}
		payload, _ := splitTag(object)
		if kind == "commit" {
			payload, _ = splitCommit(object)
		}
		if !good[string(payload)] {
			t.Errorf("accepted %q", payload)
		}
	})
}

func FuzzAllowedSigners(f *testing.F) {
	f.Add(sshSigner(f, "git", `valid-before="20200101Z" `).file)
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseAllowed(b) })
}

// A weak key counts only if it is allowed by its fingerprint.
func TestWeakKeys(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]signer{
		"openpgp": pgpSignerBy(t, &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 1024}),
		"ssh":     sshSignerBy(t, private, ssh.KeyAlgoRSASHA512, "git", ""),
	} {
		k := keysOf(t, from.file)
		if by, err := k.Verify("tag", []byte(tag+from.sign(tag)), time.Now()); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), "RSA with 1024 bits") {
			t.Errorf("%s: %q, %v", name, by, err)
		}
		var asked string
		k.Weak = func(fingerprint string) bool { asked = fingerprint; return true }
		if by, err := k.Verify("tag", []byte(tag+from.sign(tag)), time.Now()); err != nil || asked == "" || !strings.HasSuffix(by, asked) {
			t.Errorf("%s, allowed as %q: %q, %v", name, asked, by, err)
		}
	}
}
