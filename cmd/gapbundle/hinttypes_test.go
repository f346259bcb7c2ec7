package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/internal/access"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/internal/push"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/ledger"
	"github.com/gapbundle/gapbundle/sources/upstream"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// typedError is an error with a type, and what its hint has to say.
type typedError struct {
	name string // of the type, as in verify.ReplayError; several rows may have it
	err  error
	want string
}

// typedErrors returns all exported error types that reach a person.
func typedErrors() []typedError {
	return slices.Concat(trustErrors(), mirrorErrors(), connectedErrors(), networkErrors(), systemErrors())
}

func trustErrors() []typedError {
	return []typedError{
		{"verify.UnsignedError", &verify.UnsignedError{Name: "tools-000001"}, "copy its bundle.*.sigstore.json too"},
		{"verify.UnknownKeyError", &verify.UnknownKeyError{Name: "tools-000001", Set: "tools"}, "gapbundle trust add --mirror /srv/mirror --role exporter --set tools exporter.pub"},
		{"verify.QuorumError", &verify.QuorumError{Set: "tools", Role: verify.RoleApprover}, "let the missing approver sign"},
		{"verify.StreamError", &verify.StreamError{Set: "tools", Got: strings.Repeat("a", 32)}, "gapbundle trust adopt --mirror /srv/mirror --set tools aaaa"},
		{"verify.ReplayError", &verify.ReplayError{}, "--allow-rollback"},
		{"verify.JumpError", &verify.JumpError{}, "ask the exporting side"},
		{"verify.EquivocationError", &verify.EquivocationError{}, "compare the two digests"},
		{"verify.ExpiredError", &verify.ExpiredError{}, "ask for a newer bundle"},
		{"verify.KeysError", &verify.KeysError{Set: "tools", Keys: []verify.OfferedKey{{PublishedKey: bundle.PublishedKey{Role: "site"}}}}, "gapbundle trust add --mirror /srv/mirror --role site --set tools KEYFILE"},
		{"verify.MissingBaseError", &verify.MissingBaseError{Set: "tools", Have: 5}, "gapbundle export SPEC --base 5"},
		{"verify.MissingBaseError", &verify.MissingBaseError{Set: "tools"}, "gapbundle export SPEC --full"},
		{"verify.MissingVolumesError", &verify.MissingVolumesError{Name: "tools-000001", Volumes: []string{"volume-00002.tar.zst"}}, "bring the media that hold the volumes named"},
		{"verify.DamageError", &verify.DamageError{Volume: "volume-00002.tar.zst", Err: bundle.ErrCorrupt}, "copy volume-00002.tar.zst again"},
		{"bundle.NoBundleError", &bundle.NoBundleError{Paths: []string{"/media/usb"}}, "is the medium mounted?"},
		{"command.OtherKeyError", &command.OtherKeyError{What: "exporter.pub", Fingerprint: "sha256:aa", Given: "sha256:bb"}, "get both again from those who made the key"},
		{"bundle.ErrSignature", fmt.Errorf("%w: %w", bundle.ErrSignature, bundle.ErrUntrusted), "gapbundle trust list --mirror"},
		{"reach.Error", &reach.Error{Set: "tools", Problem: bundle.ErrUntrusted}, "the exporting side has to correct what is named"},
	}
}

