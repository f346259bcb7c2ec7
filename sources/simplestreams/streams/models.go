package streams

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Shape is the form of a products file, as its readers recognize it.
//
// MAAS reads every products file of an index and refuses the whole source if
// one of them is of none of its three models, or if one product of a file, or
// one version, does not fit the file's model. LXD and Incus take an image whose
// metadata and root file are both there, and ignore others.
type Shape int

const (
	// ShapeOther is what neither MAAS nor LXD nor Incus reads: items alone.
	ShapeOther Shape = iota
	// ShapeBootloader is MAAS's model of bootloaders.
	ShapeBootloader
	// ShapeUbuntu is MAAS's model of images of several files.
	ShapeUbuntu
	// ShapeTarball is MAAS's model of images of one root tarball: CentOS and
	// what people make.
	ShapeTarball
	// ShapeContainer is an image of LXD or Incus.
	ShapeContainer
)

func (s Shape) String() string {
	return [...]string{"other", "MAAS bootloader", "MAAS image", "MAAS root tarball", "LXD or Incus image"}[s]
}

// MAAS reports whether the shape is one of MAAS's.
func (s Shape) MAAS() bool { return s == ShapeBootloader || s == ShapeUbuntu || s == ShapeTarball }

// model is what MAAS demands of the products of a shape.
type model struct {
	product  []string    // fields that are text
	required []string    // items
	oneOf    []string    // items of which one has to be there
	known    []string    // items that are looked at where they are there
	item     []string    // fields of an item that are text
	optional []string    // fields of a product that are text or null
	may      []string    // fields of an item that are text or null
	dates    [2][]string // fields of a product, of a version: a date or null
}

func modelOf(s Shape) *model {
	item := []string{"ftype", "path", "sha256"}
	may := []string{"kpackage"}
	image := []string{"arch", "label", "os", "release", "release_title", "subarch", "subarches", "version"}
	switch s {
	case ShapeBootloader:
		kinds := []string{"grub2-signed", "shim-signed", "grub2", "syslinux"}
		return &model{
			product: []string{"arch", "label", "os", "arches", "bootloader-type"}, oneOf: kinds, known: kinds,
			item: append(item, "src_package", "src_release", "src_version"),
		}
	case ShapeUbuntu:
		roots := []string{"squashfs", "root-image.gz"}
		required := []string{"boot-initrd", "boot-kernel", "manifest"}
		return &model{
			product: image, required: required, oneOf: roots, known: append(slices.Clone(required), roots...), item: item,
			optional: []string{"kflavor", "krel", "release_codename"}, may: may,
			dates: [2][]string{{"support_eol"}, {"support_eol", "support_esm_eol"}},
		}
	case ShapeTarball:
		required := []string{"manifest", "root-tgz"}
		return &model{product: image, required: required, known: required, item: item, may: may, dates: [2][]string{{"support_eol"}, nil}}
	}
	return nil
}

// Shape reports what the product is made to be, complete or not.
func (p *Product) Shape() Shape {
	if _, ok := text(p.Fields["bootloader-type"]); ok {
		return ShapeBootloader
	}
	shape := ShapeOther
	for _, v := range p.Versions {
		for _, i := range v.Items {
			switch i.Name {
			case "boot-kernel", "boot-initrd", "root-image.gz":
				return ShapeUbuntu
			case "root-tgz":
				return ShapeTarball
			}
			if metadata.MatchString(i.ftype()) {
				shape = ShapeContainer
			}
		}
	}
	_, subarches := text(p.Fields["subarches"])
	_, title := text(p.Fields["release_title"])
	if shape == ShapeOther && subarches && title {
		return ShapeUbuntu // nothing but manifests is left of it
	}
	return shape
}

// The files of an image of LXD or Incus by ftype: its metadata, its root, and
// both in one.
var (
	metadata = regexp.MustCompile(`^(lxd|incus)(_combined)?\.tar\.(xz|gz)$`)
	roots    = regexp.MustCompile(`^(root\.tar\.xz|squashfs|disk-kvm\.img|disk1\.img|uefi1\.img)$`)
)

func (i *Item) ftype() string {
	s, _ := i.Fields["ftype"].(string)
	return s
}

