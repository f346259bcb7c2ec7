// Package gitrun starts the git program, on the connected side only.
//
// The program is called with an environment that has nothing of the user's:
// no system or user configuration, no home, no hooks, no terminal, no
// credential, no proxy. It may speak http alone, which leads to the loopback
// relay of package relay; it has no other way to a network. Messages of
// git-fsck(1) that name an attack on a checkout are errors, see Faults.
//
// Every call is bounded in time, memory, size of files, and in what it may
// write to its outputs, and is killed with all its children when the context
// ends.
package gitrun

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Bounds of one call.
const (
	// MaxTime is how long one call may take: the first pack of the largest
	// public repositories takes some hours.
	MaxTime = 12 * time.Hour
	// MaxMemory bounds the address space of git and each child, in bytes. An
	// object that inflates to more than that ends the call and not the machine.
	MaxMemory = 6 << 30
	// MaxFile bounds each file that git writes, in bytes.
	MaxFile = 64 << 30
	// BigFile is the size in bytes from which a blob is streamed, stored whole,
	// and never held in memory (core.bigFileThreshold). Packs depend on it.
	BigFile = 32 << 20

	maxStderr = 16 << 10 // bytes that an error repeats from
	maxLine   = 1 << 20  // bytes
	waitDelay = 5 * time.Second
)

// Oldest is the first release of git that has everything used here.
const Oldest = "2.39"

// Git is the git program.
type Git struct {
	path string
	// Version is what the program calls itself, such as 2.39.5.
	Version string
}

// Find looks up the git program and asks for its version. Errors match
// fs.ErrNotExist or are *fs.PathError: the machine lacks something.
func Find(ctx context.Context) (*Git, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, &fs.PathError{Op: "find", Path: "git", Err: fmt.Errorf("the kind git needs the git program, %s or later, on this side (Debian, Ubuntu: apt-get install git; RHEL, Rocky: dnf install git): %w", Oldest, fs.ErrNotExist)}
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	g := &Git{path: path}
	var out bytes.Buffer
	if err := g.In("", nil).Run(ctx, Call{Args: []string{"version"}, Stdout: &out}); err != nil {
		return nil, err
	}
	g.Version, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(out.String()), "git version "), " ")
	if !atLeast(g.Version, Oldest) {
		return nil, &fs.PathError{Op: "run", Path: path, Err: fmt.Errorf("git %.40q is too old: the kind git needs %s or later", g.Version, Oldest)}
	}
	return g, nil
}

// atLeast compares the first two numbers of versions.
func atLeast(have, want string) bool {
	numbers := func(v string) (n [2]int) {
		for i, part := range strings.SplitN(v, ".", 3) {
			if i < 2 {
				n[i], _ = strconv.Atoi(part) // no number counts as 0, which is too old
			}
		}
		return n
	}
	h, w := numbers(have), numbers(want)
	return slices.Compare(h[:], w[:]) >= 0
}

// Dir is a folder in which git is called: a repository, or "" for none.
type Dir struct {
	git    *Git
	path   string
	config []string // key, value, key, value
}

// In returns the program called in a folder, with more configuration: keys and
// values in turn. The configuration reaches git by its environment, which
// other users of the machine cannot read, unlike a command line.
func (g *Git) In(path string, config []string) *Dir { return &Dir{git: g, path: path, config: config} }

// Call is one call of git.
type Call struct {
	Args   []string
	Stdin  io.Reader // nil: empty
	Stdout io.Writer // nil: discarded; its error ends the call
	Env    []string  // besides the fixed environment
	// Stderr receives messages as they come; they are kept for the error
	// besides. nil: nothing more.
	Stderr io.Writer
}

// Error is a call that git ended with an error.
type Error struct {
	Args   []string
	Code   int    // exit status; -1: killed
	Stderr string // the last of it, printable
}

func (e *Error) Error() string {
	text := strings.TrimSpace(e.Stderr)
	if text == "" {
		text = "without a message"
	}
	if strings.Contains(text, "malloc failed") {
		text += fmt.Sprintf(" (git may take %d GiB)", MaxMemory>>30)
	}
	if e.Code < 0 {
		return fmt.Sprintf("git %s: killed: %s", e.Args[0], text)
	}
	return fmt.Sprintf("git %s: status %d: %s", e.Args[0], e.Code, text)
}

// Unwrap returns what of the machine git complains about, nil if it does not: a full
// disk is not upstream's fault.
func (e *Error) Unwrap() error {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EROFS, syscall.EMFILE, syscall.EDQUOT} {
		if strings.Contains(e.Stderr, errno.Error()) || strings.Contains(strings.ToLower(e.Stderr), errno.Error()) {
			return errno
		}
	}
	return nil
}

// Run runs git and waits for it. A failure of git is an *Error; the end of ctx
// is context.Cause.
func (d *Dir) Run(ctx context.Context, c Call) error {
	limited, cancel := context.WithTimeoutCause(ctx, MaxTime, fmt.Errorf("git %s: took more than %s", c.Args[0], MaxTime))
	defer cancel()
	cmd := d.git.command(limited, c.Args)
	cmd.Dir = d.path
	cmd.Env = append(d.environment(), c.Env...)
	cmd.Stdin = c.Stdin
	cmd.WaitDelay = waitDelay
	out := &output{to: c.Stdout, failed: func() { _ = cmd.Cancel() }}
	tail := &tail{to: c.Stderr}
	cmd.Stdout, cmd.Stderr = out, tail
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case limited.Err() != nil:
		return context.Cause(limited)
	case out.err != nil:
		return out.err
	case errors.As(err, &exit):
		return &Error{Args: c.Args, Code: exit.ExitCode(), Stderr: tail.text()}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return fmt.Errorf("git %s: %w", c.Args[0], err)
	}
	return nil
}

