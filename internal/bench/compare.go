//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// compare measures both directions of one content and prints the table. Every
// command starts from a clean disk (everything written before is synced) and a
// warm cache of the content, and what it wrote is removed before the next one.
func (b *bench) compare(ctx context.Context, title, set, spec, content string, files int64, inMemory bool) error {
	t := table{title: title, runs: b.runs, limit: memoryLimit(files)}
	t.section("export")
	disk := place{at: b.path("out"), name: ""}
	if err := b.export(ctx, &t, disk, set, spec, content); err != nil {
		return err
	}
	t.section("import")
	if err := b.receive(ctx, &t, disk, set); err != nil {
		return err
	}
	if err := remove(disk.at); err != nil {
		return err
	}
	if inMemory && b.memory != "" {
		shm := place{at: filepath.Join(b.memory, "out"), name: ", in memory", noSync: true}
		t.section("export" + shm.name + " (sync costs nothing there)")
		if err := b.export(ctx, &t, shm, set, spec, content); err != nil {
			return err
		}
		t.section("import" + shm.name)
		if err := b.receive(ctx, &t, shm, set); err != nil {
			return err
		}
		if err := remove(shm.at); err != nil {
			return err
		}
	}
	return t.print(b.out)
}

// place is where a pair of measurements writes.
type place struct {
	at, name string
	noSync   bool // sync is free here: one row instead of two
}

func (p place) archive() string { return filepath.Join(p.at, "archive.tar.zst") }
func (p place) stick() string   { return filepath.Join(p.at, "stick") }

// export keeps the archive and the last bundle, for receive.
func (b *bench) export(ctx context.Context, t *table, p place, set, spec, content string) error {
	if err := os.MkdirAll(p.at, 0o755); err != nil {
		return err
	}
	tar := func(sync string) func(int) (usage, error) {
		return func(int) (usage, error) {
			if err := remove(p.archive()); err != nil {
				return usage{}, err
			}
			return measure(sync,
				exec.CommandContext(ctx, "tar", "-C", content, "-cf", "-", "."),
				exec.CommandContext(ctx, "zstd", "-q", "-3", "-T2", "-f", "-o", p.archive()))
		}
	}
	if err := t.row("tar | zstd -3 -T2", baseline, tar("")); err != nil {
		return err
	}
	if !p.noSync {
		if err := t.row("tar | zstd -3 -T2; sync", against, tar(p.at)); err != nil {
			return err
		}
	}
	state := func(run int) string {
		return b.path(set + "-state-" + filepath.Base(filepath.Dir(p.at)) + strconv.Itoa(run))
	}
	full := func(extra ...string) func(int) (usage, error) {
		return func(run int) (usage, error) {
			for _, old := range []string{p.stick(), state(run)} {
				if err := remove(old); err != nil {
					return usage{}, err
				}
			}
			args := append([]string{"export", spec, "--to", p.stick(), "--state", state(run), "--quiet"}, extra...)
			return measure("", b.gapbundle(ctx, args...))
		}
	}
	if err := t.row("export --no-readback", against, full("--no-readback")); err != nil {
		return err
	}
	if err := t.row("export", against, full()); err != nil {
		return err
	}
	return t.row("export again, nothing new", alone, func(int) (usage, error) {
		return measure("", b.gapbundle(ctx, "export", spec, "--to", p.stick(), "--state", state(b.runs-1), "--quiet"))
	})
}

// receive measures the way back.
func (b *bench) receive(ctx context.Context, t *table, p place, set string) error {
	unpacked := filepath.Join(p.at, "unpacked")
	untar := func(sync string) func(int) (usage, error) {
		return func(int) (usage, error) {
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
	}
	if err := t.row("zstd -d | tar x", baseline, untar("")); err != nil {
		return err
	}
	if !p.noSync {
		if err := t.row("zstd -d | tar x; sync", against, untar(p.at)); err != nil {
			return err
		}
	}
	if err := remove(unpacked); err != nil {
		return err
	}
	mirror := filepath.Join(p.at, "mirror")
	fresh := func() error {
		if err := remove(mirror); err != nil {
			return err
		}
		return b.gapbundle(ctx, "trust", "add", "--mirror", mirror, "--role", "exporter", "--set", set, "--yes", "--quiet",
			b.path("keys", "exporter.pub")).Run()
	}
	if err := t.row("import", against, func(int) (usage, error) {
		if err := fresh(); err != nil {
			return usage{}, fmt.Errorf("trust add: %w", err)
		}
		return measure("", b.gapbundle(ctx, "import", p.stick(), "--to", mirror, "--quiet"))
	}); err != nil {
		return err
	}
	if err := t.row("verify", alone, func(int) (usage, error) {
		return measure("", b.gapbundle(ctx, "verify", p.stick(), "--pub", b.path("keys", "exporter.pub"), "--quiet"))
	}); err != nil {
		return err
	}
	return remove(mirror)
}
