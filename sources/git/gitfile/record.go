package gitfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Bounds of a record.
const (
	MaxPacks       = 64
	MaxRecord      = 64 << 20 // bytes
	maxRecordLine  = 16 << 10 // bytes
	maxRecordLines = 1_000_000
)

const recordHeader = "gapbundle-git 1"

// Record is the content of objects/info/gapbundle, a file that gapbundle
// publishes next to a repository's packs and git does not read. It records how
// the packs were made, so that the next export adds one pack for what is new
// and a full export makes the same packs again. It also records what the
// commits of the refs need besides: submodules and objects of Git LFS.
//
// It is text, one fact a line, first "gapbundle-git 1", then in this order:
//
//	git VERSION                        the git program that made the packs
//	mark HEX                           what of the spec the content depends on
//	pack N NAME COUNT SHA256           in order of N, from 1
//	tip N OBJECT COMMIT                a ref's object that pack N was made for
//	submodule COMMIT PIN "PATH" "URL"
//	lfs SHA256 SIZE "PATH"
//
// Pack N holds what its tips lead to, less what the tips of lower packs lead
// to. Tips, submodules and lfs are sorted. Text in quotes is as in Go.
type Record struct {
	Git        string
	Mark       string
	Packs      []Pack
	Submodules []Pin
	Objects    []Stored
}

// Pack is one pack of a record.
type Pack struct {
	Name  ID
	Count int64
	// Names is Index.Names of the pack.
	Names bundle.Digest
	Tips  []Tip
}

// Tip is an object that a ref named when a pack was made, and the commit that
// it leads to, zero if it leads to another object.
type Tip struct{ ID, Commit ID }

// Pin is a submodule of a commit that a ref leads to.
type Pin struct {
	Commit    ID // of the repository that has the submodule
	Pin       ID // of the submodule's repository
	Path, URL string
}

// Stored is an object of Git LFS and a path of a pointer to it.
type Stored struct {
	Pointer
	Path string
}

