// Package standin plays the upstreams of the examples of the kind simplestreams: mirrors of images,
// whose indexes are signed by its key.
package standin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/journey"
)

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	return []journey.Example{{Spec: "simplestreams.yaml", Start: func(t *testing.T) journey.Upstream {
		s := newImages(t)
		return journey.Upstream{Hosts: s, Adopt: s.adopt, Clients: []string{"maas", "lxc", "incus"}, Base: "https://mirror.lan"}
	}}}
}

// images stands for every mirror of images. Its index is signed by the
// stand-in's key, and a file's content follows from its URL.
type images struct {
	*journey.Signer
	t                *testing.T
	maas, containers object
}

type object = map[string]any

func newImages(t *testing.T) *images {
	t.Helper()
	s := &images{Signer: journey.NewSigner(t), t: t, maas: object{}, containers: object{}}
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

// versions returns two versions of items that are called what they are.
func versions(at string, items ...string) object {
	all := object{}
	for _, v := range []string{"20261001", "20261002"} {
		made := object{}
		for _, i := range items {
			path := "files/" + at + "/" + v + "/" + i
			made[i] = object{"ftype": i, "path": path, "size": len(journey.Content(path)), "sha256": journey.Digest(journey.Content(path))}
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
		http.ServeContent(w, r, "", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(journey.Content("files/"+path)))
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
		text = s.ClearSign(text)
	}
	if err != nil {
		s.t.Error(err)
	}
	http.ServeContent(w, r, "", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(text))
}

// adopt makes the spec trust the stand-in's key.
func (s *images) adopt(j *journey.Journey) { s.Trust(j, j.Spec) }
