package rpmsig

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

const (
	leadSize  = 96 // bytes; nothing of it has a meaning today
	introSize = 16 // magic, reserved, number of entries, size of data
	entrySize = 16 // tag, type, offset, count

	// maxEntries and maxData are rpm's own bounds of a header, but for the
	// data, of which rpm takes 256 MB: texlive's, the largest known, have 20.
	maxEntries = 0xffff
	maxData    = 64 << 20 // bytes
	// maxStrings bounds an array of strings, of which signatures are one.
	maxStrings = 16
)

// Types of entries (rpm's header format).
const (
	typeInt32       = 4
	typeString      = 6
	typeBin         = 7
	typeStringArray = 8
	typeI18N        = 9
)

// Tags of the signature header.
const (
	sigDSA      = 267  // over the header
	sigRSA      = 268  // over the header
	sigSHA1     = 269  // of the header
	sigSHA256   = 273  // of the header
	sigOpenPGP  = 278  // over the header, any number of them, base64
	sigSHA3     = 279  // of the header, SHA3-256
	sigPGP      = 1002 // over header and payload
	sigMD5      = 1004 // of header and payload
	sigGPG      = 1005 // over header and payload
	sigReserved = 62   // the region
)

// Tags of the header.
const (
	tagName          = 1000
	tagVersion       = 1001
	tagRelease       = 1002
	tagEpoch         = 1003
	tagArch          = 1022
	tagSourceRPM     = 1044
	tagPayloadDigest = 5092
	tagPayloadAlgo   = 5093
)

// header is a parsed header: entries point into data.
type header struct {
	entries map[uint32]entry
	data    []byte
}

type entry struct{ kind, offset, count uint32 }

// sizes reads a header's intro: how long index and data are together.
func sizes(intro []byte) (n int, err error) {
	if binary.BigEndian.Uint32(intro) != 0x8eade801 {
		return 0, errors.New("no rpm header where one is required")
	}
	entries, data := binary.BigEndian.Uint32(intro[8:]), binary.BigEndian.Uint32(intro[12:])
	if entries > maxEntries || data > maxData {
		return 0, fmt.Errorf("header of %s and %s, at most %d and %d", spelling.Count(entries, "entry"), spelling.Count(data, "byte"), maxEntries, maxData)
	}
	return int(entries)*entrySize + int(data), nil
}

// parseHeader reads a header as it is in the file, its intro included. The
// first of two entries of one tag counts, as in rpm.
func parseHeader(blob []byte) (*header, error) {
	entries := int(binary.BigEndian.Uint32(blob[8:]))
	index, data := blob[introSize:introSize+entries*entrySize], blob[introSize+entries*entrySize:]
	h := &header{entries: make(map[uint32]entry, min(entries, 256)), data: data}
	for ; len(index) > 0; index = index[entrySize:] {
		tag := binary.BigEndian.Uint32(index)
		e := entry{binary.BigEndian.Uint32(index[4:]), binary.BigEndian.Uint32(index[8:]), binary.BigEndian.Uint32(index[12:])}
		if e.offset > uint32(len(data)) {
			return nil, fmt.Errorf("header entry %d is beyond its end", tag)
		}
		if _, ok := h.entries[tag]; !ok {
			h.entries[tag] = e
		}
	}
	return h, nil
}

func (h *header) has(tag uint32) bool {
	_, ok := h.entries[tag]
	return ok
}

// bin returns an entry of bytes; nil: there is none.
func (h *header) bin(tag uint32) ([]byte, error) {
	e, ok := h.entries[tag]
	if !ok {
		return nil, nil
	}
	rest := h.data[e.offset:]
	if e.kind != typeBin || e.count > uint32(len(rest)) {
		return nil, fmt.Errorf("header entry %d: not readable", tag)
	}
	return rest[:e.count], nil
}

// strings returns the strings of an entry; nil: there is none.
func (h *header) strings(tag uint32) ([]string, error) {
	e, ok := h.entries[tag]
	if !ok {
		return nil, nil
	}
	n := e.count
	switch e.kind {
	case typeString, typeI18N:
		n = 1
	case typeStringArray:
	default:
		n = 0
	}
	if n == 0 || n > maxStrings {
		return nil, fmt.Errorf("header entry %d: not readable", tag)
	}
	var all []string
	rest := h.data[e.offset:]
	for range n {
		end := 0
		for end < len(rest) && rest[end] != 0 {
			end++
		}
		if end == len(rest) {
			return nil, fmt.Errorf("header entry %d: without an end", tag)
		}
		all = append(all, string(rest[:end]))
		rest = rest[end+1:]
	}
	return all, nil
}

func (h *header) text(tag uint32) (string, error) {
	all, err := h.strings(tag)
	if len(all) == 0 {
		return "", err
	}
	return all[0], nil
}

// number returns the first one of an entry; false: there is none.
func (h *header) number(tag uint32) (uint32, bool, error) {
	e, ok := h.entries[tag]
	if !ok {
		return 0, false, nil
	}
	if rest := h.data[e.offset:]; e.kind == typeInt32 && e.count > 0 && len(rest) >= 4 {
		return binary.BigEndian.Uint32(rest), true, nil
	}
	return 0, false, fmt.Errorf("header entry %d: not readable", tag)
}

// Identity is a package's name, version and architecture by its own header.
type Identity struct {
	Name, Version, Release, Arch string
	Epoch                        uint32
}

func (h *header) identity() (id Identity, err error) {
	for _, f := range []struct {
		tag uint32
		to  *string
	}{{tagName, &id.Name}, {tagVersion, &id.Version}, {tagRelease, &id.Release}, {tagArch, &id.Arch}} {
		if *f.to, err = h.text(f.tag); err != nil {
			return id, err
		}
	}
	if id.Epoch, _, err = h.number(tagEpoch); err != nil {
		return id, err
	}
	if !h.has(tagSourceRPM) { // as rpm recognizes a source package; nosrc is one as well
		id.Arch = "src"
	}
	return id, nil
}
