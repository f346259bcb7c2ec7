package simplestreams

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

type object = map[string]any

// signedOn is when the fixture's keys and signatures were made.
var signedOn = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// mirror is an upstream in the shape of MAAS's: images of two releases, two
// architectures and two kernels in three versions each, which share their root
// file, and bootloaders.
type mirror struct {
	t      testing.TB
	server *upstreamtest.Server
	dir    string // of the spec
	// sign makes clear-signed text; nil: there is none.
	sign    func(text []byte) []byte
	keyring string // file, below dir

	updated  string
	datatype string
	files    map[string]object // products files by content id
	content  map[string][]byte // by path below /m/
}

const (
	imagesID      = "com.ubuntu.maas:stable:v3:download"
	bootloadersID = "com.ubuntu.maas:stable:1:bootloader-download"
	centosID      = "com.ubuntu.maas:stable:centos-bases-download"
)

func newSigner(t testing.TB, name string, lifetime uint32) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.net", &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return signedOn }, KeyLifetimeSecs: lifetime,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func signBy(t testing.TB, e *openpgp.Entity, hash crypto.Hash) func([]byte) []byte {
	return func(text []byte) []byte {
		t.Helper()
		var b bytes.Buffer
		w, err := clearsign.Encode(&b, e.PrivateKey, &packet.Config{DefaultHash: hash, Time: func() time.Time { return signedOn }})
		if err == nil {
			if _, err = w.Write(text); err == nil {
				err = w.Close()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return append(b.Bytes(), '\n')
	}
}

// newMirror returns a mirror signed by a key in the folder of the spec.
func newMirror(t testing.TB, dir string) *mirror {
	m := &mirror{t: t, server: upstreamtest.New(t), dir: dir}
	key := newSigner(t, "images", 0)
	m.sign = signBy(t, key, crypto.SHA512)
	m.trust(key)
	m.fill()
	m.publish()
	return m
}

func (m *mirror) trust(keys ...*openpgp.Entity) {
	m.t.Helper()
	m.keyring = "images.asc"
	text, err := pgpkeys.Armor(keys)
	if err == nil {
		err = os.WriteFile(filepath.Join(m.dir, m.keyring), text, 0o644)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *mirror) fill() {
	m.updated, m.datatype = "Wed, 25 Nov 2026 10:00:00 +0000", "image-downloads"
	m.files = map[string]object{imagesID: {}, bootloadersID: {}}
	m.content = map[string][]byte{}
	for _, release := range []string{"jammy 22.04", "noble 24.04"} {
		for _, arch := range []string{"amd64", "arm64"} {
			for _, kernel := range []string{"ga", "hwe"} {
				name, number, _ := strings.Cut(release, " ")
				m.image(name, number, arch, kernel, "20261101", "20261110", "20261120")
			}
		}
	}
	m.bootloader("grub-efi-signed", "uefi", "amd64", "grub2-signed", "shim-signed")
	m.bootloader("pxelinux", "pxe", "i386", "syslinux")
	m.bootloader("grub-efi", "uefi", "arm64", "grub2")
}

func productName(number, arch, kernel string) string {
	return fmt.Sprintf("com.ubuntu.maas.stable:v3:boot:%s:%s:%s-%s", number, arch, kernel, number)
}

func (m *mirror) image(release, number, arch, kernel string, versions ...string) {
	all := object{}
	for _, v := range versions {
		at := fmt.Sprintf("%s/%s/%s/", release, arch, v)
		all[v] = object{"items": object{
			"boot-kernel": m.item("boot-kernel", at+kernel+"/boot-kernel", "kpackage", "linux-generic"),
			"boot-initrd": m.item("boot-initrd", at+kernel+"/boot-initrd", "kpackage", "linux-generic"),
			"manifest":    m.item("manifest", at+"squashfs.manifest"),
			"squashfs":    m.item("squashfs", at+"squashfs"),
		}}
	}
	m.files[imagesID][productName(number, arch, kernel)] = object{
		"arch": arch, "kflavor": "generic", "krel": release, "label": "stable", "os": "ubuntu", "release": release, "release_codename": release,
		"release_title": number + " LTS", "subarch": kernel + "-" + number, "subarches": "generic," + kernel + "-" + number,
		"support_eol": "2029-05-31", "support_esm_eol": "2034-04-25", "version": number, "versions": all,
	}
}

func (m *mirror) bootloader(system, kind, arch string, items ...string) {
	all := object{}
	for _, v := range []string{"20261001.0", "20261101.0"} {
		made := object{}
		for _, i := range items {
			made[i] = m.item("archive.tar.xz", fmt.Sprintf("bootloaders/%s/%s/%s/%s.tar.xz", kind, arch, v, i), "src_package", i, "src_release", "noble", "src_version", "1.0")
		}
		all[v] = object{"items": made}
	}
	m.files[bootloadersID][fmt.Sprintf("com.ubuntu.maas.stable:1:%s:%s:%s", system, kind, arch)] = object{
		"arch": arch, "arches": arch, "bootloader-type": kind, "label": "stable", "os": system, "versions": all,
	}
}

// centos adds images of one root tarball, in two versions.
func (m *mirror) centos() {
	all := object{}
	for _, v := range []string{"1", "2"} {
		at := "centos/8/amd64/" + v + "/"
		all[v] = object{"items": object{"manifest": m.item("manifest", at+"manifest"), "root-tgz": m.item("root-tgz", at+"root-tgz")}}
	}
	m.files[centosID] = object{"com.ubuntu.maas.stable:centos-bases:8:amd64": object{
		"arch": "amd64", "label": "stable", "os": "centos", "release": "8", "release_title": "CentOS 8", "subarch": "generic", "subarches": "generic", "version": "8", "versions": all,
	}}
}

// item makes a file, and what products say about it.
func (m *mirror) item(ftype, path string, fields ...string) object {
	body := bytes.Repeat([]byte(path+"\n"), 50)
	m.content[path] = body
	o := object{"ftype": ftype, "path": path, "size": len(body), "sha256": bundle.DigestOf(body).Hex()}
	for i := 0; i < len(fields); i += 2 {
		o[fields[i]] = fields[i+1]
	}
	return o
}

// product, version and at are parts of the fixture that tests change.
func (m *mirror) product(id, name string) object { return m.files[id][name].(object) }

func (m *mirror) items(id, name, version string) object {
	return m.product(id, name)["versions"].(object)[version].(object)["items"].(object)
}

const root = "/m/"

// publish writes everything to the server.
func (m *mirror) publish() {
	m.t.Helper()
	for path, body := range m.content {
		m.server.Put(root+path, body)
	}
	for _, signed := range []bool{false, true} {
		if signed && m.sign == nil {
			continue
		}
		ending := ".json"
		if signed {
			ending = ".sjson"
		}
		index := object{}
		for id, products := range m.files {
			path := "streams/v1/" + id + ending
			m.put(path, object{"content_id": id, "datatype": m.datatype, "format": "products:1.0", "updated": m.updated, "products": products}, signed)
			index[id] = object{"datatype": m.datatype, "format": "products:1.0", "path": path, "products": slices.Sorted(maps.Keys(products)), "updated": m.updated}
		}
		m.put("streams/v1/index"+ending, object{"format": "index:1.0", "updated": m.updated, "index": index}, signed)
	}
}

func (m *mirror) put(path string, value any, signed bool) {
	m.t.Helper()
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		m.t.Fatal(err)
	}
	if text = append(text, '\n'); signed {
		text = m.sign(text)
	}
	m.server.Put(root+path, text)
}

func (m *mirror) url(path string) string { return m.server.URL(root + path) }

// spec returns a source with these options.
func (m *mirror) spec(options ...string) string {
	trust := "keyring: " + m.keyring
	if m.sign == nil {
		trust = "unsigned: true"
	}
	return "  - name: images\n    kind: simplestreams\n    url: " + m.url("") + "\n    " + strings.Join(append([]string{trust}, options...), "\n    ") + "\n"
}

// wanted is a selection of everything that a plan would take of the newest.
const wanted = `filters: ["arch=amd64", "release~(jammy|noble)"]`

// signBySHA1 signs over a digest that can be forged, which the OpenPGP library
// does not do by itself.
func signBySHA1(t testing.TB, e *openpgp.Entity) func([]byte) []byte {
	return func(text []byte) []byte {
		t.Helper()
		lines := strings.TrimSuffix(string(text), "\n")
		hash := crypto.SHA1.New()
		hash.Write([]byte(strings.ReplaceAll(lines, "\n", "\r\n")))
		sig := &packet.Signature{Version: 4, SigType: packet.SigTypeText, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA1, CreationTime: signedOn, IssuerKeyId: &e.PrimaryKey.KeyId}
		var b bytes.Buffer
		b.WriteString("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\n" + lines + "\n")
		salted := false
		err := sig.Sign(hash, e.PrivateKey, &packet.Config{NonDeterministicSignaturesViaNotation: &salted})
		if err == nil {
			w, werr := armor.Encode(&b, "PGP SIGNATURE", nil)
			err = errors.Join(werr, sig.Serialize(w), w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		return append(b.Bytes(), '\n')
	}
}
