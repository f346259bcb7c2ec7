package bundle

// Bounds of format 1. Each names the attack or the medium it is for. They are
// part of the format: a reader refuses what is above them, a writer never
// makes it.
const (
	// MaxRootSize bounds bundle.json, which is held in memory and parsed
	// before anything else; without it a stick could exhaust memory.
	MaxRootSize = 4 << 20 // bytes
	// MaxSignatureSize bounds one signature file, parsed before it is trusted.
	MaxSignatureSize = 64 << 10 // bytes
	// MaxSignatures bounds how many signature files of a bundle are read:
	// a directory full of them must not turn into hours of ECDSA.
	MaxSignatures = 16
	// MaxReceiptSize bounds a receipt, which travels against the stream and
	// is parsed on the connected side.
	MaxReceiptSize = 64 << 10 // bytes
	// MaxLineSize bounds one line of a list or table, newline included:
	// the unit in which lists are held in memory.
	MaxLineSize = 64 << 10 // bytes
	// MaxPathSize is the longest path inside a repository (Linux PATH_MAX
	// is 4,096; the mirror's own prefix has to fit too).
	MaxPathSize = 1024 // bytes
	// MaxNameSize is the longest component of a path (ext4, XFS, exFAT: 255).
	MaxNameSize = 255 // bytes
	// MaxFrameRaw is the most that one frame decompresses to: the unit of
	// memory and of work on both sides.
	MaxFrameRaw = 8 << 20 // bytes
	// MaxFrameCompressed is the most that one frame has in its file: content that does
	// not shrink grows by three bytes for each block (RFC 8878, section 3.1.1.2). The
	// bytes of a frame are held in memory before they are compared with its digest.
	MaxFrameCompressed = MaxFrameRaw + 64<<10 // bytes
	// MaxVolumeTable bounds the volume table, which is held in memory: some 1,000
	// bytes for each of MaxVolumes, annotations included.
	MaxVolumeTable = 64 << 20 // bytes
	// MaxWindow is the largest zstd window a reader allows, so that a frame
	// header cannot ask for gigabytes.
	MaxWindow = 8 << 20 // bytes
	// MaxRepositories bounds the repositories of one bundle: they are in the
	// root, which is held in memory.
	MaxRepositories = 4096
	// MaxChecks bounds the counts of completeness checks over all repositories, for the
	// same reason.
	MaxChecks = 65_536
	// MaxFiles bounds the files of one bundle over all repositories.
	MaxFiles = 20_000_000
	// SomeFolders and FoldersPerFile bound the folders that the paths of a bundle need:
	// so many, and so many more for each file. A path of 1,024 bytes has 512.
	SomeFolders    = 4096
	FoldersPerFile = 16
	// MaxFilledSize bounds one filled file, and MaxFilled their number in one
	// bundle: import writes all of them again whenever the address changes.
	MaxFilledSize = 1 << 20 // bytes
	MaxFilled     = 1 << 20
	// MaxVolumes bounds the volumes of one bundle: five digits in a name.
	MaxVolumes = 65_535
	// MaxFileSize is the size that no file of a bundle reaches: FAT32 stores
	// a size in 32 bits.
	MaxFileSize = 1<<32 - 1 // bytes
	// MaxAnnotations bounds the entries of one annotations map, and
	// MaxAnnotationSize one key or value of it.
	MaxAnnotations    = 64
	MaxAnnotationSize = 4096 // bytes
	// MaxInteger is the largest integer in our JSON: what every JSON reader
	// holds exactly (RFC 8785 section 3.2.2.3, IEEE 754 binary64).
	MaxInteger = 1<<53 - 1

	// MinVolumeSize and DefaultVolumeSize bound --volume-size from below and
	// set it. Under a MiB the tar and frame overhead would dominate.
	MinVolumeSize     = 1 << 20 // bytes
	DefaultVolumeSize = 1 << 30 // bytes
	// SmallBlob is the size up to which a blob is hashed in memory before it
	// is written and shares frames with its neighbours; a larger one begins a
	// frame of its own, so that it can be cut off again if it turns out wrong.
	SmallBlob = 1 << 20 // bytes
	// SplitBlob is the size from which a blob is split over two volumes
	// rather than leaving the rest of one empty.
	SplitBlob = 64 << 20 // bytes
	// SpoolBlob is the most that is held in memory of a blob whose size is
	// not known up front; a larger one goes to scratch.
	SpoolBlob = 8 << 20 // bytes
)
