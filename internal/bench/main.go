//go:build linux

// Command bench measures export and import against general tools on the same
// files, in one run on one machine: `tar | zstd -3 -T2` and `zstd -d | tar x`.
// It drives the real program and reads what the kernel counted for it: wall
// time, user and system time, peak memory, bytes written.
//
// It is not a test and judges nothing: it prints a table, docs/benchmarks.md
// says what was reached. Numbers of two runs, or of two machines, are not to
// be compared with each other.
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
	"syscall"
)

func main() {
	var o options
	flag.Int64Var(&o.megabytes, "mb", 2000, "MB of mixed content; 0: none of that part")
	flag.IntVar(&o.small, "small", 20_000, "of these, number of small files")
	flag.IntVar(&o.tiny, "tiny", 1_000_000, "number of tiny files of the second part; 0: none of it")
	flag.IntVar(&o.runs, "runs", 1, "how often each command runs; the middle one counts")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where to work: several times the content")
	flag.StringVar(&o.memory, "memory", "/dev/shm", "a file system in memory, for rows without the cost of sync; empty: no such rows")
	flag.StringVar(&o.program, "program", "", "the gapbundle to measure; default: built from this tree")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	megabytes         int64
	small, tiny, runs int
	dir, memory       string
	program           string
}

func run(ctx context.Context, out io.Writer, o options) (err error) {
	b := &bench{options: o, out: out}
	if b.dir, err = os.MkdirTemp(o.dir, "gapbundle-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(b.dir)) }()
	if o.memory != "" {
		if b.memory, err = os.MkdirTemp(o.memory, "gapbundle-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove(b.memory)) }()
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if o.megabytes > 0 {
		if err := b.mixed(ctx); err != nil {
			return fmt.Errorf("mixed content: %w", err)
		}
	}
	if o.tiny > 0 {
		if err := b.tinyFiles(ctx); err != nil {
			return fmt.Errorf("tiny files: %w", err)
		}
	}
	return nil
}

// bench is one run: where it works and which program it measures.
type bench struct {
	options
	out io.Writer
}

// prepare builds the program and makes a key without waiting on a person.
func (b *bench) prepare(ctx context.Context) error {
	if b.program == "" {
		b.program = filepath.Join(b.dir, "gapbundle")
		cmd := exec.CommandContext(ctx, "go", "build", "-o", b.program, "github.com/gapbundle/gapbundle/cmd/gapbundle")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stdout, cmd.Stderr = b.out, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go build: %w", err)
		}
	}
	return b.gapbundle(ctx, "keygen", "--out", b.path("keys"), "--quiet").Run()
}

// path is a path in the working directory.
func (b *bench) path(name ...string) string {
	return filepath.Join(append([]string{b.dir}, name...)...)
}

// gapbundle is one run of the program, quiet unless it fails.
func (b *bench) gapbundle(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "GAPBUNDLE_PASSPHRASE=for measuring only")
	cmd.Stderr = os.Stderr
	return cmd
}

// mixed measures 2 GB, half compressible and half not, with many small files.
func (b *bench) mixed(ctx context.Context) error {
	content := b.path("mixed")
	fmt.Fprintf(b.out, "making %d MB of mixed content, %d small files among it\n", b.megabytes, b.small)
	files, err := makeMixed(content, b.megabytes*1e6, b.small)
	if err != nil {
		return err
	}
	up, err := serve(content, files)
	if err != nil {
		return err
	}
	defer up.stop()
	spec := b.path("mixed.yaml")
	if err := os.WriteFile(b.path("urls.txt"), []byte(up.urls()), 0o644); err != nil {
		return err
	}
	text := "version: 1\nname: mixed\nsigning: {exporter: keys/exporter.key}\nsources:\n" +
		"  - {name: pool, kind: files, list: urls.txt, checksums: \"" + up.url + "/SHA256SUMS\"}\n"
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		return err
	}
	if err := b.compare(ctx, "mixed content from a loopback server", "mixed", spec, content, int64(len(files)), true); err != nil {
		return err
	}
	return remove(content)
}

// tinyFiles measures what a file costs that is nearly nothing by itself.
func (b *bench) tinyFiles(ctx context.Context) error {
	content := b.path("tiny")
	fmt.Fprintf(b.out, "\nmaking %d tiny files\n", b.tiny)
	if err := makeTiny(content, b.tiny); err != nil {
		return err
	}
	spec := b.path("tiny.yaml")
	text := "version: 1\nname: tiny\nsigning: {exporter: keys/exporter.key}\nsources:\n" +
		"  - {name: tiny, kind: files, dir: tiny}\n"
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		return err
	}
	if err := b.compare(ctx, "tiny files from a folder", "tiny", spec, content, int64(b.tiny), false); err != nil {
		return err
	}
	return remove(content)
}
