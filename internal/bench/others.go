//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// others compares with programs that carry one kind of content each, where they are on PATH.
// They do what they are made for, and nothing that gapbundle does besides.
// A row's "times" are gapbundle's: 2.5 is two and a half times as long.
func (b *bench) others(ctx context.Context) error {
	for _, one := range []func(context.Context) error{b.otherImages, b.otherArchives, b.otherRPMs} {
		if err := one(ctx); err != nil {
			return err
		}
	}
	return nil
}

const otherFile = 4_000_000 // bytes of a layer or a package

// found returns the programs of names that are on PATH, and a note about the others.
func (b *bench) found(names ...string) map[string]string {
	all := map[string]string{}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			fmt.Fprintf(b.out, "%s is not on PATH: no row\n", name)
			continue
		}
		all[name] = path
	}
	return all
}

// steps runs commands one after the other and syncs after the last.
func (b *bench) steps(commands ...*exec.Cmd) (all usage, err error) {
	for i, cmd := range commands {
		sync := ""
		if i == len(commands)-1 {
			sync = b.dir
		}
		if cmd.Dir == "" {
			cmd.Dir = b.dir
		}
		u, err := measure(sync, cmd)
		if all.add(u); err != nil {
			return all, err
		}
	}
	return all, nil
}

// quiet returns a command whose output is of no use unless it fails.
func quiet(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	return cmd
}

// ours adds the row of an export that everything else is compared with.
func (b *bench) ours(ctx context.Context, t *table, set, source string) error {
	text := "version: 1\nname: " + set + "\nsigning: {exporter: keys/exporter.key}\nsources:\n  - {name: pool, " + source + "}\n"
	if err := os.WriteFile(b.path(set+".yaml"), []byte(text), 0o644); err != nil {
		return err
	}
	t.row("export", baseline, limit{}, func(int) (usage, error) {
		if err := errors.Join(remove(b.path(set+"-stick")), remove(b.path(set+"-state"))); err != nil {
			return usage{}, err
		}
		return measure("", b.gapbundle(ctx, "export", b.path(set+".yaml"), "--to", b.path(set+"-stick"), "--state", b.path(set+"-state"), "--quiet"))
	})
	return nil
}

