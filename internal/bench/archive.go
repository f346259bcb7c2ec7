//go:build linux

package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
)

// makeArchive makes the indexes of an archive of n packages and signs them; the key goes
// to keyring.
func (m *made) makeArchive(keyring string, n int) error {
	var packages, packed bytes.Buffer
	for i := range n {
		body := m.content(i)
		fmt.Fprintf(&packages, "Package: package-%07d\nVersion: 1.2.3-4\nArchitecture: amd64\nMaintainer: Somebody <somebody@example.org>\n"+
			"Depends: package-%07d (>= 1.0), package-%07d\nSection: misc\nPriority: optional\nFilename: pool/p/%07d.deb\n"+
			"Size: %d\nSHA256: %x\nDescription: what package %d is\n\n", i, i/2, i/100, i, len(body), sha256.Sum256(body), i)
	}
	z := gzip.NewWriter(&packed)
	_, err := z.Write(packages.Bytes())
	if err := errors.Join(err, z.Close()); err != nil {
		return err
	}
	name := "main/binary-amd64/Packages.gz"
	release := fmt.Sprintf("Origin: Bench\nSuite: stable\nCodename: stable\nDate: %s\nArchitectures: amd64\nComponents: main\nSHA256:\n %x %d %s\n %x %d %s\n",
		time.Now().Add(-time.Hour).UTC().Format(time.RFC1123), sha256.Sum256(packed.Bytes()), packed.Len(), name,
		sha256.Sum256(packages.Bytes()), packages.Len(), "main/binary-amd64/Packages")
	signed, key, err := sign([]byte(release))
	if err != nil {
		return err
	}
	m.index["/apt/dists/stable/InRelease"] = signed
	m.index["/apt/dists/stable/Release"] = []byte(release) // apt-mirror begins with it
	m.index["/apt/dists/stable/"+name] = packed.Bytes()
	return os.WriteFile(keyring, key, 0o644)
}

// sign makes a key for this run, and signs a text with it as archives do.
func sign(text []byte) (signed, key []byte, err error) {
	entity, err := openpgp.NewEntity("bench", "", "bench@example.org", nil)
	if err != nil {
		return nil, nil, err
	}
	var out, public bytes.Buffer
	w, err := clearsign.Encode(&out, entity.PrivateKey, nil)
	if err != nil {
		return nil, nil, err
	}
	_, err = w.Write(text)
	a, armorErr := armor.Encode(&public, openpgp.PublicKeyType, nil)
	if err := errors.Join(err, w.Close(), armorErr); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(entity.Serialize(a), a.Close()); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), public.Bytes(), nil
}
