package galaxy

import (
	"fmt"

	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/record"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// Pages are read back with the parsers that read a server's, as far as a server has such
// pages: the identity of a role is a number there and a name here.

// readObject reads a page that is one object.
func readObject(read func(o record.Object) error) rebuild.Read {
	return rebuild.Whole(func(content []byte) error {
		o, err := record.Parse(content)
		if err != nil {
			return err
		}
		return read(o)
	})
}

// readRoot reads the page that states where the APIs are.
func readRoot(meant object) rebuild.Read {
	return rebuild.Whole(func(content []byte) error {
		got, err := api.ParseRoot(content)
		if err != nil {
			return err
		}
		for name, folder := range meant {
			if got[name] != folder {
				return fmt.Errorf("want %v for %s, got %q", folder, name, got[name])
			}
		}
		return nil
	})
}

// readEntries reads a list whose entries have to have these values of a key.
func readEntries(list, key string, meant []any) rebuild.Read {
	return readObject(func(o record.Object) error {
		got, err := record.Need[[]record.Object](o, list)
		if err != nil {
			return err
		}
		if len(got) != len(meant) {
			return fmt.Errorf("entries: want %d, got %d", len(meant), len(got))
		}
		for i, e := range got {
			if e.Text(key) != meant[i] {
				return fmt.Errorf("entry %d: want %v, got %q", i+1, meant[i], e.Text(key))
			}
		}
		return nil
	})
}

// readNamed reads the page of a collection.
func readNamed(namespace, name string) rebuild.Read {
	return readObject(func(o record.Object) error {
		if o.Text("namespace") != namespace || o.Text("name") != name {
			return fmt.Errorf("want %s.%s, got %s.%s", namespace, name, o.Text("namespace"), o.Text("name"))
		}
		return nil
	})
}

// readRelease reads the page of a version.
func readRelease(full string, meant *api.Release, signatures int) rebuild.Read {
	return readObject(func(o record.Object) error {
		name, got, err := api.ParseRelease(o)
		switch {
		case err != nil:
			return err
		case name != full || got.Version.String() != meant.Version.String() || got.Digest != meant.Digest:
			return fmt.Errorf("want %s %s with %s, got %s %s with %s", full, meant.Version, meant.Digest, name, got.Version, got.Digest)
		case len(got.Dependencies) != len(meant.Dependencies) || len(got.Signatures) != signatures:
			return fmt.Errorf("dependencies and signatures: want %d and %d, got %d and %d", len(meant.Dependencies), signatures, len(got.Dependencies), len(got.Signatures))
		}
		return nil
	})
}

// readRequirements reads a requirements file, which is JSON here.
func readRequirements(collections, roles int) rebuild.Read {
	return readObject(func(o record.Object) error {
		gotCollections, err := record.Need[[]record.Object](o, "collections")
		if err != nil {
			return err
		}
		gotRoles, err := record.Need[[]record.Object](o, "roles")
		if err == nil && (len(gotCollections) != collections || len(gotRoles) != roles) {
			err = fmt.Errorf("collections and roles: want %d and %d, got %d and %d", collections, roles, len(gotCollections), len(gotRoles))
		}
		return err
	})
}