func mirrorErrors() []typedError {
	return []typedError{
		{"unpack.NoMirrorError", &unpack.NoMirrorError{Dir: "/srv/mirror"}, "check the path; a mirror is made by the first gapbundle trust add --mirror /srv/mirror --role exporter"},
		{"unpack.NoMirrorError", &unpack.NoMirrorError{Dir: "/srv/mirror", Lacks: "state/mirror.json"}, "check the path"},
		{"access.Error", &access.Error{Path: "/srv/mirror/state", Problem: "mode 0777", Mend: "chmod go-w /srv/mirror/state"}, "chmod go-w /srv/mirror/state"},
		{"durable.FolderError", &unpack.FolderError{Path: "/srv/mirror/blobs"}, "find out who put it there"},
		{"unpack.UnrecordedError", &unpack.UnrecordedError{Generation: 7, Err: syscall.ENOSPC}, "correct what is named"},
		{"unpack.StateError", &unpack.StateError{File: "state/journal", Problem: "gone"}, "gapbundle state rebuild /srv/mirror"},
		{"unpack.GoneError", &unpack.GoneError{Dir: "/srv/mirror"}, "mount the disk again at /srv/mirror and repeat the same command"},
		{"unpack.SpaceError", &unpack.SpaceError{Dir: "/srv/mirror"}, "make room"},
		{"unpack.MissingError", &unpack.MissingError{}, "gapbundle repair /srv/mirror PATH..."},
		{"unpack.MissingError", &unpack.MissingError{Requests: []unpack.RequestFile{{Path: "r.json"}}}, "gapbundle export SPEC --repair r.json"},
		{"unpack.BeyondError", &unpack.BeyondError{Name: "tools-000001", Set: "tools", Keys: []verify.Key{{Set: "tools", Mounts: []string{"files/*"}}}, Places: []reach.Place{{Pattern: "apt/*"}}},
			"gapbundle trust set-mounts 000000000000 'files/*' 'apt/*' --set tools --mirror /srv/mirror"},
		{"tree.ConflictError", &unpack.ConflictError{Path: "v2/a/manifests/1", Sets: [2]string{"one", "two"}}, "gapbundle trust give v2/a two --mirror /srv/mirror"},
		{"tree.DamagedError", &unpack.DamagedError{Count: 1}, "gapbundle repair /srv/mirror PATH..."},
		{"push.ClashError", &push.ClashError{}, "--scoped"},
		{"push.SparseError", &push.SparseError{}, "export it with all platforms"},
	}
}

func connectedErrors() []typedError {
	return []typedError{
		{"media.GoneError", &media.GoneError{Number: 1, Dir: "/media/usb"}, "plug the medium in again, mount it at /media/usb"},
		{"media.FullError", &media.FullError{Volume: 2, More: 1}, "about 1 more medium like the last one is needed"},
		{"media.FullError", &media.FullError{Volume: 2, TooLarge: true}, "repeat the command without --volume-size"},
		{"pubkeys.WeakError", &pubkeys.WeakError{Fingerprint: "AA"}, "use a better key"},
		{"config.MissingError", &config.MissingError{Err: fs.ErrNotExist}, "name the spec file"},
		{"sources.MadeError", fmt.Errorf("source os: %w", &sources.MadeError{Path: "repodata/modules.yaml.gz", Err: bundle.ErrMalformed}), "this is a mistake in gapbundle"},
		{"sources.PinError", &sources.PinError{URL: "https://up.example/a", Lock: "gapbundle.lock"}, "--update-lock takes the new content"},
		{"sources.PinError", &sources.PinError{URL: "https://up.example/a"}, "correct the digest where it is pinned"},
		{"export.OtherMirrorError", &export.OtherMirrorError{Err: bundle.ErrUntrusted}, "--destination NAME"},
		{"export.NewDestinationError", &export.NewDestinationError{}, "--new-destination"},
		{"ledger.NotKeptError", &ledger.NotKeptError{Sequence: 5, Kept: []int64{3}}, "--base 3"},
		{"upstream.MovedError", &upstream.MovedError{File: "https://up.example/a"}, "upstream contradicts itself"},
		{"upstream.OlderError", &upstream.OlderError{Source: "debian"}, "--hold debian carries on"},
		{"command.UsageError", command.Usage("no such flag", "see gapbundle --help"), "see gapbundle --help"},
		{"bundle.AboutError", bundle.About(bundle.AboutMirror, bundle.ErrCorrupt), "gapbundle repair /srv/mirror"},
		{"passphrase", bundle.About(bundle.AboutPassphrase, bundle.ErrUsage), "set GAPBUNDLE_PASSPHRASE, give --passphrase-fd, or run the command on a terminal"},
		{"passphrase", &bundle.AboutError{Thing: bundle.AboutPassphrase, Name: "site", Err: bundle.ErrUsage}, "set GAPBUNDLE_SITE_PASSPHRASE, give --site-passphrase-fd"},
		{"key file", bundle.About(bundle.AboutKey, &fs.PathError{Op: "open", Path: "keys/exporter.key", Err: fs.ErrNotExist}), "gapbundle keygen --out keys"},
		{"key file", &bundle.AboutError{Thing: bundle.AboutKey, Name: "site", Err: &fs.PathError{Op: "open", Path: "keys/site.asc", Err: fs.ErrNotExist}}, "gapbundle keygen --site --out keys"},
		{"file of a spec", bundle.About(bundle.AboutSpec, fmt.Errorf("%w: %w", bundle.ErrUsage, fs.ErrNotExist)), "relative to the folder of the spec"},
	}
}

