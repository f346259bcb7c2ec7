package bundle

import (
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Format is the version of the format that this package writes and reads.
const Format = 1

// The features that a root may require.
const (
	// FeatureContents is required by a root that names a contents list.
	FeatureContents = "contents"
	// FeatureFilled is required by a root with a list that has a filled line.
	FeatureFilled = "filled"
)

// Features returns the names that this package knows in Manifest.Requires,
// sorted. A receipt repeats them to the exporter.
func Features() []string { return []string{FeatureContents, FeatureFilled} }

// The fixed names in the directory of a bundle.
const (
	RootName   = "bundle.json"
	SumsName   = "SHA256SUMS"
	ReadmeName = "README.txt"
	MediumName = "MEDIUM.txt"
)

// Media types of what a root refers to.
const (
	MediaTypeVolumeTable = "application/vnd.gapbundle.volumes.v1+jsonl"
	MediaTypeFrameIndex  = "application/vnd.gapbundle.frames.v1+jsonl"
	MediaTypeBlobTable   = "application/vnd.gapbundle.blobs.v1+jsonl"
	MediaTypeFileList    = "application/vnd.gapbundle.files.v1+jsonl"
	MediaTypeEvidence    = "application/vnd.gapbundle.evidence.v1+jsonl"
	MediaTypeContents    = "application/vnd.gapbundle.contents.v1+jsonl"
	MediaTypeSums        = "text/plain; charset=utf-8"
)

// OverrideWeakKey precedes, in Manifest.Overrides, the fingerprint of a weak key of an
// upstream that counts because the spec allows it.
const OverrideWeakKey = "allow-weak-key "

// Manifest is the root of a bundle, bundle.json: what is signed. Everything
// else of the bundle is reached from it by digest. Field order here is the
// alphabetical order of the JSON.
type Manifest struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	// Base is what a delta was made against; nil for a full bundle. It is
	// information: whether a delta applies is decided by the blobs at hand.
	Base *State `json:"base,omitempty"`
	// Catalog lists the catalogue files with their frames, because nothing
	// else could authenticate those.
	Catalog []CatalogFile `json:"catalog"`
	// Created is when the root was made, by the exporter's clock. It alone
	// never makes an importer refuse.
	Created time.Time `json:"created"`
	// Destination is the ledger name the bundle was made for; may be empty.
	Destination string `json:"destination,omitempty"`
	// Expires is the time after which importers refuse; nil: never.
	Expires *time.Time `json:"expires,omitempty"`
	Format  int        `json:"format"`
	// Full means that every blob of every list is in the volumes.
	Full bool `json:"full"`
	// Keys are the OpenPGP keys this bundle publishes for clients.
	Keys []PublishedKey `json:"keys,omitempty"`
	// Overrides are the checks that the operator of the exporter switched
	// off by name, sorted ("no-readback", "readback-cached", OverrideWeakKey).
	Overrides    []string     `json:"overrides,omitempty"`
	Repositories []Repository `json:"repositories"`
	// Requires are names of features that a reader must know, sorted: of those
	// that Features returns.
	Requires []string `json:"requires,omitempty"`
	// Sequence counts the bundles of a stream from 1; gaps are normal.
	Sequence int64  `json:"sequence"`
	Set      string `json:"set"`
	// State is the state digest over all repositories (StateDigest).
	State Digest `json:"state"`
	// Stream is the random identity of the exporter's counter, 32 hex digits.
	Stream string `json:"stream"`
	// Sums describes SHA256SUMS.
	Sums v1.Descriptor `json:"sums"`
	// Tool is the name and version of the program that wrote the bundle.
	Tool string `json:"tool"`
	// Volumes describes the volume table, a member of the catalogue.
	Volumes v1.Descriptor `json:"volumes"`
}

// State names one state of a set.
type State struct {
	Sequence int64  `json:"sequence"`
	State    Digest `json:"state"`
}

// CatalogFile is one file of the catalogue.
type CatalogFile struct {
	Digest Digest  `json:"digest"`
	Frames []Frame `json:"frames"`
	Name   string  `json:"name"`
	Size   int64   `json:"size"`
}

// PublishedKey is an OpenPGP key that clients inside are configured to trust.
type PublishedKey struct {
	// Fingerprint is 40 or 64 upper-case hexadecimal digits.
	Fingerprint string `json:"fingerprint"`
	// Mounts are the repositories it vouches for, sorted.
	Mounts []string `json:"mounts"`
	// Path is where the mirror publishes it, below "keys/".
	Path string `json:"path"`
	// Role is "site" for a key of the exporting site, "upstream" otherwise.
	Role string `json:"role"`
}

