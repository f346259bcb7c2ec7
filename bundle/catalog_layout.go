package bundle

import "fmt"

// The catalogue is one sequence of members: the volume table; for each volume
// its frame index and its blob table; the file lists, then the evidence lists
// of the repositories in the root's order, those that are carried. Where each
// lies follows from sizes alone, which the root (and, for the tables of the
// volumes, the volume table) names: no reader parses the tar headers, which
// stand there for people.

const (
	// catalogCut is the raw size from which the next member begins another
	// catalogue file. Lists shrink to a quarter or less, so that the file
	// stays far below MaxFileSize unless a single list is enormous.
	catalogCut = 1 << 30 // bytes
	// catalogFrameRaw is small beside frameRaw, because readers of many
	// lists at once hold a frame of each.
	catalogFrameRaw = 1 << 20 // bytes
	// maxCatalogFiles: two digits in a name.
	maxCatalogFiles = 99
	// maxTarName is the room for a name in a ustar header, without prefix.
	maxTarName = 100 // bytes
	// maxTarSize is what the eleven octal digits of a ustar header hold.
	maxTarSize = 1<<33 - 1 // bytes
)

func catalogName(n int) string { return fmt.Sprintf("catalog-%02d.tar.zst", n) }
func volumeName(n int) string  { return fmt.Sprintf("volume-%05d.tar.zst", n) }

// The names of members, for people.
const volumeTableName = "volumes.jsonl"

func frameIndexName(volume string) string { return "frames/" + memberStem(volume) + ".jsonl" }
func blobTableName(volume string) string  { return "blobs/" + memberStem(volume) + ".jsonl" }

// memberStem is the number in the name of a volume.
func memberStem(volume string) string {
	const before, after = len("volume-"), len(".tar.zst")
	return volume[before : len(volume)-after]
}

// listName names the list of the i-th repository. A repository's name, which
// may not fit into a header, stands behind the number only if it does.
func listName(kind string, i int, repo string) string {
	name := fmt.Sprintf("%s/%s.jsonl", kind, repo)
	if len(name) > maxTarName {
		name = fmt.Sprintf("%s/%04d.jsonl", kind, i)
	}
	return name
}

// member is where a list lies in the catalogue.
type member struct {
	file   int   // index in Manifest.Catalog
	offset int64 // of its first byte in the raw stream of that file
	size   int64
}

// placer gives members their places, one after the other. The writer and the
// reader both use it.
type placer struct {
	file int
	raw  int64 // of the current file, without the end of the archive
}

// place says where a member of this size lies, and whether a new file begins with it.
func (p *placer) place(size int64) (m member, cut bool) {
	if p.raw >= catalogCut {
		p.file, p.raw, cut = p.file+1, 0, true
	}
	m = member{file: p.file, offset: p.raw + tarBlock, size: size}
	p.raw += tarBlock + padded(min(size, maxTarSize+1)) // what is larger is refused where it is opened
	return m, cut
}
