package examples

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func TestSimpleStreams(t *testing.T) {
	s := newImages(t, newArchives(t))
	trip(t, example{spec: "simplestreams.yaml", hosts: s, adopt: s.adopt, clients: []string{"maas", "lxc", "incus"}, base: "https://mirror.lan"})
}

// images stands for every mirror of images. Its index is signed by the
// stand-in's key, and a file's content follows from its URL.
type images struct {
	*archives
	maas, containers object
}

type object = map[string]any

func newImages(t *testing.T, a *archives) *images {
	t.Helper()
	s := &images{archives: a, maas: object{}, containers: object{}}
	for _, p := range []string{"22.04 jammy", "24.04 noble", "26.04 resolute"} {
		number, release, _ := strings.Cut(p, " ")
		for _, subarch := range []string{"ga-" + number, "hwe-" + number} {
			s.maas["com.ubuntu.maas.stable:v3:boot:"+number+":amd64:"+subarch] = object{
				"arch": "amd64", "label": "stable", "os": "ubuntu", "release": release, "release_title": number, "subarch": subarch, "subarches": subarch, "version": number,
				"versions": versions(release+"/"+subarch, "boot-initrd", "boot-kernel", "manifest", "squashfs"),
			}
		}
	}
	for _, os := range []string{"ubuntu noble", "Debian bookworm"} {
		system, release, _ := strings.Cut(os, " ")
		s.containers[system] = object{
			"arch": "amd64", "os": system, "release": release, "variant": "default", "aliases": release,
			"versions": versions(release, "lxd.tar.xz", "squashfs", "disk-kvm.img"),
		}
	}
	return s
}

// versions are two versions of items that are called what they are.
func versions(at string, items ...string) object {
	all := object{}
	for _, v := range []string{"20261001", "20261002"} {
		made := object{}
		for _, i := range items {
			path := "files/" + at + "/" + v + "/" + i
			made[i] = object{"ftype": i, "path": path, "size": len(content(path)), "sha256": digest(content(path))}
		}
		all[v] = object{"items": made}
	}
	return all
}

var _ http.Handler = (*images)(nil)

func (s *images) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const updated = "Thu, 01 Oct 2026 10:00:00 +0000"
	id, products := "containers", s.containers
	if strings.Contains(r.URL.Path, "maas") {
		id, products = "com.ubuntu.maas:stable:v3:download", s.maas
	}
	_, name, found := strings.Cut(r.URL.Path, "/streams/v1/")
	form := filepath.Ext(name)
	file := "streams/v1/" + id + form
	var value any
	switch {
	case !found:
		_, path, _ := strings.Cut(r.URL.Path, "/files/")
		http.ServeContent(w, r, "", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(content("files/"+path)))
		return
	case name == "index"+form:
		value = object{"format": "index:1.0", "updated": updated, "index": object{id: object{
			"datatype": "image-downloads", "format": "products:1.0", "path": file, "products": []string{}, "updated": updated,
		}}}
	default:
		value = object{"content_id": id, "datatype": "image-downloads", "format": "products:1.0", "updated": updated, "products": products}
	}
	text, err := json.Marshal(value)
	if err == nil && form == ".sjson" {
		text, err = s.clearSigned(text)
	}
	if err != nil {
		s.t.Error(err)
	}
	http.ServeContent(w, r, "", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(text))
}

func (s *images) clearSigned(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, s.signer.PrivateKey, &packet.Config{Time: func() time.Time { return s.date }})
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return append(b.Bytes(), '\n'), err
}

// adopt makes the spec trust the stand-in's key.
func (s *images) adopt(j *journey) {
	s.t.Helper()
	dir := j.dir
	err := os.MkdirAll(filepath.Join(dir, "keys"), 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "keys", "ubuntu-cloudimage-keyring.gpg"), s.key(), 0o644)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