func (b *bench) otherImages(ctx context.Context) error {
	programs := b.found("hauler", "skopeo")
	if len(programs) == 0 {
		return nil
	}
	up, err := serveMade(otherFile)
	if err != nil {
		return err
	}
	defer up.stop()
	const layers = 5
	names, err := up.makeImages(max(1, int(b.peers*1e6/(layers*otherFile))), layers)
	if err != nil {
		return err
	}
	t := &table{title: fmt.Sprintf("images: %d of %d MB", len(names), layers*otherFile/1_000_000), runs: b.runs, memory: memoryLimit(int64(len(names) * layers))}
	t.section("from a registry to a file")
	if err := b.ours(ctx, t, "images", `kind: oci, plain-http: ["`+up.host+`"], images: ["`+strings.Join(names, `", "`)+`"]`); err != nil {
		return err
	}
	if hauler := programs["hauler"]; hauler != "" {
		list := "apiVersion: content.hauler.cattle.io/v1\nkind: Images\nmetadata: {name: bench}\nspec:\n  images:\n    - name: " + strings.Join(names, "\n    - name: ") + "\n"
		if err := os.WriteFile(b.path("hauler.yaml"), []byte(list), 0o644); err != nil {
			return err
		}
		t.row("hauler store sync, store save", against, limit{least: 2.5}, func(int) (usage, error) {
			if err := errors.Join(remove(b.path("hauler")), remove(b.path("haul.tar.zst"))); err != nil {
				return usage{}, err
			}
			return b.steps(quiet(ctx, hauler, "store", "sync", "--store", b.path("hauler"), "--filename", b.path("hauler.yaml"), "--log-level", "error"),
				quiet(ctx, hauler, "store", "save", "--store", b.path("hauler"), "--filename", b.path("haul.tar.zst"), "--log-level", "error"))
		})
	}
	if skopeo := programs["skopeo"]; skopeo != "" {
		t.row("skopeo copy, then tar", against, limit{}, func(int) (usage, error) {
			if err := remove(b.path("skopeo")); err != nil {
				return usage{}, err
			}
			var all []*exec.Cmd
			for i, name := range names {
				all = append(all, quiet(ctx, skopeo, "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "docker://"+name, fmt.Sprintf("oci:%s:%d", b.path("skopeo"), i)))
			}
			return b.steps(append(all, quiet(ctx, "tar", "-cf", b.path("skopeo.tar"), "-C", b.path("skopeo"), "."))...)
		})
	}
	if err := t.measure(); err != nil {
		return err
	}
	t.section("from the file to what is served")
	b.receiveOurs(ctx, t, "images")
	if hauler := programs["hauler"]; hauler != "" {
		t.row("hauler store load", against, limit{least: 2.5}, func(int) (usage, error) {
			if err := remove(b.path("loaded")); err != nil {
				return usage{}, err
			}
			return b.steps(quiet(ctx, hauler, "store", "load", "--store", b.path("loaded"), "--filename", b.path("haul.tar.zst"), "--log-level", "error"))
		})
	}
	return errors.Join(t.measure(), t.print(b.out))
}

// receiveOurs adds the row of an import of the bundle that ours exported.
func (b *bench) receiveOurs(ctx context.Context, t *table, set string) {
	mirror := b.path(set + "-mirror")
	t.row("import", baseline, limit{}, func(int) (usage, error) {
		if err := remove(mirror); err != nil {
			return usage{}, err
		}
		if err := b.trust(ctx, mirror, set); err != nil {
			return usage{}, err
		}
		return measure("", b.gapbundle(ctx, "import", b.path(set+"-stick"), "--to", mirror, "--quiet"))
	})
}

func (b *bench) otherArchives(ctx context.Context) error {
	programs := b.found("apt-mirror")
	if len(programs) == 0 {
		return nil
	}
	up, err := serveMade(otherFile / 40)
	if err != nil {
		return err
	}
	defer up.stop()
	n := max(1, int(b.peers*1e6/(otherFile/40)))
	if err := up.makeArchive(b.path("other.asc"), n); err != nil {
		return err
	}
	t := &table{title: fmt.Sprintf("packages of an archive: %d of %d kB", n, otherFile/40_000), runs: b.runs, memory: memoryLimit(int64(n))}
	t.section("from the archive to a file")
	if err := b.ours(ctx, t, "archive", "kind: apt, url: "+up.url+"/apt, suites: [stable], keyring: other.asc, architectures: [amd64]"); err != nil {
		return err
	}
	at := b.path("apt-mirror")
	list := "set base_path " + at + "\nset defaultarch amd64\nset nthreads 6\nset _tilde 0\nset run_postmirror 0\n" +
		// It takes the port for a part of no address, so the server is its proxy.
		"set use_proxy on\nset http_proxy " + up.host + "\ndeb http://archive.example/apt stable main\n"
	if err := os.WriteFile(b.path("apt-mirror.list"), []byte(list), 0o644); err != nil {
		return err
	}
	t.row("apt-mirror, then tar | zstd", against, limit{}, func(int) (usage, error) {
		if err := remove(at); err != nil {
			return usage{}, err
		}
		for _, folder := range []string{"mirror", "skel", "var"} {
			if err := os.MkdirAll(filepath.Join(at, folder), 0o755); err != nil {
				return usage{}, err
			}
		}
		first, err := b.steps(quiet(ctx, programs["apt-mirror"], b.path("apt-mirror.list")))
		if err != nil {
			return usage{}, err
		}
		if got, err := filepath.Glob(filepath.Join(at, "mirror", "archive.example", "apt", "pool", "p", "*.deb")); err != nil || len(got) != n {
			return usage{}, fmt.Errorf("apt-mirror: packages: want %d, got %d: %w", n, len(got), err)
		}
		second, err := b.pack(ctx, filepath.Join(at, "mirror"))
		first.add(second)
		return first, err
	})
	return errors.Join(t.measure(), t.print(b.out))
}

// pack runs `tar | zstd` of a folder, and a sync.
func (b *bench) pack(ctx context.Context, folder string) (usage, error) {
	return measure(b.dir, exec.CommandContext(ctx, "tar", "-C", folder, "-cf", "-", "."),
		exec.CommandContext(ctx, "zstd", "-q", "-3", "-T2", "-f", "-o", b.path("packed.tar.zst")))
}

func (b *bench) otherRPMs(ctx context.Context) error {
	programs := b.found("dnf", "createrepo_c", "nfpm")
	if len(programs) < 3 {
		return nil
	}
	const each = 1_000_000 // bytes of a package
	at := b.path("rpms")
	n := max(1, int(min(b.peers, 100)*1e6/each))
	if err := b.makeRPMs(ctx, programs, at, n, each); err != nil {
		return err
	}
	up, err := serve(at, nil)
	if err != nil {
		return err
	}
	defer up.stop()
	t := &table{title: fmt.Sprintf("packages of a repository: %d of %d kB", n, each/1000), runs: b.runs, memory: memoryLimit(int64(n))}
	t.section("from the repository to a file")
	if err := b.ours(ctx, t, "rpms", "kind: rpm, baseurl: "+up.url+", allow-unsigned: true, repo-gpgcheck: false"); err != nil {
		return err
	}
	t.row("dnf reposync, then tar | zstd", against, limit{}, func(int) (usage, error) {
		if err := errors.Join(remove(b.path("reposync")), remove(b.path("dnf"))); err != nil {
			return usage{}, err
		}
		first, err := b.steps(quiet(ctx, programs["dnf"], "-q", "reposync", "--releasever=9", "--repofrompath=bench,"+up.url, "--repoid=bench",
			"--setopt=cachedir="+b.path("dnf"), "--download-path="+b.path("reposync"), "--download-metadata"))
		if err != nil {
			return usage{}, err
		}
		second, err := b.pack(ctx, b.path("reposync"))
		first.add(second)
		return first, err
	})
	return errors.Join(t.measure(), t.print(b.out))
}

// makeRPMs builds n packages of size bytes with nfpm, and the metadata of their repository.
func (b *bench) makeRPMs(ctx context.Context, programs map[string]string, at string, n, size int) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	up := made{size: size}
	for i := range n {
		content, config := b.path("payload"), b.path("nfpm.yaml")
		text := fmt.Sprintf("name: bench-%04d\narch: amd64\nversion: 1.0.0\nmaintainer: Somebody <somebody@example.org>\ndescription: one of many\n"+
			"contents:\n  - {src: %s, dst: /usr/share/bench/%04d}\n", i, content, i)
		if err := errors.Join(os.WriteFile(content, up.content(i), 0o644), os.WriteFile(config, []byte(text), 0o644)); err != nil {
			return err
		}
		if err := quiet(ctx, programs["nfpm"], "package", "-f", config, "-p", "rpm", "-t", at).Run(); err != nil {
			return fmt.Errorf("nfpm: %w", err)
		}
	}
	if err := quiet(ctx, programs["createrepo_c"], "-q", at).Run(); err != nil {
		return fmt.Errorf("createrepo_c: %w", err)
	}
	return nil
}
