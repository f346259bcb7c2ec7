// Command release makes the files that users install: the two programs for every system, deb
// and rpm packages for Linux with an apt and an rpm repository of them, an SBOM of each
// program, and SHA256SUMS. The release key signs these. Its public half is in the README, and
// every other key is refused. A rehearsal signs with a key of its own, and a file next to the
// results states this.
//
// It runs in the root of a checkout, and needs nfpm and cyclonedx-gomod (.ci/tools), and
// apt-ftparchive and createrepo_c (.ci/clients). The programs, packages and SBOMs of one
// commit are the same bytes wherever they are made, apart from the signature in an rpm.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// systems are those that a release has programs for.
const systems = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64"

func main() {
	var o options
	flag.StringVar(&o.out, "out", "dist", "folder of the release; it must not exist")
	flag.StringVar(&o.systems, "systems", systems, "systems, as in linux/amd64, separated by commas")
	flag.StringVar(&o.key, "key", "", "the release key, made by gapbundle keygen --site; its passphrase is in GAPBUNDLE_PASSPHRASE")
	flag.BoolVar(&o.rehearsal, "rehearsal", false, "sign with a key that is made for this once: the result is not a release")
	flag.BoolVar(&o.unsigned, "unsigned", false, "sign nothing, for a comparison of bytes: the result is not a release")
	flag.StringVar(&o.adopt, "adopt-key", "", "only write this public key into README.md as the release key")
	flag.Parse()
	o.readme = "README.md"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	out, systems, key, adopt string
	rehearsal, unsigned      bool
	readme                   string // the page that has the release key
}

// release is one that is being made.
type release struct {
	dir     string // the result
	work    string // what is not part of it
	version string // of the programs, without a leading v
	date    time.Time
	signer  *openpgp.Entity // nil: nobody signs

	key, passphrase, keyName string // of signer: its private key, and the name of its public half

	log io.Writer
}

func run(ctx context.Context, log io.Writer, o options) (err error) {
	if err := o.oneMode(); err != nil {
		return err
	}
	if o.adopt != "" {
		old, adopted, err := adoptKey(o.adopt, o.readme)
		if err == nil {
			fmt.Fprintf(log, "%s: the release key is %s; before: %s\n", o.readme, adopted, cmp.Or(old, "none"))
		}
		return err
	}
	r := &release{dir: o.out, keyName: "gapbundle-release.asc", log: log}
	if o.rehearsal {
		r.keyName = "gapbundle-rehearsal.asc"
	}
	if r.date, err = commitDate(ctx); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "gapbundle-release-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.work)) }()
	if err := r.sign(o); err != nil {
		return err
	}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		return err
	}
	if err := r.confess(o); err != nil {
		return err
	}
	for _, step := range []func(context.Context, []string) error{r.programs, r.boms, r.packages, r.aptRepository, r.rpmRepository, r.sums} {
		if err := step(ctx, strings.Split(o.systems, ",")); err != nil {
			return err
		}
	}
	return nil
}

// commitDate returns the date of everything in a release: that of the commit.
func commitDate(ctx context.Context) (time.Time, error) {
	out, err := output(ctx, nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	return time.Unix(seconds, 0).UTC(), err
}

// names returns the two programs.
func names() []string { return []string{"gapbundle", "gapbundle-inside"} }

// programs builds the programs for every system.
func (r *release) programs(ctx context.Context, systems []string) error {
	for _, system := range systems {
		goos, goarch, _ := strings.Cut(system, "/")
		for _, name := range names() {
			file := r.program(name, goos, goarch)
			fmt.Fprintln(r.log, "building", filepath.Base(file))
			env := []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + goarch, "GOFLAGS="}
			if _, err := output(ctx, env, "go", "build", "-trimpath", "-buildvcs=auto", "-ldflags", "-s -w", "-o", file, "./cmd/"+name); err != nil {
				return err
			}
		}
	}
	return r.readVersion(ctx)
}

// program returns the path of a program in the release.
func (r *release) program(name, goos, goarch string) string {
	file := filepath.Join(r.dir, name+"_"+goos+"_"+goarch)
	if goos == "windows" {
		file += ".exe"
	}
	return file
}

// readVersion asks the build information of a program, which has it from the tag.
func (r *release) readVersion(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(r.dir, "gapbundle_*"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no program in %s: %w", r.dir, err)
	}
	out, err := output(ctx, nil, "go", "version", "-m", files[0])
	if err != nil {
		return err
	}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "mod" {
			r.version = strings.TrimPrefix(fields[2], "v")
			if r.version == "(devel)" {
				r.version = "0.0.0"
			}
			return nil
		}
	}
	return fmt.Errorf("%s: no version in its build information", files[0])
}

// boms writes a CycloneDX SBOM of each program, from its build information.
func (r *release) boms(ctx context.Context, systems []string) error {
	for _, system := range systems {
		goos, goarch, _ := strings.Cut(system, "/")
		for _, name := range names() {
			file := r.program(name, goos, goarch)
			_, err := output(ctx, nil, tool("cyclonedx-gomod"), "bin", "-json", "-noserial", "-notimestamp", "-output-version", "1.6",
				"-version", "v"+r.version, "-output", file+".cdx.json", file)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// tool returns the path of a tool that .ci/tools builds.
func tool(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	home, _ := os.UserHomeDir() // not there: the error names the tool
	return filepath.Join(home, "go", "bin", name)
}

// output runs a program and returns its output. An error has its standard error.
func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	return outputIn(ctx, "", env, name, args...)
}

func outputIn(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return string(out), nil
}