// Lacks names what a reader of the shape needs in a version and does not find
// among the items that has reports; "" is nothing.
func (v *Version) Lacks(s Shape, has func(item string) bool) string {
	if s == ShapeContainer {
		return v.lacksOfPair(has)
	}
	m := modelOf(s)
	if m == nil {
		return ""
	}
	for _, name := range m.required {
		if !has(name) {
			return name
		}
	}
	if len(m.oneOf) > 0 && !slices.ContainsFunc(m.oneOf, has) {
		return strings.Join(m.oneOf, " or ")
	}
	return ""
}

func (v *Version) lacksOfPair(has func(item string) bool) string {
	meta, root := false, false
	for _, i := range v.Items {
		if !has(i.Name) {
			continue
		}
		meta = meta || metadata.MatchString(i.ftype())
		root = root || roots.MatchString(i.ftype()) || strings.Contains(i.ftype(), "_combined")
	}
	switch {
	case !meta:
		return "lxd.tar.xz or incus.tar.xz"
	case !root:
		return "a root file (squashfs, root.tar.xz, disk-kvm.img)"
	}
	return ""
}

// As returns the shape of a version of which some items are kept: an image of LXD or
// Incus without its metadata is a file like any other.
func (v *Version) As(s Shape, kept func(item string) bool) Shape {
	if s == ShapeContainer && !slices.ContainsFunc(v.Items, func(i Item) bool { return kept(i.Name) && metadata.MatchString(i.ftype()) }) {
		return ShapeOther
	}
	return s
}

// Has reports whether an item of that name is there.
func (v *Version) Has(item string) bool {
	return slices.ContainsFunc(v.Items, func(i Item) bool { return i.Name == item })
}

// Fits checks a product against the shape of its file as strictly as the
// shape's readers do: MAAS does not look at inherited fields or aliases; LXD and
// Incus pass over a version without metadata, and fail at one without a root. Errors
// match bundle.ErrIncomplete and name product, version and item.
func (p *Product) Fits(s Shape) error {
	unfit := func(v *Version, format string, args ...any) error {
		where := "product " + p.Name
		if v != nil {
			where += ", version " + v.Name
		}
		return fmt.Errorf("%s: %w: no %s: %w", where, fmt.Errorf(format, args...), s, bundle.ErrIncomplete)
	}
	m := modelOf(s)
	if m == nil {
		for _, v := range p.Versions {
			if missing := v.Lacks(v.As(s, v.Has), v.Has); missing != "" {
				return unfit(&v, "lacks %s", missing)
			}
		}
		return nil
	}
	if err := m.fields(p.Fields); err != nil {
		return unfit(nil, "%w", err)
	}
	if len(p.Versions) == 0 {
		return unfit(nil, "no versions")
	}
	for _, v := range p.Versions {
		if missing := v.Lacks(s, v.Has); missing != "" {
			return unfit(&v, "lacks %s", missing)
		}
		if err := m.version(&v); err != nil {
			return unfit(&v, "%w", err)
		}
	}
	return nil
}

// fields checks those of a product.
func (m *model) fields(fields Object) error {
	if err := texts(fields, m.product, m.optional); err != nil {
		return err
	}
	return dates(fields, m.dates[0])
}

// texts checks fields that have to be text, and others that may also be null or
// absent.
func texts(fields Object, required, optional []string) error {
	for _, key := range slices.Concat(required, optional) {
		v := fields[key]
		if _, ok := v.(string); !ok && (v != nil || slices.Contains(required, key)) {
			return fmt.Errorf("%s: want text, got %v", key, v)
		}
	}
	return nil
}

func dates(fields Object, keys []string) error {
	for _, key := range keys {
		v := fields[key]
		s, ok := v.(string)
		if v == nil {
			continue
		}
		if _, err := time.Parse(time.DateOnly, s); !ok || err != nil {
			return fmt.Errorf("%s: want a date like 2029-04-25, got %v", key, v)
		}
	}
	return nil
}

func (m *model) version(v *Version) error {
	for _, i := range v.Items {
		if !slices.Contains(m.known, i.Name) {
			continue
		}
		if err := texts(i.Fields, m.item, m.may); err != nil {
			return fmt.Errorf("item %s: %w", i.Name, err)
		}
		size, ok := i.Fields["size"].(json.Number)
		if _, err := size.Int64(); !ok || err != nil {
			return fmt.Errorf("item %s: size: want a number, got %v", i.Name, i.Fields["size"])
		}
	}
	return dates(v.Fields, m.dates[1])
}

