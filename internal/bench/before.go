//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gapbundle/gapbundle/internal/peak"
	"github.com/gapbundle/gapbundle/internal/spelling"
)

// compared is a source whose plan, export or both are measured with two programs.
type compared struct {
	set, what    string
	source       string // options of the spec, without the name
	plan, export bool
}

// comparison measures plans and exports with an earlier program and with this one,
// in turn. An aim of 1.00 means no slower and no larger.
type comparison struct{ bench *bench }

func (c comparison) run(ctx context.Context) error {
	b := c.bench
	up, err := serveMade(0)
	if err != nil {
		return err
	}
	defer up.stop()
	small, err := serveMade(1000)
	if err != nil {
		return err
	}
	defer small.stop()
	all, err := c.prepare(up, small)
	if err != nil {
		return err
	}
	if programs := b.found("createrepo_c", "nfpm"); len(programs) == 2 {
		at, n := b.path("rpms"), max(1, b.many/100)
		if err := b.makeRPMs(ctx, programs, at, n, 1000); err != nil {
			return err
		}
		rpms, err := serve(at, nil)
		if err != nil {
			return err
		}
		defer rpms.stop()
		all = append(all, compared{set: "rpms", what: "rpm, " + spelling.Count(n, "package"), source: "kind: rpm, baseurl: " + rpms.url + ", allow-unsigned: true, repo-gpgcheck: false", export: true})
	}
	if err := errors.Join(up.store(b.dir), peak.Forget()); err != nil {
		return err
	}
	t := &table{title: "the earlier program and this one", runs: b.runs, memory: memoryLimit(int64(b.many))}
	t.section("version")
	for _, p := range c.programs() {
		t.row(p.name, p.relation, p.limit, func(int) (usage, error) {
			return measure("", command(ctx, b.dir, p.path, "version"))
		})
	}
	if err := t.measure(); err != nil {
		return err
	}
	for _, of := range all {
		if err := c.measure(ctx, t, of); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", of.what, err), t.print(b.out))
		}
	}
	return t.print(b.out)
}

// prepare makes the upstreams of every source but rpms.
func (c comparison) prepare(up, small *made) ([]compared, error) {
	b := c.bench
	folder := b.path("folder")
	packages, exported, rpms, images := max(3, b.many*3/5), max(1, b.many/20), max(3, b.many*18/25), max(1, b.many/250)
	primary, err := up.makeRepository(rpms)
	names, imagesErr := small.makeImages(images, 3)
	if err := errors.Join(err, imagesErr, makeTiny(folder, max(1, b.many/5)), up.makeArchive(b.path("archive.asc"), packages),
		small.makeArchive(b.path("small.asc"), exported)); err != nil {
		return nil, err
	}
	apt := func(up *made, keyring, more string) string {
		return "kind: apt, url: " + up.url + "/apt, suites: [stable], keyring: " + b.path(keyring) + ", architectures: [amd64], " + more
	}
	rpm := "kind: rpm, baseurl: " + up.url + "/rpm, allow-unsigned: true, repo-gpgcheck: false, "
	selected := func(name string, n int) string { return fmt.Sprintf(name+", "+name, 1, n-1) }
	return []compared{
		{set: "apt-verbatim", what: "apt, " + spelling.Count(packages, "package") + ", verbatim", source: apt(up, "archive.asc", "mode: verbatim"), plan: true},
		{set: "apt-rebuilt", what: "apt, two of " + spelling.Count(packages, "package") + ", rebuilt", source: apt(up, "archive.asc", "packages: ["+selected("package-%07d", packages)+"]"), plan: true},
		{set: "rpm-verbatim", what: fmt.Sprintf("rpm, primary.xml of %d MB, verbatim", primary/1e6), source: rpm + "mode: verbatim", plan: true},
		{set: "rpm-rebuilt", what: "rpm, two of " + spelling.Count(rpms, "package") + ", rebuilt", source: rpm + "architectures: [x86_64], packages: [" + selected("package-%06d", rpms) + "]", plan: true},
		{set: "files", what: fmt.Sprintf("files, a folder of %d", max(1, b.many/5)), source: "kind: files, dir: " + folder, plan: true, export: true},
		{set: "oci", what: fmt.Sprintf("oci, images: %d", images), source: `kind: oci, plain-http: ["` + small.host + `"], images: ["` + strings.Join(names, `", "`) + `"]`, plan: true, export: true},
		{set: "apt", what: "apt, " + spelling.Count(exported, "package"), source: apt(small, "small.asc", "mode: verbatim"), export: true},
	}, nil
}

// program is one of the two that are compared.
type program struct {
	name, path string
	folder     string // of its specs and of what it writes
	relation   relation
	limit      limit
	flags      []string // of plan
}

func (c comparison) programs() []program {
	b := c.bench
	return []program{
		{name: "before", path: b.before, folder: "of-before", relation: baseline},
		{name: "now", path: b.program, folder: "of-now", relation: against, limit: limit{cpu: 1, memory: 1}},
	}
}

// measure measures one source with both programs. Each has its own spec and state.
func (c comparison) measure(ctx context.Context, t *table, of compared) error {
	b := c.bench
	out := b.memory
	if out == "" {
		out = b.dir
	}
	text := "version: 1\nname: " + of.set + "\nsigning: {exporter: " + b.path("keys", "exporter.key") + ", site: " + b.path("keys", "site.key") + "}\nsources:\n  - {name: pool, " + of.source + "}\n"
	for _, p := range c.programs() {
		spec := b.path(p.folder, of.set+".yaml")
		if err := errors.Join(os.MkdirAll(filepath.Dir(spec), 0o755), os.WriteFile(spec, []byte(text), 0o644)); err != nil {
			return err
		}
	}
	each := func(what string, programs []program, run func(p program, spec, to string) (usage, error)) error {
		t.section(what + " " + of.what)
		for _, p := range programs {
			to := filepath.Join(out, p.folder)
			t.row(p.name, p.relation, p.limit, func(int) (usage, error) {
				if err := os.MkdirAll(to, 0o755); err != nil {
					return usage{}, err
				}
				u, err := run(p, b.path(p.folder, of.set+".yaml"), to)
				return u, errors.Join(err, remove(to))
			})
		}
		return t.measure()
	}
	if of.plan {
		// The names that a plan lists are newer than some programs.
		less := c.programs()[1]
		less.name, less.flags = "now, --changes none", []string{"--changes", "none"}
		if err := each("plan of", append(c.programs(), less), func(p program, spec, to string) (usage, error) {
			args := append([]string{"plan", spec, "--state", filepath.Join(to, "state"), "--quiet"}, p.flags...)
			return measure("", command(ctx, b.dir, p.path, args...))
		}); err != nil {
			return err
		}
	}
	if !of.export {
		return nil
	}
	return each("export of", c.programs(), func(p program, spec, to string) (usage, error) {
		return measure("", command(ctx, b.dir, p.path, "export", spec, "--to", filepath.Join(to, "stick"), "--state", filepath.Join(to, "state"), "--quiet"))
	})
}
