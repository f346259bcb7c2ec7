package rpm

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/rpm/modulemd"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// Metadata that is made here is read back by the parsers that read upstream's metadata, before
// any of it is published: a filter copies parts of a file byte for byte, and what it
// left out may have been what held the rest together.

// tally compares the entries that are read back with the intended ones.
type tally struct {
	left  map[string]int
	meant int
}

// add counts one that was read; what names it for people.
func (t *tally) add(key, what string) error {
	n, ok := t.left[key]
	switch {
	case !ok:
		return fmt.Errorf("%s: was not chosen", what)
	case n == 0:
		return fmt.Errorf("%s: is there once more than it should be", what)
	}
	t.left[key] = n - 1
	return nil
}

// end checks that nothing is missing.
func (t *tally) end(what string) error {
	left := 0
	for _, n := range t.left {
		left += n
	}
	if left > 0 {
		return fmt.Errorf("want %d %s, got %d", t.meant, what, t.meant-left)
	}
	return nil
}

// readPrimary reads a primary.xml that has to have what filtering by hrefs has kept:
// hrefs has the new location by hrefKey.
func readPrimary(hrefs map[string]string, nevras map[string]bool) rebuild.Read {
	return func(r io.Reader) error {
		t := &tally{left: make(map[string]int, len(hrefs)), meant: len(hrefs)}
		for key, href := range hrefs {
			sum, _, _ := strings.Cut(key, "\x00")
			t.left[sum+"\x00"+href]++
		}
		for p, err := range rpmmd.Primary(r, rpmmd.Files, &rpmmd.Interner{}) {
			if err == nil && !nevras[p.NEVRA()] {
				err = fmt.Errorf("package %s: was not chosen", p.NEVRA())
			}
			if err == nil {
				err = t.add(p.Checksum.Hex+"\x00"+p.Location, "package "+p.NEVRA()+" at "+p.Location)
			}
			if err != nil {
				return err
			}
		}
		return t.end("packages")
	}
}

// readIDs reads a filelists.xml or other.xml that has to have the packages of ids.
func readIDs(ids map[string]bool) rebuild.Read {
	return func(r io.Reader) error {
		t := &tally{left: make(map[string]int, len(ids)), meant: len(ids)}
		for id := range ids {
			t.left[id] = 1
		}
		for id, err := range rpmmd.PackageIDs(r) {
			if err == nil {
				err = t.add(id, "package "+id)
			}
			if err != nil {
				return err
			}
		}
		return t.end("packages")
	}
}

// readUpdates reads an updateinfo.xml that has to name n packages, all of nevras. n is
// known when the file was written.
func readUpdates(n *int, nevras map[string]bool) rebuild.Read {
	return func(r io.Reader) error {
		got := 0
		for f, err := range rpmmd.Updates(r) {
			if err != nil {
				return err
			}
			one := rpmmd.Package{Name: f.Name, EVR: f.EVR, Arch: f.Arch}
			if !nevras[one.NEVRA()] {
				return fmt.Errorf("advisory %s: package %s: was not chosen", f.ID, one.NEVRA())
			}
			got++
		}
		if got != *n {
			return fmt.Errorf("packages of advisories: want %d, got %d", *n, got)
		}
		return nil
	}
}

// readGroupsOf reads a comps.xml that has to have n groups, of nothing but names, and
// environments of nothing but these.
func readGroupsOf(n *int, names map[string]bool) rebuild.Read {
	return func(r io.Reader) error {
		all, err := rpmmd.ParseGroups(r)
		if err != nil {
			return err
		}
		if len(all.Groups) != *n {
			return fmt.Errorf("groups: want %d, got %d", *n, len(all.Groups))
		}
		for id, g := range all.Groups {
			if i := slices.IndexFunc(g.Packages, func(name string) bool { return !names[name] }); i >= 0 {
				return fmt.Errorf("group %s: package %s: was not chosen", id, g.Packages[i])
			}
		}
		for id, e := range all.Environments {
			for _, of := range e.Groups {
				if _, ok := all.Groups[of]; !ok {
					return fmt.Errorf("environment %s: group %s: is not there", id, of)
				}
			}
		}
		return nil
	}
}

// readModulesOf reads a modules.yaml that was made of another one: the same streams in
// the same order, without packages that are not carried.
func readModulesOf(of *modulemd.Index, carried *carriedModules) rebuild.Read {
	return func(r io.Reader) error {
		got, err := modulemd.Parse(r)
		if err != nil {
			return err
		}
		if len(got.Skipped) > 0 {
			return fmt.Errorf("not all of it is read: %s", got.Skipped[0])
		}
		meant := of.Kept(carried.has, carried.needed)
		if len(got.Streams) != len(meant) {
			return fmt.Errorf("streams: want %d, got %d", len(meant), len(got.Streams))
		}
		for i, want := range meant {
			if err := sameStream(want, got.Streams[i], carried); err != nil {
				return err
			}
		}
		return nil
	}
}

// sameStream compares a stream with the one that it was made of.
func sameStream(want, got *modulemd.Stream, carried *carriedModules) error {
	if got.Module != want.Module || got.Name != want.Name || got.Version != want.Version || got.Context != want.Context || got.Arch != want.Arch {
		return fmt.Errorf("want stream %s, got %s", want, got)
	}
	for _, a := range got.Artifacts {
		if !slices.Contains(want.Artifacts, a) {
			return fmt.Errorf("stream %s: package %s: was not in it", want, a)
		}
	}
	for _, a := range want.Artifacts {
		if carried.has(a) && !slices.Contains(got.Artifacts, a) {
			return fmt.Errorf("stream %s: package %s: is not in it any more", want, a)
		}
	}
	return nil
}
