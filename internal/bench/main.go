//go:build linux

// Command bench measures export and import against general tools on the same
// files, in one run on one machine: `tar | zstd -3 -T2` and `zstd -d | tar x`.
// It drives the real program and reads what the kernel counted for it: wall
// time, user and system time, peak memory, bytes written.
//
// It is not a test: it prints a table with the project's aims next to what was
// measured, docs/benchmarks.md states what was reached and why not more. Numbers of two runs, or of two machines, are not to
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

	"github.com/gapbundle/gapbundle/internal/spelling"
)

func main() {
	var o options
	flag.Int64Var(&o.megabytes, "mb", 1200, "MB of mixed content; 0: none of that part")
	flag.IntVar(&o.small, "small", 3000, "of these, number of small files")
	flag.IntVar(&o.tiny, "tiny", 200_000, "number of tiny files of the second part; 0: none of it")
	flag.IntVar(&o.many, "many", 100_000, "number of files, of URLs and, three fifths of it, of packages of the part about nothing new; 0: none of it")
	flag.Int64Var(&o.peers, "peers", 400, "MB for each comparison with another program, if that is on PATH; 0: none")
	flag.IntVar(&o.runs, "runs", 3, "rounds: each command runs once in every one, in turn; the middle counts")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where to work: several times the content")
	flag.StringVar(&o.memory, "memory", "/dev/shm", "a file system in memory, for rows without the cost of sync; empty: no such rows")
	flag.StringVar(&o.program, "program", "", "the gapbundle to measure; default: built from this tree")
	flag.StringVar(&o.before, "before", "", "an earlier gapbundle: its plans and exports are compared with those of now, and nothing else is measured; sizes by -many")
	flag.StringVar(&o.against, "against", "", "a commit or tag: compare the Go benchmarks of the hot paths with those there, and nothing else")
	flag.IntVar(&o.rounds, "rounds", 11, "rounds of -against, at least 5")
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
	peers             int64
	small, tiny, many int
	runs              int
	dir, memory       string
	program, before   string
	against           string
	rounds            int
}

func run(ctx context.Context, out io.Writer, o options) (err error) {
	if o.against != "" {
		return compareWith(ctx, out, o.against, o.rounds, o.dir)
	}
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
	if o.before != "" {
		if err := (comparison{b}).run(ctx); err != nil {
			return fmt.Errorf("against the earlier program: %w", err)
		}
		return nil
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
	if o.many > 0 {
		if err := b.unchanged(ctx); err != nil {
			return fmt.Errorf("nothing new: %w", err)
		}
	}
	if o.peers > 0 {
		if err := b.others(ctx); err != nil {
			return fmt.Errorf("other programs: %w", err)
		}
	}
	return nil
}

// bench is one run: where it works and which program it measures.
type bench struct {
	options
	out        io.Writer
	curlConfig string // the list of URLs for curl; "": there is none
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
	program := b.program
	if b.before != "" {
		program = b.before // a key that both read
	}
	return errors.Join(command(ctx, b.dir, program, "keygen", "--out", b.path("keys"), "--quiet").Run(),
		command(ctx, b.dir, program, "keygen", "--site", "--out", b.path("keys"), "--quiet").Run())
}

// path returns a path in the working directory.
func (b *bench) path(name ...string) string {
	return filepath.Join(append([]string{b.dir}, name...)...)
}

// gapbundle returns one run of the program, quiet unless it fails.
func (b *bench) gapbundle(ctx context.Context, args ...string) *exec.Cmd {
	return command(ctx, b.dir, b.program, args...)
}

// command returns one run in dir of a gapbundle of this or of an earlier state.
func command(ctx context.Context, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GAPBUNDLE_PASSPHRASE=for measuring only", "GAPBUNDLE_SITE_PASSPHRASE=for measuring only")
	cmd.Stderr = os.Stderr
	return cmd
}

// mixed measures content, half compressible and half not, with many small files.
func (b *bench) mixed(ctx context.Context) error {
	content := b.path("mixed")
	fmt.Fprintf(b.out, "making %d MB of mixed content, %s among it\n", b.megabytes, spelling.Count(b.small, "small file"))
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
	b.curlConfig = b.path("curl.txt")
	if err := os.WriteFile(b.curlConfig, []byte(up.curl()), 0o644); err != nil {
		return err
	}
	defer func() { b.curlConfig = "" }()
	t := &table{title: "mixed content from a loopback server", runs: b.runs, memory: memoryLimit(int64(len(files))), content: b.megabytes * 1e6}
	if b.memory != "" {
		shm := place{at: filepath.Join(b.memory, "out"), name: ", in memory", noSync: true}
		if err := b.compare(ctx, t, "mixed", spec, content, shm, aimsInMemory); err != nil {
			return err
		}
	}
	if err := b.compare(ctx, t, "mixed", spec, content, place{at: b.path("out"), name: ", on disk"}, aimsOnDisk); err != nil {
		return err
	}
	return errors.Join(t.print(b.out), remove(content))
}

// tinyFiles measures what a file costs that is nearly nothing by itself.
func (b *bench) tinyFiles(ctx context.Context) error {
	content := b.path("tiny")
	fmt.Fprintf(b.out, "\nmaking %s\n", spelling.Count(b.tiny, "tiny file"))
	if err := makeTiny(content, b.tiny); err != nil {
		return err
	}
	spec := b.path("tiny.yaml")
	text := "version: 1\nname: tiny\nsigning: {exporter: keys/exporter.key}\nsources:\n" +
		"  - {name: tiny, kind: files, dir: tiny}\n"
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		return err
	}
	t := &table{title: "tiny files from a folder", runs: b.runs, memory: memoryLimit(int64(b.tiny))}
	if err := b.compare(ctx, t, "tiny", spec, content, place{at: b.path("out"), name: ", on disk"}, aimsOfFiles(b.tiny)); err != nil {
		return err
	}
	return errors.Join(t.print(b.out), remove(content))
}