// Repository is one source's part of the mirror. It is always described
// whole, whatever the bundle carries of it.
type Repository struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	// Carried states which of the lists are members of this bundle's
	// catalogue: "contents", "evidence", "files", sorted. A list that the base
	// has is not carried again, apart from short contents lists.
	Carried []string `json:"carried,omitempty"`
	// Checks are what the kind's completeness check covered, sorted by name.
	Checks []CheckCount `json:"checks,omitempty"`
	// Contents describes the contents list, and Entries is how many lines it has;
	// nil: there is none, as in bundles of programs that knew no such lists.
	Contents *v1.Descriptor `json:"contents,omitempty"`
	Entries  int64          `json:"entries,omitempty"`
	// Count and Bytes are the number of files and the sum of their sizes.
	Bytes int64 `json:"bytes"`
	Count int64 `json:"count"`
	// Evidence describes the evidence list, Files the file list.
	Evidence v1.Descriptor `json:"evidence"`
	Files    v1.Descriptor `json:"files"`
	Kind     string        `json:"kind"`
	// Mode is "verbatim" or "rebuilt" where upstream signs an index, else empty.
	Mode string `json:"mode,omitempty"`
	// Mount is where the paths of the lists begin, relative to the web root.
	Mount string `json:"mount"`
	// Name is the source's name; unique in the bundle.
	Name string `json:"name"`
	// UpstreamExpires is the earliest time at which upstream's own
	// signatures or indexes lapse; nil: never, or not said.
	UpstreamExpires *time.Time `json:"upstreamExpires,omitempty"`
	// Unpinned counts files that nothing but the connection vouched for.
	Unpinned int64 `json:"unpinned,omitempty"`
}

// Lists returns the descriptors of all lists that the repository has.
func (r *Repository) Lists() []v1.Descriptor {
	all := []v1.Descriptor{r.Evidence, r.Files}
	if r.Contents != nil {
		all = append(all, *r.Contents)
	}
	return all
}

// CheckCount is how many objects one completeness check looked at.
type CheckCount struct {
	Count int64  `json:"count"`
	Name  string `json:"name"`
}

// Volume is a line of the volume table.
type Volume struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	// BlobCount is the number of lines of the blob table.
	BlobCount int64         `json:"blobCount"`
	Blobs     v1.Descriptor `json:"blobs"`
	Digest    Digest        `json:"digest"`
	Frames    v1.Descriptor `json:"frames"`
	Name      string        `json:"name"`
	// Raw is the length of the tar stream, Size that of the file.
	Raw  int64  `json:"raw"`
	Role string `json:"role"`
	Size int64  `json:"size"`
}

// RoleData is the role of a volume that carries blobs.
const RoleData = "data"

// Frame is a line of a frame index: an independently compressed piece.
type Frame struct {
	// Compressed is its length in the file, Digest the SHA-256 of those bytes.
	Compressed int64  `json:"compressed"`
	Digest     Digest `json:"digest"`
	// Raw is the exact length it decompresses to, 1 to MaxFrameRaw.
	Raw int64 `json:"raw"`
}

// Blob is a line of a blob table: a blob, or a segment of one, in a volume.
type Blob struct {
	// At is where in the blob this segment begins; 0 for a whole blob.
	At     int64  `json:"at,omitempty"`
	Digest Digest `json:"digest"`
	// Length is how many bytes lie here, Offset where in the volume's raw
	// tar stream they begin.
	Length int64 `json:"length"`
	Offset int64 `json:"offset"`
	// Size is the size of the whole blob.
	Size int64 `json:"size"`
}

// Whole reports whether the blob is not split.
func (b Blob) Whole() bool { return b.At == 0 && b.Length == b.Size }

// File is a line of a file list.
type File struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	Digest      Digest            `json:"digest"`
	// Filled: the content holds the words that import replaces by the mirror's
	// address. Digest and Size are those of the content with the words. A root
	// whose lists have such a line requires FeatureFilled.
	Filled bool `json:"filled,omitempty"`
	// MediaType is set where a web server has to send it; empty otherwise.
	MediaType string `json:"mediaType,omitempty"`
	// Path is relative to the repository's mount.
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// Evidence is a line of an evidence list: why a file may be believed.
type Evidence struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	// Origin is the URL as configured, without secrets; empty for what was made here.
	Origin string `json:"origin,omitempty"`
	Path   string `json:"path"`
	// Reason is why the file is in the mirror, for people.
	Reason string `json:"reason,omitempty"`
	// Vouched is how upstream vouched for it: one of the Vouched constants,
	// "openpgp:" and a fingerprint, or "cosign:" and a key id.
	Vouched string `json:"vouched"`
}

// AllowedKey is the annotation of a repository that states, for people, what its
// spec let in that is refused otherwise.
const AllowedKey = "allowed"

// ClientIDsKey is the annotation of a repository with the names, separated by blanks, by
// which client files may call it besides those that begin with its own.
const ClientIDsKey = "client-ids"

// KeptKey is the annotation, with KeptValue, of an evidence line whose file the
// exporter keeps between exports: what an adopted bundle restores in it.
const (
	KeptKey   = "kept"
	KeptValue = "document"
)

// How upstream vouched for a file.
const (
	VouchedOpenPGP = "openpgp:" // followed by the fingerprint
	VouchedCosign  = "cosign:"  // followed by the KeyID in hexadecimal digits
	VouchedSSH     = "ssh:"     // followed by the fingerprint of the key, as in SHA256:...
	VouchedPinned  = "pinned"   // digest in the spec or in the lock file
	VouchedIndex   = "index"    // named by an index that was itself vouched for
	VouchedLocal   = "local"    // read from the exporter's own disk
	VouchedTLS     = "tls-only" // nothing but the connection: unpinned
	VouchedNone    = "none"     // not even that (plain http): unpinned
	VouchedMade    = "made"     // made by gapbundle from vouched content
)

// Unpinned reports whether nothing but the connection vouches for the file.
func (e Evidence) Unpinned() bool { return e.Vouched == VouchedTLS || e.Vouched == VouchedNone }