// FitsHeader checks the fields of a products file as MAAS does.
func FitsHeader(header Object) error {
	if _, ok := header["content_id"].(string); !ok {
		return fmt.Errorf("content_id: want text, got %v: %w", header["content_id"], bundle.ErrIncomplete)
	}
	switch header["datatype"] {
	case DatatypeDownloads, DatatypeIDs:
	default:
		return fmt.Errorf("datatype: want %s or %s, got %v: %w", DatatypeDownloads, DatatypeIDs, header["datatype"], bundle.ErrIncomplete)
	}
	return fitsUpdated(header)
}

// fitsUpdated: MAAS takes a time with a numeric zone, or one of ISO 8601.
func fitsUpdated(fields Object) error {
	s, _ := fields["updated"].(string)
	for _, form := range []string{timeForm, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if _, err := time.Parse(form, s); err == nil {
			return nil
		}
	}
	return fmt.Errorf("updated: want a time like %q, got %v: %w", timeForm, fields["updated"], bundle.ErrIncomplete)
}

// Fits checks an index as MAAS does.
func (x *Index) Fits() error {
	if err := fitsUpdated(x.Fields); err != nil {
		return err
	}
	if len(x.Entries) == 0 {
		return fmt.Errorf("no entries: %w", bundle.ErrIncomplete)
	}
	for _, e := range x.Entries {
		err := fitsUpdated(e.Fields)
		products, ok := e.Fields["products"].([]any)
		for _, name := range products {
			_, isText := name.(string)
			ok = ok && isText
		}
		switch datatype := e.Fields["datatype"]; {
		case err != nil:
		case !ok:
			err = fmt.Errorf("products: want a list of names: %w", bundle.ErrIncomplete)
		case datatype != nil && datatype != DatatypeDownloads && datatype != DatatypeIDs:
			err = fmt.Errorf("datatype %v: want %s: %w", datatype, DatatypeDownloads, bundle.ErrIncomplete)
		}
		if err != nil {
			return fmt.Errorf("entry %s: %w", e.ID, err)
		}
	}
	return nil
}

// maasNames are the names of Ubuntu products and of bootloaders that MAAS does
// not pass over.
var (
	maasImage      = regexp.MustCompile(`(?i):v([23]|3\+platform):`)
	maasBootloader = regexp.MustCompile(`:1:`)
)

// bootloaders are those that MAAS has a use for: type, os, arch.
var bootloaders = [][3]string{
	{"pxe", "pxelinux", "i386"},
	{"uefi", "grub-efi-signed", "amd64"},
	{"uefi", "grub-efi", "arm64"},
	{"open-firmware", "grub-ieee1275", "ppc64el"},
}

// Boots lists the architectures of machines that MAAS boots with a bootloader;
// none for a product that it has no use for.
func (p *Product) Boots() []string {
	kind, _ := p.Fields["bootloader-type"].(string)
	system, _ := p.Fields["os"].(string)
	arch, _ := p.Fields["arch"].(string)
	switch {
	case !maasBootloader.MatchString(p.Name) || !slices.Contains(bootloaders, [3]string{kind, system, arch}):
		return nil
	case arch == "i386": // what a machine of either has in its firmware
		return []string{"i386", "amd64"}
	}
	return []string{arch}
}

// Bootable returns what MAAS installs from a product: architecture, release and
// subarchitecture; ok is false for one that it passes over.
func (p *Product) Bootable(s Shape) (triple [3]string, ok bool) {
	if s != ShapeUbuntu && s != ShapeTarball || s == ShapeUbuntu && !maasImage.MatchString(p.Name) {
		return triple, false
	}
	for i, key := range []string{"arch", "release", "subarch"} {
		triple[i], _ = p.Fields[key].(string)
	}
	return triple, true
}

// NeedsBootloader reports whether MAAS boots machines of an architecture with a
// bootloader of a simplestreams source.
func NeedsBootloader(arch string) bool {
	return slices.ContainsFunc(bootloaders, func(b [3]string) bool { return b[2] == arch })
}