// Sort brings the record into the order in which it is written.
func (r *Record) Sort() {
	for _, p := range r.Packs {
		SortTips(p.Tips)
	}
	slices.SortFunc(r.Submodules, func(a, b Pin) int {
		if c := bytes.Compare(a.Commit[:], b.Commit[:]); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	slices.SortFunc(r.Objects, func(a, b Stored) int { return bytes.Compare(a.OID[:], b.OID[:]) })
}

// SortTips brings tips into the order in which a record has them.
func SortTips(tips []Tip) {
	slices.SortFunc(tips, func(a, b Tip) int { return bytes.Compare(a.ID[:], b.ID[:]) })
}

// Write writes the record, which has to be sorted.
func (r *Record) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s\ngit %s\nmark %s\n", recordHeader, r.Git, r.Mark)
	for i, p := range r.Packs {
		fmt.Fprintf(b, "pack %d %s %d %s\n", i+1, p.Name, p.Count, p.Names.Hex())
	}
	for i, p := range r.Packs {
		for _, t := range p.Tips {
			fmt.Fprintf(b, "tip %d %s %s\n", i+1, t.ID, t.Commit)
		}
	}
	for _, s := range r.Submodules {
		fmt.Fprintf(b, "submodule %s %s %q %q\n", s.Commit, s.Pin, s.Path, s.URL)
	}
	for _, o := range r.Objects {
		fmt.Fprintf(b, "lfs %s %d %q\n", o.OID.Hex(), o.Size, o.Path)
	}
	return b.Flush()
}

// ReadRecord reads a record. Errors match bundle.ErrMalformed or are r's.
func ReadRecord(r io.Reader) (*Record, error) {
	scanner := bufio.NewScanner(io.LimitReader(r, MaxRecord+1))
	scanner.Buffer(nil, maxRecordLine)
	record, n := &Record{}, 0
	for scanner.Scan() {
		line := scanner.Text()
		var err error
		switch n++; {
		case n == 1 && line != recordHeader:
			err = fmt.Errorf("begins with %.40q, want %q", line, recordHeader)
		case n == 1:
		case n > maxRecordLines:
			err = fmt.Errorf("more than %d lines", maxRecordLines)
		default:
			err = record.line(line)
		}
		if err != nil {
			return nil, fmt.Errorf("objects/info/gapbundle, line %d: %w: %w", n, err, bundle.ErrMalformed)
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("objects/info/gapbundle, line %d: more than %d bytes: %w", n+1, maxRecordLine, bundle.ErrMalformed)
	}
	if n == 0 && scanner.Err() == nil {
		return nil, fmt.Errorf("objects/info/gapbundle: empty: %w", bundle.ErrMalformed)
	}
	return record, scanner.Err()
}

func (r *Record) line(line string) (err error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "git":
		r.Git = rest
	case "mark":
		r.Mark = rest
	case "pack":
		err = r.pack(rest)
	case "tip":
		err = r.tip(rest)
	case "submodule":
		err = r.submodule(rest)
	case "lfs":
		err = r.stored(rest)
	default:
		err = fmt.Errorf("the word %.40q", word)
	}
	return err
}

func (r *Record) pack(rest string) error {
	f := strings.Split(rest, " ")
	if len(f) != 4 || f[0] != strconv.Itoa(len(r.Packs)+1) {
		return fmt.Errorf("want pack %d with name, count and digest", len(r.Packs)+1)
	}
	if len(r.Packs) == MaxPacks {
		return fmt.Errorf("more than %d packs", MaxPacks)
	}
	name, err1 := ParseID(f[1])
	count, err2 := strconv.ParseInt(f[2], 10, 64)
	names, err3 := bundle.ParseDigest("sha256:" + f[3])
	if count < 0 || count > MaxObjects {
		err2 = fmt.Errorf("%s", bundle.Count(count, "object"))
	}
	r.Packs = append(r.Packs, Pack{Name: name, Count: count, Names: names})
	return errors.Join(err1, err2, err3)
}

func (r *Record) tip(rest string) error {
	f := strings.Split(rest, " ")
	if len(f) != 3 {
		return errors.New("want a pack's number, an object and a commit")
	}
	n, err := strconv.Atoi(f[0])
	if err != nil || n < 1 || n > len(r.Packs) {
		return fmt.Errorf("a tip of pack %.20q, which is not there", f[0])
	}
	id, err1 := ParseID(f[1])
	commit, err2 := ParseID(f[2])
	r.Packs[n-1].Tips = append(r.Packs[n-1].Tips, Tip{id, commit})
	return errors.Join(err1, err2)
}

func (r *Record) submodule(rest string) error {
	f := strings.SplitN(rest, " ", 3)
	if len(f) != 3 {
		return errors.New("want a commit, a pin, a path and a URL")
	}
	commit, err1 := ParseID(f[0])
	pin, err2 := ParseID(f[1])
	path, after, err3 := cutQuoted(f[2])
	url, err4 := strconv.Unquote(strings.TrimPrefix(after, " "))
	r.Submodules = append(r.Submodules, Pin{Commit: commit, Pin: pin, Path: path, URL: url})
	return errors.Join(err1, err2, err3, err4)
}

func (r *Record) stored(rest string) error {
	f := strings.SplitN(rest, " ", 3)
	if len(f) != 3 {
		return errors.New("want a digest, a size and a path")
	}
	oid, err1 := bundle.ParseDigest("sha256:" + f[0])
	size, err2 := strconv.ParseInt(f[1], 10, 64)
	path, err3 := strconv.Unquote(f[2])
	if size < 0 {
		err2 = fmt.Errorf("%s", bundle.Count(size, "byte"))
	}
	r.Objects = append(r.Objects, Stored{Pointer: Pointer{OID: oid, Size: size}, Path: path})
	return errors.Join(err1, err2, err3)
}

// cutQuoted cuts the quoted text off that s begins with.
func cutQuoted(s string) (text, after string, err error) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", err
	}
	text, err = strconv.Unquote(quoted)
	return text, s[len(quoted):], err
}

// Tips returns the tips of all packs.
func (r *Record) Tips() []Tip {
	var all []Tip
	for _, p := range r.Packs {
		all = append(all, p.Tips...)
	}
	return all
}