// Output runs git and returns what it wrote, at most limit bytes.
func (d *Dir) Output(ctx context.Context, limit int64, c Call) ([]byte, error) {
	b := &bounded{left: limit}
	c.Stdout = b
	if err := d.Run(ctx, c); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Read runs git and has read read what it writes, whose error comes first and
// ends the call.
func (d *Dir) Read(ctx context.Context, c Call, read func(io.Reader) error) error {
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := read(reader)
		reader.CloseWithError(err)
		done <- err
	}()
	c.Stdout = writer
	err := d.Run(ctx, c)
	writer.Close()
	if unread := <-done; unread != nil {
		return unread
	}
	return err
}

// Lines runs git and calls each for every line that it writes.
func (d *Dir) Lines(ctx context.Context, c Call, each func(string) error) error {
	return d.Read(ctx, c, func(r io.Reader) error { return EachLine(r, each) })
}

// EachLine calls each for every line of r; a line has at most 1 MiB.
func EachLine(r io.Reader, each func(string) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		if err := each(scanner.Text()); err != nil {
			return err
		}
	}
	return scanner.Err()
}

func (d *Dir) environment() []string {
	env := []string{
		"PATH=" + searchPath(d.git.path), "LC_ALL=C", "HOME=" + os.DevNull, "XDG_CONFIG_HOME=" + os.DevNull,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=" + os.DevNull, "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_ALLOW_PROTOCOL=http", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_OPTIONAL_LOCKS=0", "GIT_CEILING_DIRECTORIES=" + filepath.Dir(d.path), "GIT_DIR=" + d.path,
	}
	if d.path == "" {
		env = env[:len(env)-2]
	}
	config := append(configuration(), d.config...)
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(config)/2))
	for i := 0; i < len(config); i += 2 {
		n := strconv.Itoa(i / 2)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+config[i], "GIT_CONFIG_VALUE_"+n+"="+config[i+1])
	}
	return env
}

// searchPath returns where git looks for the few programs that it starts besides
// its own.
func searchPath(git string) string {
	return strings.Join([]string{filepath.Dir(git), "/usr/bin", "/bin"}, string(os.PathListSeparator))
}

// configuration returns fixed settings, so that the same objects make the same packs.
func configuration() []string {
	big := strconv.Itoa(BigFile)
	return append([]string{
		"core.hooksPath", os.DevNull, "core.bigFileThreshold", big, "core.packedGitWindowSize", "32m", "core.packedGitLimit", "512m",
		"core.commitGraph", "false", "core.multiPackIndex", "false", "core.fsyncMethod", "fsync", "core.fsync", "none",
		"core.compression", "6", "core.looseCompression", "1", "core.logAllRefUpdates", "false",
		"pack.threads", "1", "pack.compression", "6", "pack.writeBitmaps", "false", "pack.writeReverseIndex", "false", "pack.indexVersion", "2",
		"pack.useSparse", "false", "pack.windowMemory", "512m", "pack.deltaCacheSize", "64m",
		"gc.auto", "0", "maintenance.auto", "false", "advice.graftFileDeprecated", "false", "safe.directory", "*",
		"protocol.version", "2", "transfer.unpackLimit", "1", "transfer.credentialsInUrl", "die", "http.followRedirects", "false",
		"fetch.recurseSubmodules", "false", "fetch.writeCommitGraph", "false", "fetch.fsckObjects", "true", "transfer.fsckObjects", "true",
		"receive.fsckObjects", "true", "credential.helper", "", "init.defaultBranch", "main",
	}, faultConfiguration()...)
}

// output passes git's output to a writer, and ends git if writing fails.
type output struct {
	to     io.Writer
	err    error
	failed func()
}

func (o *output) Write(p []byte) (int, error) {
	if o.to != nil && o.err == nil {
		if _, o.err = o.to.Write(p); o.err != nil {
			o.failed()
		}
	}
	return len(p), nil // git is killed, and what it writes until then is of no use
}

// bounded is a buffer that refuses to grow.
type bounded struct {
	bytes.Buffer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errors.New("git: more output than there may be")
	}
	return b.Buffer.Write(p)
}

// tail keeps the end of what git complains about.
type tail struct {
	to   io.Writer
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	if t.to != nil {
		if _, err := t.to.Write(p); err != nil {
			return 0, err
		}
	}
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - maxStderr; over > 0 {
		t.kept = slices.Delete(t.kept, 0, over)
	}
	return len(p), nil
}

// text returns one line that has nothing that a terminal would obey: much of it
// comes from upstream.
func (t *tail) text() string {
	var lines []string
	for line := range strings.SplitSeq(string(t.kept), "\n") {
		// Progress ends in a carriage return, and what follows it overwrites it.
		line = strings.TrimRight(line, "\r")
		line = line[strings.LastIndexByte(line, '\r')+1:]
		line = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, line)
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}