func networkErrors() []typedError {
	refused := func(err error) error { return fmt.Errorf("https://up.example/a: %w: %w", fetch.ErrUpstream, err) }
	return []typedError{
		{"fetch.StatusError", &fetch.StatusError{Status: 401}, "name a credential for that host"},
		{"fetch.StatusError", &fetch.StatusError{Status: 404}, "upstream does not have it any more"},
		{"fetch.StatusError", &fetch.StatusError{Status: 503}, "what was downloaded is kept"},
		{"fetch.RedirectError", &fetch.RedirectError{To: "https://cdn.example:8443"}, `redirect-to: ["cdn.example:8443"]`},
		{"fetch.RedirectError", &fetch.RedirectError{To: "https://login.example", TokenService: true}, `token-service: ["login.example"]`},
		{"fetch.RedirectError", &fetch.RedirectError{To: "http://up.example", Final: true}, "no option allows this"},
		{"fetch.RedirectError", &fetch.RedirectError{To: "https://up.example", Final: true, Loop: true}, "around in circles"},
		{"fetch.AddressError", &fetch.AddressError{Host: "10.0.0.1", Port: "80", Address: "10.0.0.1"}, `hosts: {"10.0.0.1:80": {}}`},
		{"fetch.AddressError", &fetch.AddressError{Host: "repo.example.org", Port: "443", Address: "10.0.0.1", Private: true}, `hosts: {"*.example.org": {addresses: private}}`},
		{"fetch.ChangedError", &fetch.ChangedError{}, "changed while it was read"},
		{"fetch.OfflineError", &fetch.OfflineError{URL: "https://up.example/a"}, "when the connection is up again"},
		{"an unknown host", refused(&net.DNSError{Name: "up.exmaple", IsNotFound: true}), "is up.exmaple spelled right in the spec?"},
		{"a broken connection", fetch.Broken("https://up.example/a", syscall.ECONNRESET), "when the connection is up again"},
		{"registry.AnswerError", &registry.AnswerError{Status: 404}, "the registry has no such image or tag"},
		{"registry.AnswerError", &registry.AnswerError{Status: 503}, "when the connection is up again"},
	}
}

// systemErrors returns those of the operating system.
func systemErrors() []typedError {
	listen := func(err error) error {
		return &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", err)}
	}
	return []typedError{
		{"a busy port", listen(syscall.EADDRINUSE), "ss -ltnp"},
		{"a port for root", listen(syscall.EACCES), "ports below 1024"},
		{"an address elsewhere", listen(syscall.EADDRNOTAVAIL), "this machine has no such address"},
		{"a full disk", &fs.PathError{Op: "write", Path: "usb/x", Err: syscall.ENOSPC}, "make room"},
		{"a folder that is not there", &fs.PathError{Op: "mkdir", Path: "/nowhere/a/mirror", Err: syscall.ENOENT}, "mkdir -p /nowhere/a"},
		{"a file in the place of a folder", &fs.PathError{Op: "open", Path: "a/b", Err: syscall.ENOTDIR}, "a part of it is a file"},
		{"a folder in the place of a file", &fs.PathError{Op: "open", Path: "a", Err: syscall.EISDIR}, "a folder is there"},
		{"a mirror's state of somebody else", bundle.About(bundle.AboutMirrorState, &fs.PathError{Op: "openat", Path: "state/mirror.json", Err: syscall.EACCES}), "gapbundle config /srv/mirror --group NAME"},
		{"a path that is not there", &fs.PathError{Op: "open", Path: "/nowhere", Err: syscall.ENOENT}, "check the path"},
	}
}

