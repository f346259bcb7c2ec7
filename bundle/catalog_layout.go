package bundle

import "fmt"

// The catalogue is one sequence of members: the volume table; for each volume
// its frame index and its blob table; the file lists, then the evidence lists,
// then the contents lists of the repositories in the root's order, those that are carried. Where each
// is follows from sizes alone, which the root (and, for the tables of the
// volumes, the volume table) names: no reader parses the tar headers, which
// are there for people.

// Sizes in a tar stream.
const (
	// TarBlock is the length of a header and the unit of padding.
	TarBlock = 512 // bytes
	// TarTrailer is the length of the end of an archive.
	TarTrailer = 2 * TarBlock // bytes
)

const (
	// catalogCut is the raw size from which the next member begins another
	// catalogue file. Lists shrink to a quarter or less, so that the file
	// stays far below MaxFileSize unless a single list is enormous.
	catalogCut = 1 << 30 // bytes
	// MaxCatalogFiles is how many catalogue files two digits in a name allow.
	MaxCatalogFiles = 99
	// MaxTarSize is what the eleven octal digits of a ustar header hold.
	MaxTarSize = 1<<33 - 1 // bytes
)

// CatalogName returns the name of the nth catalogue file, from 1.
func CatalogName(n int) string { return fmt.Sprintf(catalogForm, n) }

// VolumeName returns the name of the nth volume, from 1.
func VolumeName(n int) string { return fmt.Sprintf(volumeForm, n) }

const (
	catalogForm = "catalog-%02d.tar.zst"
	volumeForm  = "volume-%05d.tar.zst"
)

// VolumeNumber reverses VolumeName; false: name is not one of a volume.
func VolumeNumber(name string) (n int, ok bool) { return numberIn(name, volumeForm) }

// CatalogNumber reverses CatalogName; false: name is not one of a catalogue file.
func CatalogNumber(name string) (n int, ok bool) { return numberIn(name, catalogForm) }

func numberIn(name, form string) (n int, ok bool) {
	_, err := fmt.Sscanf(name, form, &n)
	return n, err == nil && n > 0 && name == fmt.Sprintf(form, n)
}

// member is where a list is in the catalogue.
type member struct {
	file   int   // index in Manifest.Catalog
	offset int64 // of its first byte in the raw stream of that file
	size   int64
}

// Placer assigns the members of the catalogue their places, one after the
// other. Writer and reader both use it, so that they cannot differ.
type Placer struct {
	file int
	raw  int64 // of the current file, without the end of the archive
}

// Add places the next member, of size bytes, and reports whether a new
// catalogue file begins with it.
func (p *Placer) Add(size int64) bool {
	_, cut := p.place(size)
	return cut
}

// place returns where a member of size bytes is, and whether a new file begins with it.
func (p *Placer) place(size int64) (m member, cut bool) {
	if p.raw >= catalogCut {
		p.file, p.raw, cut = p.file+1, 0, true
	}
	m = member{file: p.file, offset: p.raw + TarBlock, size: size}
	p.raw += TarBlock + Padded(min(size, MaxTarSize+1)) // what is larger is refused where it is opened
	return m, cut
}

// Padded returns n rounded up to whole blocks of a tar stream.
func Padded(n int64) int64 { return (n + TarBlock - 1) / TarBlock * TarBlock }
