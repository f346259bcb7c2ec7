//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// unchanged measures what a month without news costs: a folder, a list of URLs and an archive
// of apt that were exported before. The list's first export shows how much memory it takes.
func (b *bench) unchanged(ctx context.Context) error {
	fmt.Fprintf(b.out, "\nmaking sources, files: %d\n", b.many)
	if err := makeTiny(b.path("many"), b.many); err != nil {
		return err
	}
	up, err := serveMade(0)
	if err != nil {
		return err
	}
	defer up.stop()
	half, packages := b.many/2, b.many*3/5
	if err := up.makeArchive(b.path("archive.asc"), packages); err != nil {
		return err
	}
	if err := errors.Join(
		os.WriteFile(b.path("half.txt"), up.list(half), 0o644),
		os.WriteFile(b.path("many.txt"), up.list(b.many), 0o644),
	); err != nil {
		return err
	}
	t := &table{title: "nothing new", runs: b.runs, memory: memoryLimit(int64(b.many))}
	t.section("what was exported before is exported again")
	// The aims are for the numbers by default; a smaller part still opens the signing key.
	each := func(n int, of time.Duration, whole int) limit {
		if n < whole {
			return limit{}
		}
		return limit{span: of * time.Duration(n) / time.Duration(whole)}
	}
	for _, r := range []struct {
		set, what, source string
		first             limit // of the first export
		again             limit
	}{
		{"folder", fmt.Sprintf("a folder of %d", b.many), "kind: files, dir: many", limit{}, each(b.many, 3*time.Second, 100_000)},
		{"urls", fmt.Sprintf("a list of URLs: %d", b.many), "kind: files, list: many.txt", limit{}, each(b.many, 8*time.Second, 100_000)},
		{"half", fmt.Sprintf("a list of URLs: %d", half), "kind: files, list: half.txt", limit{rss: 130 << 20}, limit{rss: 130 << 20}},
		{"apt", fmt.Sprintf("apt, packages: %d", packages), "kind: apt, url: " + up.url + "/apt, suites: [stable], keyring: archive.asc, architectures: [amd64]",
			limit{}, each(packages, 2500*time.Millisecond, 60_000)},
	} {
		spec, stick, state := b.path(r.set+".yaml"), b.path(r.set+"-stick"), b.path(r.set+"-state")
		text := "version: 1\nname: " + r.set + "\nsigning: {exporter: keys/exporter.key}\nsources:\n  - {name: pool, " + r.source + "}\n"
		if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
			return err
		}
		export := func() (usage, error) {
			return measure("", b.gapbundle(ctx, "export", spec, "--to", stick, "--state", state, "--quiet"))
		}
		t.row(r.what+", first", alone, r.first, func(int) (usage, error) {
			if err := errors.Join(remove(stick), remove(state)); err != nil {
				return usage{}, err
			}
			return export()
		})
		t.row(r.what+", nothing new", alone, r.again, func(int) (usage, error) { return export() })
	}
	return errors.Join(t.measure(), t.print(b.out), remove(b.path("many")))
}
