package gitfile

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// MaxPointer is the size in bytes below which a blob can be a pointer of Git
// LFS: its specification requires less than 1024.
const MaxPointer = 1023

// pointerVersion is the first line of a pointer; the second form is that of
// releases before 1.0, which clients still read.
var pointerVersions = [...]string{
	"version https://git-lfs.github.com/spec/v1\n",
	"version https://hawser.github.com/spec/v1\n",
}

// Pointer is what a pointer of Git LFS stands for.
type Pointer struct {
	OID  bundle.Digest
	Size int64 // bytes
}

// ParsePointer reads a blob as a pointer of Git LFS. ok is false for a blob
// that is not one. A blob that begins as a pointer and does not go on as one
// is content like any other for git-lfs, and is so here.
func ParsePointer(blob []byte) (p Pointer, ok bool) {
	if len(blob) > MaxPointer {
		return p, false
	}
	var rest []byte
	for _, v := range pointerVersions {
		if after, found := bytes.CutPrefix(blob, []byte(v)); found {
			rest, ok = after, true
		}
	}
	if !ok {
		return p, false
	}
	var seen int
	for line := range strings.SplitSeq(strings.TrimRight(string(rest), "\r\n"), "\n") {
		key, value, found := strings.Cut(strings.TrimRight(line, "\r"), " ")
		if !found {
			return p, false
		}
		var err error
		switch key {
		case "oid":
			p.OID, err = bundle.ParseDigest(value)
			seen |= 1
		case "size":
			if value == "" || strings.Trim(value, "0123456789") != "" {
				return p, false
			}
			p.Size, err = strconv.ParseInt(value, 10, 64)
			seen |= 2
		default:
			if !strings.HasPrefix(key, "ext-") {
				return p, false
			}
		}
		if err != nil {
			return p, false
		}
	}
	return p, seen == 3
}

// ObjectPath returns where the object of a pointer is published, relative to its
// repository: git-lfs's own layout below .git/lfs.
func (p Pointer) ObjectPath() string {
	hex := p.OID.Hex()
	return fmt.Sprintf("lfs/objects/%s/%s/%s", hex[:2], hex[2:4], hex)
}
