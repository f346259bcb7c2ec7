package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gapbundle": either, "stubborn": stubborn})
}

// TestScripts drives the real program. Each script in testdata/script is a
// session at a shell; what its commands beyond testscript's own do is said at
// the functions below.
func TestScripts(t *testing.T) { runScripts(t, "script", "") }

// runScripts runs every script of a folder of testdata; inside is the path of gapbundle-inside, which
// then does what it has commands for.
func runScripts(t *testing.T, folder, inside string) {
	w := &world{t: t, upstreams: map[string]*upstreamtest.Server{}, servers: map[string]*exec.Cmd{}, locks: map[string]*os.File{}}
	testscript.Run(t, testscript.Params{
		Dir:      filepath.Join("testdata", folder),
		Deadline: time.Now().Add(8 * time.Minute), // a program that should have ended is ended
		Setup: func(env *testscript.Env) error {
			env.Setenv("GAPBUNDLE_PASSPHRASE", "open sesame")
			env.Setenv("GAPBUNDLE_SITE_PASSPHRASE", "open sesame too")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv(insideEnv, inside)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "inside" {
				return false, fmt.Errorf("condition %q: unknown", cond)
			}
			return inside != "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "upstream": w.upstream, "put": w.put, "fails": w.fails, "requests": w.requests,
			"flip": flip, "let": let, "serve": w.serve, "halt": w.halt, "get": get, "terminal": terminal,
			"interrupted": w.interrupted, "hold": w.hold, "release": w.release, "certificate": w.certificate, "cut": cut, "render": render, "field": field, "heed": heed, "forge": w.forge, "registry": w.registry, "images": w.images, "unchanged": unchanged, "unpacked": unpacked, "page": page,
		},
	})
}

// world is what scripts share with the test around them: its servers end with it.
type world struct {
	t         *testing.T
	mu        sync.Mutex
	upstreams map[string]*upstreamtest.Server // script name + variable
	servers   map[string]*exec.Cmd
	locks     map[string]*os.File
}

// exits CODE PROGRAM ARG... runs a program and compares its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := codeOf(ts.Exec(args[1], args[2:]...)); (got == want) == neg {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func codeOf(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// upstream VAR [DIR [tls]] starts an upstream that has the files of DIR, and
// sets VAR to its address and VAR_HOST to its host as mirror paths have it.
func (w *world) upstream(ts *testscript.TestScript, _ bool, args []string) {
	start := upstreamtest.New
	if len(args) > 2 {
		start = upstreamtest.NewTLS
	}
	s := start(w.t)
	w.mu.Lock()
	w.upstreams[ts.Name()+args[0]] = s
	w.mu.Unlock()
	ts.Setenv(args[0], strings.TrimSuffix(s.URL("/"), "/"))
	ts.Setenv(args[0]+"_HOST", strings.ReplaceAll(s.Host(), ":", "_"))
	if len(args) > 1 {
		dir := ts.MkAbs(args[1])
		ts.Check(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			s.Put(filepath.ToSlash(strings.TrimPrefix(path, dir)), content)
			return err
		}))
	}
}

func (w *world) find(ts *testscript.TestScript, name string) *upstreamtest.Server {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.upstreams[ts.Name()+name]
	if s == nil {
		ts.Fatalf("no upstream %s", name)
	}
	return s
}

// put VAR PATH FILE changes what the upstream has at a path.
func (w *world) put(ts *testscript.TestScript, _ bool, args []string) {
	w.find(ts, args[0]).Put(args[1], []byte(ts.ReadFile(args[2])))
}

// fails VAR PATH status CODE | cut N | redirect URL | needs-token | changes
// lets every request for a path go wrong; fails VAR none heals.
func (w *world) fails(ts *testscript.TestScript, _ bool, args []string) {
	s := w.find(ts, args[0])
	if args[1] == "none" {
		s.Heal()
		return
	}
	var fault upstreamtest.Fault
	switch args[2] {
	case "status":
		code, err := strconv.Atoi(args[3])
		ts.Check(err)
		fault = upstreamtest.Status(code)
	case "cut":
		n, err := strconv.ParseInt(args[3], 10, 64)
		ts.Check(err)
		fault = upstreamtest.Cut(n)
	case "redirect":
		fault = upstreamtest.Redirect(args[3])
	case "needs-token":
		fault = upstreamtest.NeedHeader("Authorization", "Bearer right")
	case "changes":
		version := 0
		fault = upstreamtest.Both(upstreamtest.Do(1, func() {
			version++
			s.Put(args[1], fmt.Appendf(nil, "version %d", version))
		}), upstreamtest.Cut(1))
	default:
		ts.Fatalf("no fault %s", args[2])
	}
	s.FailAlways(args[1], fault)
}

