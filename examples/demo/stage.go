package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// stage is where the demo plays: a directory with both sides in it, the
// program, and where everything is printed.
type stage struct {
	out     io.Writer
	dir     string
	program string
	trips   []trip
}

// trip is one line of the closing summary.
type trip struct {
	name            string
	downloaded, usb int64
	took            time.Duration
}

// locked is a writer for several at once. A file needs none, and has to stay a
// file: commands show a progress bar only when they see the terminal itself.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (s *stage) title(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(s.out, "\n%s\n%s\n", text, strings.Repeat("-", len(text)))
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(s.out, "# "+format+"\n", args...) }

func (s *stage) prompt(side, line string) { fmt.Fprintf(s.out, "\n%s$ %s\n", side, line) }

// build compiles the program that the demo runs.
func (s *stage) build(ctx context.Context) error {
	s.program = filepath.Join(s.dir, "gapbundle")
	fmt.Fprintln(s.out, "building gapbundle ...")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", s.program, "github.com/gapbundle/gapbundle/cmd/gapbundle")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = s.out, s.out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// command returns the program on one side, with its output on the stage and an
// environment in which no variable of the person's own counts.
func (s *stage) command(ctx context.Context, side string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Dir = filepath.Join(s.dir, side)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GAPBUNDLE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GAPBUNDLE_PASSPHRASE=only for this demo")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdout, cmd.Stderr = s.out, s.out
	return cmd
}

// gapbundle shows a command and runs it.
func (s *stage) gapbundle(ctx context.Context, side string, args ...string) error {
	s.prompt(side, "gapbundle "+strings.Join(args, " "))
	if err := s.command(ctx, side, args...).Run(); err != nil {
		return fmt.Errorf("gapbundle %s: %w", args[0], err)
	}
	return nil
}

// server is a gapbundle serve that runs.
type server struct {
	url string
	cmd *exec.Cmd
	end chan error
}

var listening = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// serve starts the web server inside and waits until it prints where it listens.
func (s *stage) serve(ctx context.Context, args ...string) (*server, error) {
	s.prompt("inside", "gapbundle "+strings.Join(args, " ")+" &")
	cmd := s.command(ctx, "inside", args...)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	srv := &server{cmd: cmd, end: make(chan error, 1)}
	url := make(chan string, 1)
	go func() {
		defer r.Close()
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			fmt.Fprintln(s.out, lines.Text())
			if at := listening.FindString(lines.Text()); at != "" && srv.url == "" {
				srv.url = at
				url <- at
			}
		}
		close(url)
		srv.end <- cmd.Wait()
	}()
	if at, ok := <-url; !ok || at == "" {
		return nil, fmt.Errorf("gapbundle serve: ended: %w", <-srv.end)
	}
	return srv, nil
}

// stop ends the server the way a person does, and waits for it.
func (v *server) stop() error {
	if err := v.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	err := <-v.end
	var exit *exec.ExitError
	const interrupted = 130
	if errors.As(err, &exit) && exit.ExitCode() == interrupted {
		return nil
	}
	return err
}

// find returns the newest file on a side that matches the pattern, relative to it.
func (s *stage) find(side, pattern string) (string, error) {
	root := filepath.Join(s.dir, side)
	found, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(found) == 0 {
		return "", errors.Join(fmt.Errorf("%s: nothing like %s", side, pattern), err)
	}
	return filepath.Rel(root, found[len(found)-1])
}

// trip notes a bundle for the summary.
func (s *stage) trip(name, bundle string, downloaded int64, took time.Duration) error {
	var size int64
	err := filepath.WalkDir(filepath.Join(s.dir, "usb", bundle), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	s.trips = append(s.trips, trip{name: name, downloaded: downloaded, usb: size, took: took})
	return err
}

func (s *stage) summary() {
	fmt.Fprintf(s.out, "%-24s %14s %14s %14s\n", "", "downloaded", "on the stick", "export took")
	for _, t := range s.trips {
		fmt.Fprintf(s.out, "%-24s %14s %14s %14s\n", t.name, megabytes(t.downloaded), megabytes(t.usb), t.took.Round(10*time.Millisecond))
	}
	fmt.Fprint(s.out, `
What to do next: write a gapbundle.yaml of your own (README.md, "A first real use";
examples/ has more), then gapbundle keygen, gapbundle plan, gapbundle export.
`)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// flip inverts one bit in the middle of a file.
func flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(path, b, 0o644)
}