// innerErrors returns exported errors that no person meets, and what becomes of them.
func innerErrors() map[string]string {
	return map[string]string{
		"reach.ErrNotAtHand":     "the set is judged again when the content is there",
		"sources.ErrNotAtHand":   "checks leave out what was checked before",
		"images.ErrTooMuch":      "the chart's images are not known: sources/helm names the chart, as upstream's",
		"gitrun.Error":           "sources/git says whose fault it is: upstream.Blame",
		"rpmmd.PackageError":     "sources/rpm names the package, as upstream's, or leaves it out",
		"child.Limit":            "sources/helm names the chart and the template, as upstream's",
		"lockfile.ErrInvalid":    "a file of the spec: sources/pypi gives its place and the class of usage",
		"resolve.ErrConflict":    "sources/pypi makes it one of the selection, with the requirements that conflict",
		"resolve.Conflict":       "the text of resolve.ErrConflict",
		"resolve.ErrTooDeep":     "as resolve.ErrConflict",
		"resolve.ErrDiscard":     "the release is passed over",
		"index.UnusableError":    "sources/pypi names the file, as upstream's, or leaves it out",
		"pep440.ErrInvalid":      "clients pass over such a version; in the spec it is one of usage",
		"simple.ErrInvalid":      "a page of an index: sources/pypi/index makes it upstream's",
		"marker.ErrInvalid":      "as pep440.ErrInvalid",
		"marker.ErrUnknown":      "the target lacks a variable: sources/pypi makes it one of usage",
		"marker.UnknownError":    "the text of marker.ErrUnknown",
		"tags.ErrName":           "clients pass over such a file; in a lock it is one of usage",
		"registry.MismatchError": "internal/push compares what it reads before it is sent",
		"push.RegistryError":     "around the registry's own errors, for their hints: TestRegistryHints and push.txtar",
		"unpack.OtherGroupError": "cmd/internal/command names the command that changes the group",
		"command.Interrupted":    "the cause of a context; TestExitCode",
	}
}

// TestHintOfEveryError: every exported error of the tree has a row that says what a
// person is told, or one that says what becomes of it before.
func TestHintOfEveryError(t *testing.T) {
	known := map[string]bool{}
	for _, row := range hintTable() {
		home := "bundle."
		if slices.Contains(classNames()["internal/fetch"], row.sentinel) {
			home = "fetch."
		}
		known[home+row.sentinel] = true
	}
	for _, e := range typedErrors() {
		known[e.name] = true
		for _, err := range []error{e.err, fmt.Errorf("wrapped: %w", e.err), errors.Join(e.err, errors.New("another"))} {
			hints := command.HintsFor(t.Context(), err, "/srv/mirror", exportHint)
			if len(hints) == 0 || !strings.Contains(hints[0], e.want) {
				t.Errorf("%s, %v: hints %q, want %q", e.name, err, hints, e.want)
			}
		}
	}
	found := 0
	for dir, files := range sourceFiles(t) {
		for _, name := range errorsOf(dir, files) {
			found++
			if _, inner := innerErrors()[name]; known[name] == inner {
				t.Errorf("%s (%s): want one row in typedErrors, hintTable or innerErrors", name, dir)
			}
			delete(known, name)
		}
	}
	if found < 60 {
		t.Errorf("%d exported errors found, want at least the 60 that there were", found)
	}
	for name := range known {
		if strings.Contains(name, ".") {
			t.Errorf("%s: has a row and is not in the tree", name)
		}
	}
}

// errorsOf returns the exported error values and types of a package: Err..., and what has a
// method Error.
func errorsOf(dir string, files []*ast.File) (names []string) {
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR && strings.HasPrefix(v.Names[0].Name, "Err") {
						names = append(names, path.Base(dir)+"."+v.Names[0].Name)
					}
				}
			case *ast.FuncDecl:
				if name := receiver(d); d.Name.Name == "Error" && ast.IsExported(name) {
					names = append(names, path.Base(dir)+"."+name)
				}
			}
		}
	}
	return names
}

// TestRedirectHintIsTaken: what the hint tells to write under hosts is what that option
// takes.
func TestRedirectHintIsTaken(t *testing.T) {
	for _, to := range []string{"https://cdn.example", "https://cdn.example:8443", "http://10.1.2.3:8080", "https://[fd00::1]:8443"} {
		hints := command.HintsFor(t.Context(), &fetch.RedirectError{To: to}, "", exportHint)
		_, value, ok := strings.Cut(strings.Join(hints, ""), `redirect-to: ["`)
		value, _, closed := strings.Cut(value, `"]`)
		if !ok || !closed {
			t.Fatalf("%s: hints %q", to, hints)
		}
		if _, err := fetch.New(fetch.Options{Hosts: map[string]fetch.HostOptions{"up.example": {RedirectTo: []string{value}}}}); err != nil {
			t.Errorf("%s: the hint says %q: %v", to, value, err)
		}
	}
}
