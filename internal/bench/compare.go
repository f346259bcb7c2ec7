//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// aims are those of the comparison's rows.
type aims struct {
	export, noReadback, importing limit
	again, verify                 limit
}

// compare measures both directions of one content. Every command starts from a clean disk
// (everything written before is synced) and a warm cache of the content, and what it
// wrote is removed before the next one.
func (b *bench) compare(ctx context.Context, t *table, set, spec, content string, p place, a aims) error {
	if err := os.MkdirAll(p.at, 0o755); err != nil {
		return err
	}
	t.section("export" + p.name)
	b.export(ctx, t, p, set, spec, content, a)
	if err := t.measure(); err != nil {
		return err
	}
	t.section("import" + p.name)
	b.receive(ctx, t, p, set, a)
	if err := t.measure(); err != nil {
		return err
	}
	return remove(p.at)
}

// place is where a pair of measurements writes.
type place struct {
	at, name string
	noSync   bool // sync is free here: one row instead of two
}

func (p place) archive() string { return filepath.Join(p.at, "archive.tar.zst") }
func (p place) stick() string   { return filepath.Join(p.at, "stick") }

// reference adds a general tool's row: where sync costs something with it, which is what
// export and import do, and once more without.
func (p place) reference(t *table, what string, run func(sync string) func(int) (usage, error)) {
	if p.noSync {
		t.row(what, baseline, limit{}, run(""))
		return
	}
	t.row(what+"; sync", baseline, limit{}, run(p.at))
	t.row(what, against, limit{}, run(""))
}

// export keeps the archive and the last bundle, for receive.
func (b *bench) export(ctx context.Context, t *table, p place, set, spec, content string, a aims) {
	p.reference(t, "tar | zstd -3 -T2", func(sync string) func(int) (usage, error) {
		return func(int) (usage, error) {
			if err := remove(p.archive()); err != nil {
				return usage{}, err
			}
			return measure(sync,
				exec.CommandContext(ctx, "tar", "-C", content, "-cf", "-", "."),
				exec.CommandContext(ctx, "zstd", "-q", "-3", "-T2", "-f", "-o", p.archive()))
		}
	})
	b.byHand(ctx, t, p)
	state := func(round int) string {
		return b.path(set + "-state-" + filepath.Base(filepath.Dir(p.at)) + strconv.Itoa(round))
	}
	full := func(extra ...string) func(int) (usage, error) {
		return func(round int) (usage, error) {
			for _, old := range []string{p.stick(), state(round)} {
				if err := remove(old); err != nil {
					return usage{}, err
				}
			}
			args := append([]string{"export", spec, "--to", p.stick(), "--state", state(round), "--quiet"}, extra...)
			return measure("", b.gapbundle(ctx, args...))
		}
	}
	t.row("export --no-readback", against, a.noReadback, full("--no-readback"))
	t.row("export --compress fast", against, limit{}, full("--compress", "fast"))
	t.row("export", against, a.export, full())
	t.row("export again, nothing new", alone, a.again, func(round int) (usage, error) {
		return measure("", b.gapbundle(ctx, "export", spec, "--to", p.stick(), "--state", state(round), "--quiet"))
	})
}

// byHand adds what people do without a tool for it: download everything, then pack it.
// It needs curl, and a list of URLs.
func (b *bench) byHand(ctx context.Context, t *table, p place) {
	curl, err := exec.LookPath("curl")
	if err != nil || b.curlConfig == "" {
		return
	}
	got := filepath.Join(p.at, "by-hand")
	t.row("curl, then tar | zstd", against, limit{}, func(int) (usage, error) {
		if err := remove(got); err != nil {
			return usage{}, err
		}
		if err := os.Mkdir(got, 0o755); err != nil {
			return usage{}, err
		}
		download := exec.CommandContext(ctx, curl, "-sS", "-f", "--parallel", "--parallel-max", "6", "--create-dirs", "-K", b.curlConfig)
		download.Dir = got
		first, err := measure("", download)
		if err != nil {
			return usage{}, err
		}
		second, err := measure("",
			exec.CommandContext(ctx, "tar", "-C", got, "-cf", "-", "."),
			exec.CommandContext(ctx, "zstd", "-q", "-3", "-T2", "-f", "-o", filepath.Join(p.at, "by-hand.tar.zst")))
		first.add(second)
		return first, err
	})
}

// receive measures the way back.
func (b *bench) receive(ctx context.Context, t *table, p place, set string, a aims) {
	unpacked, mirror := filepath.Join(p.at, "unpacked"), filepath.Join(p.at, "mirror")
	p.reference(t, "zstd -d | tar x", func(sync string) func(int) (usage, error) {
		return func(int) (usage, error) {
			if err := remove(mirror); err != nil {
				return usage{}, err
			}
			if err := remove(unpacked); err != nil {
				return usage{}, err
			}
			if err := os.Mkdir(unpacked, 0o755); err != nil {
				return usage{}, err
			}
			return measure(sync,
				exec.CommandContext(ctx, "zstd", "-q", "-d", "-c", p.archive()),
				exec.CommandContext(ctx, "tar", "-C", unpacked, "-xf", "-"))
		}
	})
	t.row("import", against, a.importing, func(int) (usage, error) {
		if err := remove(unpacked); err != nil {
			return usage{}, err
		}
		if err := remove(mirror); err != nil {
			return usage{}, err
		}
		if err := b.trust(ctx, mirror, set); err != nil {
			return usage{}, err
		}
		return measure("", b.gapbundle(ctx, "import", p.stick(), "--to", mirror, "--quiet"))
	})
	t.row("verify", alone, a.verify, func(int) (usage, error) {
		return measure("", b.gapbundle(ctx, "verify", p.stick(), "--pub", b.path("keys", "exporter.pub"), "--quiet"))
	})
}

// trust makes a mirror that takes the bundles of a set.
func (b *bench) trust(ctx context.Context, mirror, set string) error {
	cmd := b.gapbundle(ctx, "trust", "add", "--mirror", mirror, "--role", "exporter", "--set", set, "--yes", "--quiet", b.path("keys", "exporter.pub"))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("trust add: %w", err)
	}
	return nil
}

// The aims of the project, for two cores.
var (
	aimsInMemory = aims{
		export: limit{wall: 1.25, cpu: 1.35}, noReadback: limit{wall: 1.15}, importing: limit{wall: 1.1}, verify: limit{rate: 1.3e9},
	}
	aimsOnDisk = aims{export: limit{wall: 1.6}, importing: limit{wall: 1.0}}
)

// aimsOfFiles returns the aims for n tiny files from a folder.
func aimsOfFiles(n int) aims {
	return aims{
		export: limit{cpu: 2.0}, importing: limit{cpu: 1.6},
		again: limit{span: time.Duration(n) * 3 * time.Second / 100_000},
	}
}
