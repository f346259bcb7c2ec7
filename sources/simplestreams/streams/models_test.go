package streams

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

const fileOf = `{"ftype": "x", "path": "p", "sha256": "s", "size": 1`

// Products of MAAS's three models, and one of LXD, each with one version.
var modelProducts = map[Shape]string{
	ShapeUbuntu: `{"arch": "amd64", "label": "stable", "os": "ubuntu", "release": "noble", "release_title": "24.04 LTS", "subarch": "ga-24.04",
		"subarches": "generic", "version": "24.04", "support_eol": "2029-05-31", "krel": null, "versions": {"1": {"items": {
		"boot-initrd": ` + fileOf + `}, "boot-kernel": ` + fileOf + `}, "manifest": ` + fileOf + `}, "squashfs": ` + fileOf + `}}}}}`,
	ShapeTarball: `{"arch": "amd64", "label": "stable", "os": "centos", "release": "8", "release_title": "CentOS 8", "subarch": "generic",
		"subarches": "generic", "version": "8", "versions": {"1": {"items": {"manifest": ` + fileOf + `}, "root-tgz": ` + fileOf + `}}}}}`,
	ShapeBootloader: `{"arch": "i386", "arches": "i386,amd64", "label": "stable", "os": "pxelinux", "bootloader-type": "pxe", "versions": {"1": {"items": {
		"syslinux": ` + fileOf + `, "src_package": "a", "src_release": "b", "src_version": "c"}}}}}`,
	ShapeContainer: `{"arch": "amd64", "versions": {"1": {"items": {
		"lxd.tar.xz": {"ftype": "lxd.tar.xz"}, "squashfs": {"ftype": "squashfs"}, "manifest": {"ftype": "manifest"}}}}}`,
	ShapeOther: `{"arch": "amd64", "versions": {"1": {"items": {"tools": {"ftype": "tar.gz"}}}}}`,
}

func product(t *testing.T, text string) *Product {
	t.Helper()
	p, err := newReader(strings.NewReader(text)).product("test:v3:x")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

func TestShapes(t *testing.T) {
	for want, text := range modelProducts {
		p := product(t, text)
		if got := p.Shape(); got != want {
			t.Errorf("%s: got %s", want, got)
		}
		if err := p.Fits(want); err != nil {
			t.Error(err)
		}
	}
}

// Each of these makes MAAS refuse the whole source: they were tried with its
// own models.
func TestMisfits(t *testing.T) {
	for _, test := range []struct {
		shape          Shape
		from, to, want string
	}{
		{ShapeUbuntu, `"manifest": `, `"manifesto": `, "version 1: lacks manifest"},
		{ShapeUbuntu, `"boot-kernel": `, `"kernel": `, "lacks boot-kernel"},
		{ShapeUbuntu, `"squashfs": `, `"squash": `, "lacks squashfs or root-image.gz"},
		{ShapeUbuntu, `"release_title": "24.04 LTS",`, ``, "release_title: want text, got <nil>"},
		{ShapeUbuntu, `"version": "24.04"`, `"version": 24.04`, "version: want text, got 24.04"},
		{ShapeUbuntu, `"size": 1`, `"size": null`, "item boot-initrd: size: want a number"},
		{ShapeUbuntu, `"size": 1`, `"none": 1`, "item boot-initrd: size: want a number"},
		{ShapeUbuntu, `"ftype": "x", `, ``, "item boot-initrd: ftype: want text"},
		{ShapeUbuntu, `"2029-05-31"`, `"soon"`, "support_eol: want a date"},
		{ShapeUbuntu, `null`, `5`, "krel: want text"},
		{ShapeTarball, `"root-tgz": `, `"root-tar": `, "lacks root-tgz"},
		{ShapeTarball, `"manifest": `, `"manifesto": `, "lacks manifest"},
		{ShapeBootloader, `"syslinux": `, `"lilo": `, "lacks grub2-signed or shim-signed or grub2 or syslinux"},
		{ShapeBootloader, `, "src_version": "c"`, ``, "item syslinux: src_version: want text"},
		{ShapeBootloader, `"arches": "i386,amd64", `, ``, "arches: want text"},
		{ShapeContainer, `{"ftype": "squashfs"}`, `{"ftype": "squashfs.vcdiff"}`, "lacks a root file"},
	} {
		text := strings.Replace(modelProducts[test.shape], test.from, test.to, 1)
		if text == modelProducts[test.shape] {
			t.Errorf("%s: %s is not there", test.shape, test.from)
		}
		err := product(t, text).Fits(test.shape)
		if !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "test:v3:x") {
			t.Errorf("%s, %s: got %v, want %s", test.shape, test.to, err, test.want)
		}
	}
	empty := product(t, modelProducts[ShapeUbuntu][:strings.Index(modelProducts[ShapeUbuntu], `, "versions"`)]+"}")
	if err := empty.Fits(ShapeUbuntu); err == nil || !strings.Contains(err.Error(), "no versions") {
		t.Errorf("got %v, want no versions", err)
	}
	if err := product(t, modelProducts[ShapeBootloader]).Fits(ShapeUbuntu); err == nil {
		t.Error("a bootloader fits the model of images")
	}
}

