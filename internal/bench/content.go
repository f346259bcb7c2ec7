//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// file is one file of the content.
type file struct {
	path string // slash-separated, below the content's folder
	sum  [sha256.Size]byte
}

const (
	smallBytes = 5_000      // of a small file, about
	largeBytes = 50_000_000 // of a large one
)

// makeMixed writes size bytes below dir: small files first, large ones for the
// rest, every second one compressible. The same arguments produce the same bytes.
func makeMixed(dir string, size int64, small int) ([]file, error) {
	g := &generator{dir: dir}
	for i := 0; i < small && g.bytes < size; i++ {
		g.add(fmt.Sprintf("small/%03d/%05d", i/200, i), smallBytes/2+int64(i%smallBytes))
	}
	for i := 0; g.bytes < size; i++ {
		g.add(fmt.Sprintf("large/%03d", i), min(largeBytes, size-g.bytes))
	}
	return g.files, g.err
}

// makeTiny writes n files of about a hundred bytes, no two the same.
func makeTiny(dir string, n int) error {
	for i := 0; i < n; {
		folder := filepath.Join(dir, fmt.Sprintf("%04d", i/1000))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		for end := min(i+1000, n); i < end; i++ {
			content := fmt.Sprintf("item %d\n%s\n", i, strings.Repeat("tiny ", 10+i%20))
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%07d", i)), []byte(content), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// generator writes files and remembers the first error.
type generator struct {
	dir   string
	files []file
	bytes int64
	err   error
}

func (g *generator) add(path string, size int64) {
	if g.err != nil {
		return
	}
	seed := uint64(len(g.files))
	content := io.Reader(rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}))
	if seed%2 == 0 {
		content = &lines{numbers: rand.New(rand.NewPCG(seed, 1))}
	}
	name := filepath.Join(g.dir, filepath.FromSlash(path))
	if g.err = os.MkdirAll(filepath.Dir(name), 0o755); g.err != nil {
		return
	}
	out, err := os.Create(name)
	if err != nil {
		g.err = err
		return
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, hash), io.LimitReader(content, size))
	g.err = errors.Join(err, out.Close())
	g.bytes += size
	g.files = append(g.files, file{path: path, sum: [sha256.Size]byte(hash.Sum(nil))})
}

// lines is endless text as a program logs it; zstd makes a third of it or less.
type lines struct {
	numbers *rand.Rand
	rest    bytes.Buffer
}

func (l *lines) Read(p []byte) (int, error) {
	for l.rest.Len() < len(p) {
		n := l.numbers.Uint64()
		fmt.Fprintf(&l.rest, "2026-10-%02dT%02d:%02d:00Z node%03d gpu%d temperature=%d power=%d job=%d state=running\n",
			1+n%28, n>>8%24, n>>16%60, n>>24%500, n>>33%8, 30+n>>36%50, n>>42%700, n>>52)
	}
	return l.rest.Read(p)
}

// upstream serves the content on loopback.
type upstream struct {
	url    string
	files  []file
	server *http.Server
}

// serve starts the server; SHA256SUMS is next to the content.
func serve(dir string, files []file) (*upstream, error) {
	sums, err := os.Create(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriter(sums)
	for _, f := range files {
		fmt.Fprintf(w, "%x  %s\n", f.sum, f.path)
	}
	if err := errors.Join(w.Flush(), sums.Close()); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{url: "http://" + listener.Addr().String(), files: files}
	u.server = &http.Server{Handler: http.FileServer(http.Dir(dir)), ReadHeaderTimeout: time.Minute}
	go u.server.Serve(listener) //nolint:errcheck // it ends with stop, and returns nothing else
	return u, nil
}

func (u *upstream) stop() { u.server.Close() }

// urls returns the list of every file's URL, one a line.
func (u *upstream) urls() string {
	var b strings.Builder
	for _, f := range u.files {
		b.WriteString(u.url + "/" + f.path + "\n")
	}
	return b.String()
}

// curl returns the same list as a configuration of curl, which also states where each goes.
func (u *upstream) curl() string {
	var b strings.Builder
	for _, f := range u.files {
		fmt.Fprintf(&b, "url = \"%s/%s\"\noutput = \"%s\"\n", u.url, f.path, f.path)
	}
	return b.String()
}
