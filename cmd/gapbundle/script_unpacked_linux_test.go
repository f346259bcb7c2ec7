package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// unpacked FILE unpacks an archive of testdata into the script's directory,
// with its links, modes and times.
func unpacked(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(unpackAll(filepath.Join("testdata", args[0]), ts.MkAbs))
}

// unpackAll unpacks an archive; in returns where a name of it is put.
func unpackAll(name string, in func(string) string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for archive := tar.NewReader(packed); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = unpackOne(archive, h, in(h.Name), in(h.Linkname))
		}
		if err != nil {
			return err
		}
	}
}

func unpackOne(from io.Reader, h *tar.Header, path, target string) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, h.FileInfo().Mode()))
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, path)
	case tar.TypeLink:
		return os.Link(target, path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, h.FileInfo().Mode())
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close(), os.Chtimes(path, h.ModTime, h.ModTime))
}