func TestFitsHeader(t *testing.T) {
	const right = `{"content_id": "a", "datatype": "image-ids", "updated": "Wed, 25 Nov 2026 10:00:00 +0000"}`
	for text, want := range map[string]string{
		right: "",
		strings.Replace(right, "Wed, 25 Nov 2026 10:00:00 +0000", "2026-11-25T10:00:00+00:00", 1): "",
		strings.Replace(right, "+0000", "GMT", 1):                                                 "updated: want a time",
		strings.Replace(right, "image-ids", "content-download", 1):                                "datatype: want image-downloads",
		strings.Replace(right, `"content_id": "a"`, `"other": 1`, 1):                              "content_id: want text",
	} {
		var header Object
		if err := json.Unmarshal([]byte(text), &header); err != nil {
			t.Fatal(err)
		}
		if err := FitsHeader(header); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestFitsIndex(t *testing.T) {
	right := `{"format": "index:1.0", "updated": "Wed, 25 Nov 2026 10:00:00 +0000", "index": {"a": {
		"datatype": "image-downloads", "path": "streams/v1/a.sjson", "products": ["x"], "updated": "Wed, 25 Nov 2026 10:00:00 +0000"}}}`
	for change, want := range map[[2]string]string{
		{"", ""}: "", {`["x"]`, `null`}: "entry a: products", {`["x"]`, `[1]`}: "entry a: products", {"image-downloads", "other"}: "entry a: datatype other",
		{`"updated": "Wed, 25 Nov 2026 10:00:00 +0000", "index"`, `"index"`}: "updated: want",
	} {
		x, err := ReadIndex(strings.NewReader(strings.Replace(right, change[0], change[1], 1)))
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Fits(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: got %v, want %q", change, err, want)
		}
	}
}

func TestBoots(t *testing.T) {
	p := product(t, modelProducts[ShapeBootloader])
	for name, want := range map[string]int{"com.ubuntu.maas.stable:1:pxelinux:pxe:i386": 2, "com.ubuntu.maas.stable:2:x": 0} {
		p.Name = name
		if got := p.Boots(); len(got) != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	image := product(t, modelProducts[ShapeUbuntu])
	if triple, ok := image.Bootable(ShapeUbuntu); !ok || triple != [3]string{"amd64", "noble", "ga-24.04"} {
		t.Errorf("got %v, %v", triple, ok)
	}
	image.Name = "test:v1:x"
	if _, ok := image.Bootable(ShapeUbuntu); ok {
		t.Error("MAAS passes over products that are not of v2 or v3")
	}
}
