package simplestreams

import (
	"crypto"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func TestSuite(t *testing.T) { suite(t, "", wanted, `newest: 1`) }

func TestSuiteVerbatim(t *testing.T) {
	suite(t, "verbatim, only the unsigned form of a signed index is made here")
}

// suite runs the suite; signed is why there is no unsigned form, and then there is no site key.
func suite(t *testing.T, signed string, options ...string) {
	site := signed == ""
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()}, Counted: "versions", Signed: signed,
		Site: site,
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			m := newMirror(t, dir)
			noble := productName("24.04", "amd64", "ga")
			squashfs := "noble/amd64/20261120/squashfs"
			products := m.url("streams/v1/" + imagesID + ".sjson")
			unsigned := func() string {
				m.sign = nil
				m.publish()
				return m.spec(options...)
			}
			if !site {
				unsigned = nil
			}
			return &sourcetest.Upstream{
				Server: m.server, Sources: m.spec(options...),
				Payload: map[string][]byte{root + squashfs: m.content[squashfs], root + "noble/amd64/20261120/ga/boot-kernel": m.content["noble/amd64/20261120/ga/boot-kernel"]},
				Next: [2]func() string{
					func() string {
						m.updated = "Thu, 26 Nov 2026 10:00:00 +0000"
						m.image("noble", "24.04", "amd64", "ga", "20261110", "20261120", "20261126")
						m.publish()
						return m.spec(options...)
					},
					func() string {
						m.updated = "Fri, 27 Nov 2026 10:00:00 +0000"
						delete(m.files[imagesID], productName("22.04", "amd64", "ga"))
						delete(m.files[imagesID], productName("22.04", "amd64", "hwe"))
						m.publish()
						return m.spec(options...)
					},
				},
				Unsigned: unsigned, Nothing: nothing(m, site),
				Forgeries: []sourcetest.Forgery{
					{Name: "signed by somebody else", Do: func() {
						m.sign = signBy(t, newSigner(t, "eve", 0), crypto.SHA512)
						m.publish()
					}, Class: fetch.ErrRefused, Names: []string{m.url("streams/v1/index.sjson"), "want a signature by"}},
					{Name: "products by somebody else", Do: func() {
						sign := m.sign
						m.sign = signBy(t, newSigner(t, "eve", 0), crypto.SHA512)
						m.put("streams/v1/"+imagesID+".sjson", object{"content_id": imagesID, "format": "products:1.0", "products": object{}}, true)
						m.sign = sign
					}, Class: fetch.ErrRefused, Names: []string{products, "want a signature by"}},
					{Name: "products not signed", Do: func() {
						m.put("streams/v1/"+imagesID+".sjson", object{"content_id": imagesID, "format": "products:1.0", "products": object{}}, false)
					}, Class: fetch.ErrRefused, Names: []string{products}},
					{Name: "SHA-1", Do: func() {
						key := newSigner(t, "images", 0)
						m.trust(key)
						m.sign = signBySHA1(t, key)
						m.publish()
					}, Class: fetch.ErrRefused, Names: []string{m.url("streams/v1/index.sjson"), "SHA-1"}},
					{Name: "expired key", Do: func() {
						key := newSigner(t, "images", 3600)
						m.trust(key)
						m.sign = signBy(t, key, crypto.SHA512)
						m.publish()
					}, Class: fetch.ErrRefused, Names: []string{m.url("streams/v1/index.sjson"), "expired"}},
					{Name: "products of another entry", Do: func() {
						m.put("streams/v1/"+imagesID+".sjson", object{"content_id": bootloadersID, "format": "products:1.0", "products": m.files[bootloadersID]}, true)
					}, Class: fetch.ErrUpstream, Names: []string{products, imagesID, bootloadersID}},
					{Name: "products gone", Do: func() { m.server.Remove(root + "streams/v1/" + imagesID + ".sjson") },
						Class: fetch.ErrUpstream, Names: []string{products}},
					{Name: "item gone", Do: func() { m.server.Remove(root + squashfs) }, Class: fetch.ErrUpstream, Names: []string{m.url(squashfs)}},
					{Name: "one path with two contents", Do: func() {
						m.items(imagesID, noble, "20261120")["squashfs"].(object)["size"] = 1
						m.publish()
					}, Class: fetch.ErrUpstream, Names: []string{squashfs}},
					{Name: "path out of the mirror", Do: func() {
						m.items(imagesID, noble, "20261120")["squashfs"].(object)["path"] = "../squashfs"
						m.publish()
					}, Class: fetch.ErrUpstream, Names: []string{products, noble, "../squashfs"}},
					{Name: "md5 alone", Do: func() {
						item := m.items(imagesID, noble, "20261120")["squashfs"].(object)
						delete(item, "sha256")
						item["md5"] = "d41d8cd98f00b204e9800998ecf8427e"
						m.publish()
					}, Class: fetch.ErrUpstream, Names: []string{products, noble, "no sha256"}},
				},
			}
		},
	})
}

// nothing returns choices that match nothing; without a site key nothing can be chosen at all.
func nothing(m *mirror, site bool) []sourcetest.Nothing {
	if !site {
		return []sourcetest.Nothing{{Sources: m.spec("mode: verbatim", "filters: arch=s390x"), Names: []string{"filters"}}}
	}
	return []sourcetest.Nothing{
		{Sources: m.spec("filters: arch=s390x"), Names: []string{"arch=s390x", "amd64"}},
		{Sources: m.spec("filters: [\"arch=amd64\", \"release~nosuch\"]"), Names: []string{"release~nosuch", "noble"}},
		{Sources: m.spec("filters: \"nosuch=1\""), Names: []string{"nosuch=1"}},
		{Sources: m.spec("subarch: nosuch"), Names: []string{"nosuch", "ga-24.04"}},
	}
}
