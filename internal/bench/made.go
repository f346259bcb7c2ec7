//go:build linux

package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// made is an upstream whose files are made when they are requested: /u/<number>; below /apt
// an archive, below /v2 a registry, whose packages and layers are such files.
type made struct {
	url    string
	host   string
	size   int               // of each file, bytes; 0: a line
	index  map[string][]byte // what else there is, by path
	large  map[string]string // files that are too large for memory, by path
	types  map[string]string // media types, by path
	layers map[string]int    // numbers of layers, by digest
	server *http.Server
}

func serveMade(size int) (*made, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	host := listener.Addr().String()
	m := &made{url: "http://" + host, host: host, size: size, index: map[string][]byte{}, types: map[string]string{}, layers: map[string]int{}}
	m.server = &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	go m.server.Serve(listener) //nolint:errcheck // it ends with stop
	return m, nil
}

func (m *made) stop() { m.server.Close() }

// list returns n URLs, one a line.
func (m *made) list(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s/u/%07d\n", m.url, i)
	}
	return []byte(b.String())
}

// content returns the file of number i: half of a long one compresses well.
func (m *made) content(i int) []byte {
	line := fmt.Appendf(nil, "item %07d of a list\n", i)
	if m.size == 0 {
		return line
	}
	b := make([]byte, 0, m.size)
	for len(b) < m.size/2 {
		b = append(b, line...)
		b = binary.AppendUvarint(b, uint64(len(b))*2654435761)
	}
	noise := b[len(b):m.size]
	_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}).Read(noise)
	return b[:m.size]
}

// ServeHTTP answers like a server of files: with a length, a date and an ETag.
func (m *made) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path
	if name == "/v2/" {
		return
	}
	if file, ok := m.large[name]; ok {
		http.ServeFile(w, r, file)
		return
	}
	body, ok := m.index[name]
	if !ok {
		base := path.Base(name)
		i, isLayer := m.layers[base]
		if !isLayer {
			var err error
			if i, err = strconv.Atoi(strings.TrimSuffix(base, ".deb")); err != nil {
				http.NotFound(w, r)
				return
			}
		}
		body = m.content(i)
	}
	sum := sha256.Sum256([]byte(name))
	kind := "application/octet-stream"
	if t := m.types[name]; t != "" {
		kind = t
		w.Header().Set("Docker-Content-Digest", digestOf(body))
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sum[:8]))
	w.Header().Set("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT")
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// store puts what index has that is large into files below dir: the memory of this process
// counts for the programs that it starts.
func (m *made) store(dir string) error {
	m.large = map[string]string{}
	for name, body := range m.index {
		if len(body) < 1<<20 {
			continue
		}
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, body, 0o644); err != nil {
			return err
		}
		m.large[name] = file
		delete(m.index, name)
	}
	return nil
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
