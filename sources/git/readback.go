package git

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// readBack reads the small files of a git repository with the parsers that Check and
// later exports read them with. Packs and their indexes are made by git, and Check reads
// each of them whole.
func readBack(p *packed, content map[string][]byte) error {
	readers := map[string]rebuild.Read{
		nameHead: rebuild.Whole(p.readHead), nameConfig: rebuild.Whole(readConfig), namePacks: rebuild.Whole(p.readPacks), nameRecord: p.readRecord,
		namePacked: p.readRefs(gitfile.ReadPackedRefs), nameInfoRefs: p.readRefs(gitfile.ReadInfoRefs),
	}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		if err := rebuild.ReadBack(p.of.dir+"/"+name, content[name], readers[name]); err != nil {
			return err
		}
	}
	return nil
}

func (p *packed) readRefs(parse func(io.Reader) ([]gitfile.Ref, error)) rebuild.Read {
	return func(r io.Reader) error {
		got, err := parse(r)
		if err == nil && !slices.Equal(got, p.of.chosen.refs) {
			err = fmt.Errorf("refs: want %d, got %d, or other ones", len(p.of.chosen.refs), len(got))
		}
		return err
	}
}

// readHead reads HEAD, which names a chosen ref or an object.
func (p *packed) readHead(content []byte) error {
	line, whole := strings.CutSuffix(string(content), "\n")
	if !whole {
		return fmt.Errorf("%.80q does not end", line)
	}
	branch, isBranch := strings.CutPrefix(line, "ref: ")
	if !isBranch {
		_, err := gitfile.ParseID(line)
		return err
	}
	if !slices.ContainsFunc(p.of.chosen.refs, func(r gitfile.Ref) bool { return r.Name == branch }) {
		return fmt.Errorf("names %.80q, which is no ref", branch)
	}
	return nil
}

func readConfig(content []byte) error {
	if string(content) != config {
		return fmt.Errorf("want that of a bare repository, and nothing else")
	}
	return nil
}

// readPacks reads the list of packs.
func (p *packed) readPacks(content []byte) error {
	lines, whole := strings.CutSuffix(string(content), "\n\n")
	if !whole {
		return fmt.Errorf("%.80q does not end with an empty line", content)
	}
	got := strings.Split(lines, "\n")
	if len(got) != len(p.record.Packs) {
		return fmt.Errorf("packs: want %d, got %d", len(p.record.Packs), len(got))
	}
	for i, one := range p.record.Packs {
		if want := "P pack-" + one.Name.String() + ".pack"; got[i] != want {
			return fmt.Errorf("want %q, got %.100q", want, got[i])
		}
	}
	return nil
}

func (p *packed) readRecord(r io.Reader) error {
	got, err := gitfile.ReadRecord(r)
	if err != nil {
		return err
	}
	if len(got.Packs) != len(p.record.Packs) || len(got.Submodules) != len(p.record.Submodules) {
		return fmt.Errorf("packs and submodules: want %d and %d, got %d and %d", len(p.record.Packs), len(p.record.Submodules), len(got.Packs), len(got.Submodules))
	}
	return nil
}
