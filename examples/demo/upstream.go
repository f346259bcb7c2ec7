package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// The upstream offers bytes that do not shrink, lines that do, and a
// folder of small files.
const (
	driver    = "driver-570.run"
	update571 = "driver-571-hotfix.run"
	telemetry = "telemetry.csv"
	handbooks = 300
)

// upstream is a web server with files, and a folder next to it.
type upstream struct {
	url, dir string
	files    map[string]int64  // name -> bytes
	sums     map[string]string // name -> SHA-256 in hex
	sent     atomic.Int64
	server   *http.Server
}

// startUpstream fills dir with about size bytes and serves dir/pool.
func startUpstream(dir string, size int64) (*upstream, error) {
	u := &upstream{dir: dir, files: map[string]int64{}, sums: map[string]string{}}
	for _, d := range []string{"pool", "handbooks"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	err := errors.Join(
		u.put(driver, noise(1, size/2)),
		u.put(telemetry, measurements(2, size/2)),
		u.write(),
	)
	for i := range handbooks {
		name := filepath.Join(dir, "handbooks", fmt.Sprintf("page-%03d.txt", i))
		err = errors.Join(err, writeFrom(name, measurements(uint64(100+i), 2000)))
	}
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u.url = "http://" + listener.Addr().String()
	pool := http.FileServer(http.Dir(filepath.Join(dir, "pool")))
	u.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pool.ServeHTTP(&counter{ResponseWriter: w, sent: &u.sent}, r)
		}),
	}
	go u.server.Serve(listener) //nolint:errcheck // it ends with stop, and returns nothing else
	return u, nil
}

func (u *upstream) stop() { u.server.Close() }

// change makes upstream's changes of a month.
func (u *upstream) change() error {
	return errors.Join(
		u.put(update571, noise(3, u.files[driver]/10)),
		u.put(telemetry, measurements(4, u.files[telemetry]/5)),
		u.write(),
	)
}

// put writes a file of the pool and notes its size and digest.
func (u *upstream) put(name string, content io.Reader) error {
	hash := sha256.New()
	path := filepath.Join(u.dir, "pool", name)
	if err := writeFrom(path, io.TeeReader(content, hash)); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	u.files[name] = info.Size()
	u.sums[name] = hex.EncodeToString(hash.Sum(nil))
	return nil
}

// write makes the upstream's SHA256SUMS.
func (u *upstream) write() error {
	var b strings.Builder
	for name, sum := range u.sums {
		fmt.Fprintf(&b, "%s  %s\n", sum, name)
	}
	return os.WriteFile(filepath.Join(u.dir, "pool", "SHA256SUMS"), []byte(b.String()), 0o644)
}

// spec returns the spec file for the named files.
func (u *upstream) spec(names ...string) string {
	var b strings.Builder
	b.WriteString("version: 1\nname: demo\nsigning: {exporter: keys/exporter.key}\nsources:\n")
	b.WriteString("  - name: pool\n    kind: files\n    urls:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "      - %s/%s\n", u.url, name)
	}
	fmt.Fprintf(&b, "    checksums: %s/SHA256SUMS\n", u.url)
	b.WriteString("  - name: handbooks\n    kind: files\n    dir: ../upstream/handbooks\n")
	return b.String()
}

func (u *upstream) count() int    { return len(u.files) }
func (u *upstream) served() int64 { return u.sent.Load() }

func (u *upstream) bytes() int64 {
	var n int64
	for _, size := range u.files {
		n += size
	}
	return n
}

// counter counts what a response's body carries.
type counter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

func writeFrom(path string, content io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// noise returns n bytes that do not compress.
func noise(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

// measurements returns about n bytes of lines, as machines write them.
func measurements(seed uint64, n int64) io.Reader {
	numbers := rand.New(rand.NewPCG(seed, 1))
	r, w := io.Pipe()
	go func() {
		var err error
		for at := int64(0); at < n && err == nil; {
			var wrote int
			wrote, err = fmt.Fprintf(w, "2026-10-%02dT%02d:00:00Z,gpu%d,%d,%d\n", 1+numbers.IntN(28),
				numbers.IntN(24), numbers.IntN(8), 30+numbers.IntN(50), numbers.IntN(700))
			at += int64(wrote)
		}
		w.CloseWithError(err)
	}()
	return r
}

// fetchAndCompare gets a file of the mirror as a client inside would, and
// compares it with what upstream has.
func fetchAndCompare(ctx context.Context, s *stage, srv *server, up *upstream, name string) error {
	host := strings.ReplaceAll(strings.TrimPrefix(up.url, "http://"), ":", "_")
	url := srv.url + "/files/" + host + "/" + name
	target := filepath.Join(s.dir, "inside", name)
	s.prompt("inside", "curl -fsS -o "+name+" "+url)
	if err := download(ctx, s, url, target); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	f, err := os.Open(target)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	got := hex.EncodeToString(hash.Sum(nil))
	s.prompt("inside", "sha256sum "+name)
	fmt.Fprintf(s.out, "%s  %s\n", got, name)
	if want := up.sums[name]; got != want {
		return fmt.Errorf("%s: digest mismatch: upstream has %s, the mirror served %s", name, want, got)
	}
	s.say("The same digest as upstream's.")
	return nil
}

// download uses curl where there is one: a client that is not ours.
func download(ctx context.Context, s *stage, url, target string) error {
	if curl, err := exec.LookPath("curl"); err == nil {
		cmd := exec.CommandContext(ctx, curl, "--noproxy", "*", "-fsS", "-o", target, url)
		cmd.Stdout, cmd.Stderr = s.out, s.out
		return cmd.Run()
	}
	s.say("There is no curl on this machine; the demo fetches it by itself.")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", res.Status)
	}
	return writeFrom(target, res.Body)
}