// requests VAR PATH N compares how many requests came for a path.
func (w *world) requests(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	if got := w.find(ts, args[0]).Requests(args[1]); got != want {
		ts.Fatalf("%d requests for %s, want %d", got, args[1], want)
	}
}

// flip FILE [OFFSET] inverts one bit.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	content, err := os.ReadFile(path)
	ts.Check(err)
	at := len(content) / 2
	if len(args) > 1 {
		at, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	content[at] ^= 1
	ts.Check(os.Chmod(path, 0o644))
	ts.Check(os.WriteFile(path, content, 0o644))
}

// cut FILE N keeps the first N bytes.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

// let VAR FILE sets a variable to the content of a file, which may be stdout.
func let(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// serve VAR PROGRAM ARG... starts a server and sets VAR to the first line of
// its output, which says where it listens; with --metrics-listen, VAR_METRICS
// to the second.
func (w *world) serve(ts *testscript.TestScript, _ bool, args []string) {
	cmd := programIn(ts, args[1:])
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	stderr, err := os.Create(ts.MkAbs(args[0] + ".stderr"))
	ts.Check(err)
	cmd.Stderr = stderr
	ts.Check(cmd.Start())
	ts.Defer(func() { _ = cmd.Process.Kill(); _ = stderr.Close() })
	lines := bufio.NewScanner(out)
	names := []string{args[0]}
	if slices.Contains(args, "--metrics-listen") {
		names = append(names, args[0]+"_METRICS")
	}
	for _, name := range names {
		if !lines.Scan() {
			_ = cmd.Wait()
			ts.Fatalf("no line from %v: %s", args[1:], ts.ReadFile(args[0]+".stderr"))
		}
		ts.Setenv(name, strings.TrimSuffix(lines.Text(), "/"))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[ts.Name()+args[0]] = cmd
}

// halt VAR INT|TERM CODE tells a server of serve to end and compares its exit code.
func (w *world) halt(ts *testscript.TestScript, _ bool, args []string) {
	w.mu.Lock()
	cmd := w.servers[ts.Name()+args[0]]
	w.mu.Unlock()
	ts.Check(cmd.Process.Signal(signalOf(ts, args[1])))
	if got := codeOf(cmd.Wait()); strconv.Itoa(got) != args[2] {
		ts.Fatalf("exit code %d, want %s", got, args[2])
	}
}

func signalOf(ts *testscript.TestScript, name string) syscall.Signal {
	switch name {
	case "INT":
		return syscall.SIGINT
	case "TERM":
		return syscall.SIGTERM
	}
	ts.Fatalf("no signal %s", name)
	return 0
}

// programIn returns a program of the script, in its directory and environment.
func programIn(ts *testscript.TestScript, args []string) *exec.Cmd {
	path := args[0]
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p := filepath.Join(dir, args[0]); path == args[0] && isProgram(p) {
			path = p
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "GAPBUNDLE_PASSPHRASE", "GAPBUNDLE_SITE_PASSPHRASE", "GAPBUNDLE_MIRROR"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// certificate sets CERT and KEY to files that a server can use.
func (w *world) certificate(ts *testscript.TestScript, _ bool, _ []string) {
	cert, key := upstreamtest.NewTLS(w.t).ClientCert()
	ts.Setenv("CERT", cert)
	ts.Setenv("KEY", key)
}

// get URL FILE [STATUS [HOST]] fetches into a file; the answer's header goes to
// FILE.header. With HOST the server is asked under that name. Certificates are not looked at.
func get(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, args[0], nil)
	ts.Check(err)
	if len(args) > 3 {
		req.Host = args[3]
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} //nolint:gosec // the answer is what is looked at
	res, err := client.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	want := "200"
	if len(args) > 2 {
		want = args[2]
	}
	if strconv.Itoa(res.StatusCode) != want {
		ts.Fatalf("%s: status %s, want %s", args[0], res.Status, want)
	}
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o644))
	var header strings.Builder
	ts.Check(res.Header.Write(&header))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]+".header"), []byte(header.String()), 0o644))
}

