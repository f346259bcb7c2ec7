package gitrun

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func find(t *testing.T) *Git {
	t.Helper()
	g, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestFind(t *testing.T) {
	for name, script := range map[string]string{"none": "", "old": "#!/bin/sh\necho git version 2.30.2\n"} {
		dir := t.TempDir()
		if script != "" {
			if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", dir)
		_, err := Find(t.Context())
		var path *fs.PathError
		if !errors.As(err, &path) || !strings.Contains(err.Error(), "2.39 or later") {
			t.Errorf("%s: %v, want a *fs.PathError that names the release", name, err)
		}
	}
	for v, want := range map[string]bool{"2.39.5": true, "2.39": true, "2.50.1": true, "3.0": true, "2.38.9": false, "1.9": false, "": false, "2.39.5.windows.1": true} {
		if got := atLeast(v, Oldest); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}

// Nothing of the user's reaches git, and its children have the limits.
func TestEnvironment(t *testing.T) {
	for _, name := range []string{"GIT_DIR", "GIT_SSH_COMMAND", "HTTPS_PROXY", "http_proxy", "GIT_CONFIG_PARAMETERS", "SECRET"} {
		t.Setenv(name, "leaked")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[user]\n\tname = leaked\n[core]\n\tsshCommand = leaked\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := find(t)
	dir := t.TempDir()
	d := g.In(dir, []string{"alias.look", "!env; ulimit -v; ulimit -f", "http.extraHeader", "X: secret"})
	if err := d.Run(t.Context(), Call{Args: []string{"init", "-q", "--bare", "."}}); err != nil {
		t.Fatal(err)
	}
	out, err := d.Output(t.Context(), 1<<20, Call{Args: []string{"look"}})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("leaked")) {
		t.Errorf("in the environment:\n%s", out)
	}
	if runtime.GOOS == "linux" && !bytes.HasSuffix(out, []byte("\n"+strconv.Itoa(MaxMemory>>10)+"\n"+strconv.Itoa(MaxFile/512)+"\n")) {
		t.Errorf("limits:\n%s", out)
	}
	all, err := d.Output(t.Context(), 1<<20, Call{Args: []string{"config", "--list"}})
	if err != nil || bytes.Contains(all, []byte("leaked")) || !bytes.Contains(all, []byte("fsck.hasdotgit=error")) {
		t.Errorf("configuration, %v:\n%s", err, all)
	}
	if err := d.Run(t.Context(), Call{Args: []string{"ls-remote", "ssh://127.0.0.1/x"}}); err == nil || !strings.Contains(err.Error(), "transport 'ssh' not allowed") {
		t.Errorf("ssh: %v", err)
	}
	if err := d.Run(t.Context(), Call{Args: []string{"ls-remote", dir}}); err == nil || !strings.Contains(err.Error(), "transport 'file' not allowed") {
		t.Errorf("file: %v", err)
	}
}

// Lines of fsck: what is known and tolerated, and everything else.
func TestExamination(t *testing.T) {
	x := &examination{found: Faults{}}
	text := "notice: HEAD points to an unborn branch (main)\n" +
		"warning in tree 1: zeroPaddedFilemode: contains zero-padded file modes\nerror in tree 2: zeroPaddedFilemode: x\n" +
		"error in tree 3: hasDotgit: contains '.git'\nmissing blob 4\nfatal: \x1b[1mlost\nwarning in tree 5: newMessage: what nobody knows\n"
	if err := x.read(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if got := x.found["zeroPaddedFilemode"]; got == nil || got.Count != 2 || got.Object != "tree 1" || len(x.found) != 1 {
		t.Errorf("found %+v", x.found)
	}
	if len(x.refused) != 4 || x.refused[2] != "fatal: [1mlost" {
		t.Errorf("refused %q", x.refused)
	}
	if notes := x.found.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "2 with the format error zeroPaddedFilemode (tree 1 first)") {
		t.Errorf("notes %q", notes)
	}
}

// The page for users has every format error that is tolerated.
func TestFaultsInDocs(t *testing.T) {
	page, err := os.ReadFile("../../../docs/sources/git.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults() {
		if named := bytes.Contains(page, []byte("`"+f.id+"`")); named != (f.reason != "") {
			t.Errorf("%s: named %v, tolerated %v", f.id, named, f.reason != "")
		}
	}
}

// What git shows of its progress is not part of what it says.
func TestTail(t *testing.T) {
	kept := &tail{}
	_, _ = kept.Write([]byte("Receiving objects:  50% (1/2)\rReceiving objects: 100% (2/2)\rfatal: no \x1b[1mmore\r\nerror: 2\n")) // to memory
	if got := kept.text(); got != "fatal: no [1mmore; error: 2" {
		t.Errorf("got %q", got)
	}
}

func FuzzExamination(f *testing.F) {
	f.Add([]byte("error in tree 3: hasDotgit: contains '.git'\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := &examination{found: Faults{}}
		_ = x.read(bytes.NewReader(b))
		if len(x.refused) > maxFindings {
			t.Errorf("%d findings", len(x.refused))
		}
	})
}
