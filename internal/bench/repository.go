//go:build linux

package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
)

// makeRepository makes the metadata of an rpm repository of n packages, whose entries are as
// long as real ones: 72,000 have a primary.xml of 300 MB, whose bytes it returns. There are no packages.
func (m *made) makeRepository(n int) (primary int64, err error) {
	var repomd strings.Builder
	repomd.WriteString(`<?xml version="1.0" encoding="UTF-8"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>`)
	for _, list := range []struct {
		kind, root string
		one        func(io.Writer, int)
	}{{"primary", "metadata", writePrimary}, {"filelists", "filelists", writeFiles}} {
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
		if err != nil {
			return 0, err
		}
		open := &summed{hash: sha256.New()}
		w := io.MultiWriter(z, open)
		fmt.Fprintf(w, `<%s xmlns="http://linux.duke.edu/metadata/%s" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="%d">`+"\n",
			list.root, map[string]string{"primary": "common", "filelists": "filelists"}[list.kind], n)
		for i := range n {
			list.one(w, i)
		}
		_, err = fmt.Fprintf(w, "</%s>\n", list.root)
		if err := errors.Join(err, z.Close()); err != nil {
			return 0, err
		}
		name := "repodata/" + list.kind + ".xml.gz"
		m.index["/rpm/"+name] = packed.Bytes()
		fmt.Fprintf(&repomd, `<data type="%s"><checksum type="sha256">%x</checksum><open-checksum type="sha256">%x</open-checksum><location href="%s"/><timestamp>1790000000</timestamp><size>%d</size><open-size>%d</open-size></data>`,
			list.kind, sha256.Sum256(packed.Bytes()), open.hash.Sum(nil), name, packed.Len(), open.n)
		primary = max(primary, open.n)
	}
	repomd.WriteString("</repomd>\n")
	m.index["/rpm/repodata/repomd.xml"] = []byte(repomd.String())
	return primary, nil
}

func packageID(i int) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i))) }

func writePrimary(w io.Writer, i int) {
	name := fmt.Sprintf("package-%06d", i)
	fmt.Fprintf(w, `<package type="rpm"><name>%[1]s</name><arch>x86_64</arch><version epoch="0" ver="1.2.3" rel="4.el9"/><checksum type="sha256" pkgid="YES">%[2]s</checksum>`+
		`<summary>what %[1]s is</summary><description>%[3]s</description><packager/><url>https://a.example/%[1]s</url><time file="1790000000" build="1780000000"/>`+
		`<size package="%[4]d" installed="100" archive="200"/><location href="Packages/p/%[1]s-1.2.3-4.el9.x86_64.rpm"/><format><rpm:license>MIT</rpm:license>`+
		`<rpm:vendor>a</rpm:vendor><rpm:group>b</rpm:group><rpm:buildhost>h</rpm:buildhost><rpm:sourcerpm>%[1]s-1.2.3-4.el9.src.rpm</rpm:sourcerpm>`+
		`<rpm:header-range start="100" end="200"/><rpm:provides><rpm:entry name="%[1]s" flags="EQ" epoch="0" ver="1.2.3" rel="4.el9"/>`,
		name, packageID(i), strings.Repeat("A library of functions that are of use to those who have a use for it. ", 12), 1000+i)
	for j := range 6 {
		fmt.Fprintf(w, `<rpm:entry name="lib%s-%d.so.1()(64bit)"/>`, name, j)
	}
	io.WriteString(w, "</rpm:provides><rpm:requires>") //nolint:errcheck // it goes to memory
	for j := range 40 {
		fmt.Fprintf(w, `<rpm:entry name="libpackage-%06d-%d.so.1()(64bit)"/>`, (i/1000)*1000+j, j%6)
	}
	io.WriteString(w, "</rpm:requires></format></package>\n") //nolint:errcheck // it goes to memory
}

func writeFiles(w io.Writer, i int) {
	name := fmt.Sprintf("package-%06d", i)
	fmt.Fprintf(w, `<package pkgid="%s" name="%s" arch="x86_64"><version epoch="0" ver="1.2.3" rel="4.el9"/>`, packageID(i), name)
	for j := range 30 {
		fmt.Fprintf(w, "<file>/usr/share/%s/a/folder/with/file-%d</file>", name, j)
	}
	io.WriteString(w, "</package>\n") //nolint:errcheck // it goes to memory
}

// summed counts and hashes what is written to it.
type summed struct {
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
	n int64
}

func (s *summed) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return s.hash.Write(p)
}