// interrupted CODE SIGNAL VAR PATH PROGRAM ARG... starts a program, waits
// until it reads PATH of an upstream, which sends the first bytes and then
// stalls, sends the signal and compares the exit code. What the program said
// goes to the file interrupted.stderr.
func (w *world) interrupted(ts *testscript.TestScript, _ bool, args []string) {
	s := w.find(ts, args[2])
	reached := make(chan struct{})
	var once sync.Once
	s.FailAlways(args[3], upstreamtest.Both(upstreamtest.Do(1, func() { once.Do(func() { close(reached) }) }), upstreamtest.Stall(1)))
	cmd := programIn(ts, args[4:])
	var stderr strings.Builder
	cmd.Stderr = &stderr
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case <-reached:
		ts.Check(cmd.Process.Signal(signalOf(ts, args[1])))
		err = <-ended
	case err = <-ended:
	}
	s.Heal()
	ts.Check(os.WriteFile(ts.MkAbs("interrupted.stderr"), []byte(stderr.String()), 0o644))
	if got := codeOf(err); strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s; %s", got, args[0], stderr.String())
	}
}

// hold FILE takes the kernel's lock on a file until release FILE, or the end
// of the script.
func (w *world) hold(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR|os.O_CREATE, 0o644)
	ts.Check(err)
	ts.Check(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.locks[f.Name()] = f
	ts.Defer(func() { _ = f.Close() })
}

func (w *world) release(ts *testscript.TestScript, _ bool, args []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ts.Check(w.locks[ts.MkAbs(args[0])].Close())
}

// render FILE... puts the script's variables into files, written as ${VAR}.
func render(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}

// field VAR FILE a.0.b sets a variable to a field of a file of JSON, which
// may be stdout.
func field(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &v))
	for name := range strings.SplitSeq(args[2], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			v = at[i]
		}
	}
	if v == nil {
		ts.Fatalf("%s has no %s", args[1], args[2])
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// forge DIR makes a bundle of the set tools that publishes an OpenPGP key; its
// exporter's public key is DIR.pub. With a second argument another file below
// keys/, which holds that text, is published next to it.
func (w *world) forge(ts *testscript.TestScript, _ bool, args []string) {
	e := bundletest.New(w.t, "tools")
	dir := ts.MkAbs(args[0])
	ts.Check(os.Mkdir(dir, 0o755))
	ts.Check(os.WriteFile(dir+".pub", e.Signer.PublicPEM(), 0o644))
	keys := bundletest.Keyring()
	if len(args) > 1 {
		keys.Files["unlisted.asc"] = args[1]
	}
	e.Export(w.t, []bundletest.Repository{{Name: "packages", Mount: "packages", Files: map[string]string{"a": "content"}}, keys},
		bundletest.Options{Targets: []string{dir}, Keys: []bundle.PublishedKey{bundletest.Published("packages")}})
}

// unchanged PROGRAM ARG... runs a program, which has to succeed, and requires
// that not one byte, name or time below the script's directory changed.
func unchanged(ts *testscript.TestScript, _ bool, args []string) {
	before := snapshot(ts)
	ts.Check(ts.Exec(args[0], args[1:]...))
	after := snapshot(ts)
	for path, what := range after {
		if before[path] != what {
			ts.Fatalf("%s: was %q, is %q", path, before[path], what)
		}
	}
	for path := range before {
		if after[path] == "" {
			ts.Fatalf("%s: is gone", path)
		}
	}
}

func snapshot(ts *testscript.TestScript) map[string]string {
	all := map[string]string{}
	root := ts.MkAbs(".")
	ts.Check(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == ".tmp" { // scratch; what is left there is looked at elsewhere
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			content, err = os.ReadFile(path)
		}
		all[path] = fmt.Sprintf("%s %s %s", info.Mode(), info.ModTime(), bundle.DigestOf(content).Short())
		return err
	}))
	return all
}

// stubborn plays a program that goes on after the first signal.
func stubborn() {
	ctx := command.WithSignals(context.Background())
	fmt.Fprintln(os.Stdout, "ready")
	<-ctx.Done()
	fmt.Fprintln(os.Stdout, context.Cause(ctx))
	<-context.Background().Done()
}

// TestSecondSignal: who is asked twice ends at once.
func TestSecondSignal(t *testing.T) {
	cmd := exec.Command("stubborn")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, step := range []struct {
		says string
		gets syscall.Signal
	}{{"ready", syscall.SIGINT}, {"interrupted (interrupt)", syscall.SIGTERM}} {
		if !lines.Scan() || lines.Text() != step.says {
			t.Errorf("said %q, want %q", lines.Text(), step.says)
		}
		if err := cmd.Process.Signal(step.gets); err != nil {
			t.Fatal(err)
		}
	}
	if got := codeOf(cmd.Wait()); got != 143 {
		t.Errorf("exit code %d, want 143", got)
	}
}
