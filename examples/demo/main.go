// Command demo shows the whole job of gapbundle on one machine: an upstream
// on loopback, an export onto a "medium", its check, the import into a mirror,
// the mirror served, a file fetched from it; then an update. Every command is
// printed as a person would type it, and it is the real program that runs.
//
// It needs Go and nothing else, uses loopback only, and works in a temporary
// directory that is removed at the end unless -keep is given. It is no test of
// its own; demo_test.go runs it and looks at what came out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.BoolVar(&o.keep, "keep", false, "leave the directory in place")
	flag.Int64Var(&o.megabytes, "size", 48, "MB of upstream content, about")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	keep      bool
	megabytes int64
	program   string // a gapbundle that is built already; empty: it is built
}

// run plays the demo and cleans up after it.
func run(ctx context.Context, out io.Writer, o options) (err error) {
	dir, err := os.MkdirTemp("", "gapbundle-demo-")
	if err != nil {
		return err
	}
	if !o.keep {
		defer func() { err = errors.Join(err, removeAll(dir)) }()
	}
	if _, terminal := out.(*os.File); !terminal {
		out = &locked{w: out} // the web server and the next command write at the same time
	}
	s := &stage{out: out, dir: dir, program: o.program}
	for _, d := range []string{"connected", "upstream", "usb", "inside"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if s.program == "" {
		if err := s.build(ctx); err != nil {
			return err
		}
	}
	up, err := startUpstream(filepath.Join(dir, "upstream"), o.megabytes<<20)
	if err != nil {
		return err
	}
	defer up.stop()

	start := time.Now()
	if err := play(ctx, s, up); err != nil {
		return err
	}
	s.title("done in %s", time.Since(start).Round(100*time.Millisecond))
	s.summary()
	if o.keep {
		s.say("Everything is left in %s.", dir)
	}
	return nil
}

// play runs the demo: one function for each part of it.
func play(ctx context.Context, s *stage, up *upstream) error {
	if err := prepare(ctx, s, up); err != nil {
		return err
	}
	if err := firstTrip(ctx, s, up); err != nil {
		return err
	}
	srv, err := s.serve(ctx, "serve", "mirror", "--listen", "127.0.0.1:0", "--quiet")
	if err != nil {
		return err
	}
	fetched := fetchAndCompare(ctx, s, srv, up, driver)
	if fetched == nil {
		fetched = update(ctx, s, up, srv)
	}
	return errors.Join(fetched, srv.stop())
}

// prepare shows the upstream, makes the keys and writes the spec.
func prepare(ctx context.Context, s *stage, up *upstream) error {
	s.title("The connected side")
	s.say("An upstream runs on %s with %s (files: %d), and there is a folder of local files.",
		up.url, megabytes(up.bytes()), up.count())
	s.prompt("connected", "export GAPBUNDLE_PASSPHRASE='only for this demo'")
	if err := s.gapbundle(ctx, "connected", "keygen", "--out", "keys"); err != nil {
		return err
	}
	spec := up.spec(driver, telemetry)
	s.prompt("connected", "cat gapbundle.yaml")
	fmt.Fprint(s.out, spec)
	return os.WriteFile(filepath.Join(s.dir, "connected", "gapbundle.yaml"), []byte(spec), 0o644)
}

// firstTrip carries everything inside.
func firstTrip(ctx context.Context, s *stage, up *upstream) error {
	started := time.Now()
	if err := s.gapbundle(ctx, "connected", "export", "gapbundle.yaml", "--to", "../usb"); err != nil {
		return err
	}
	if err := s.trip("first bundle (full)", "demo-000001", up.served(), time.Since(started)); err != nil {
		return err
	}
	s.say("Upstream sent %s. The directory usb now goes through the gap.", megabytes(up.served()))

	s.title("The disconnected side")
	s.say("The public key came by another way, and its fingerprint was compared by telephone. Trust is given once.")
	for _, args := range [][]string{
		{"trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", "demo", "--yes", "../connected/keys/exporter.pub"},
		{"verify", "../usb", "--mirror", "mirror"},
		{"import", "../usb", "--to", "mirror"},
	} {
		if err := s.gapbundle(ctx, "inside", args...); err != nil {
			return err
		}
	}
	return nil
}

// update changes upstream and carries the difference; on the way the stick is
// damaged, which import has to notice.
func update(ctx context.Context, s *stage, up *upstream, srv *server) error {
	s.title("A month later")
	if err := up.change(); err != nil {
		return err
	}
	s.say("Upstream has %s (new), and %s has changed. The receipt of the first import was carried back.", update571, telemetry)
	spec := up.spec(driver, telemetry, update571)
	if err := os.WriteFile(filepath.Join(s.dir, "connected", "gapbundle.yaml"), []byte(spec), 0o644); err != nil {
		return err
	}
	receipt, err := s.find("inside", "mirror/state/receipts/*.json")
	if err != nil {
		return err
	}
	before, started := up.served(), time.Now()
	for _, args := range [][]string{
		{"receipts", "add", "../inside/" + receipt, "--destination", "inside", "--yes"},
		{"export", "--to", "../usb", "--destination", "inside"},
	} {
		if err := s.gapbundle(ctx, "connected", args...); err != nil {
			return err
		}
	}
	sent := up.served() - before
	if err := s.trip("second bundle (delta)", "demo-000002", sent, time.Since(started)); err != nil {
		return err
	}

	s.title("A damaged stick")
	if err := damaged(ctx, s); err != nil {
		return err
	}
	s.title("The update inside")
	if err := s.gapbundle(ctx, "inside", "import", "../usb", "--to", "mirror"); err != nil {
		return err
	}
	if err := fetchAndCompare(ctx, s, srv, up, update571); err != nil {
		return err
	}
	return s.gapbundle(ctx, "inside", "status", "mirror")
}

// damaged flips one bit of the second bundle, has the import refused, and
// flips it back: as good as copying that one volume again.
func damaged(ctx context.Context, s *stage) error {
	volume := filepath.Join(s.dir, "usb", "demo-000002", "volume-00001.tar.zst")
	s.say("One bit of usb/demo-000002/volume-00001.tar.zst is flipped.")
	if err := flip(volume); err != nil {
		return err
	}
	const corrupt = 3
	err := s.gapbundle(ctx, "inside", "import", "../usb", "--to", "mirror")
	var exit *exec.ExitError
	switch {
	case err == nil:
		return errors.New("a damaged volume was imported")
	case !errors.As(err, &exit) || exit.ExitCode() != corrupt:
		return fmt.Errorf("a damaged volume: want exit %d: %w", corrupt, err)
	}
	s.say("Refused with exit code %d; what is served has not changed. The volume is copied again.", corrupt)
	return flip(volume)
}

// removeAll also removes folders that cannot be written.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && runtime.GOOS != "windows" {
			return os.Chmod(path, 0o755)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}
