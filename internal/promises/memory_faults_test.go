//go:build linux && faults

package promises

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// P10: peak memory of export and import is at most 160 MiB and 64 bytes for
// each distinct blob, however many files there are.
func TestMemoryOfTinyFiles(t *testing.T) {
	count := 30_000
	if text := os.Getenv(tinyFilesEnv); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	s := newSite(t, map[string]string{"first": "first"})
	for dir := range (count + 999) / 1000 {
		s.check(os.Mkdir(s.path(fmt.Sprintf("data/%04d", dir)), 0o755))
		for i := range min(1000, count-1000*dir) {
			f := s.path(fmt.Sprintf("data/%04d/%03d", dir, i))
			s.check(os.WriteFile(f, fmt.Appendf(nil, "tiny %d", 1000*dir+i), 0o644))
		}
	}
	s.mirror("mirror")
	bound := int64(160<<20) + 64*int64(count)
	for _, args := range [][]string{{"export", "--to", "usb"}, {"verify", "usb", "--mirror", "mirror"}, {"import", "usb", "--to", "mirror"}, {"check", "mirror"}} {
		began := time.Now()
		r := s.ok(append(args, "--quiet")...)
		peak := r.usage.Maxrss << 10
		t.Logf("%s of %d files: %.1f MiB at most (bound %.1f), %.1f s, %.1f s of processors", args[0], count,
			float64(peak)/(1<<20), float64(bound)/(1<<20), time.Since(began).Seconds(),
			(time.Duration(r.usage.Utime.Nano()) + time.Duration(r.usage.Stime.Nano())).Seconds())
		if peak > bound {
			t.Errorf("%s: %d bytes, at most %d", args[0], peak, bound)
		}
	}
	s.arrived(count)
}

// arrived compares the files of the mirror with those that were exported.
func (s *site) arrived(count int) {
	s.t.Helper()
	var seen int
	s.check(filepath.WalkDir(s.path("data"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		rel, err := filepath.Rel(s.path("data"), path)
		if err != nil {
			return err
		}
		is, err := os.ReadFile(filepath.Join(s.path("mirror/current/files/data"), rel))
		if err != nil {
			return err
		}
		want, err := os.ReadFile(path)
		if err == nil && string(is) != string(want) {
			err = fmt.Errorf("%s differs in the mirror", rel)
		}
		return err
	}))
	if seen != count+1 {
		s.t.Errorf("%d files, want %d", seen, count+1)
	}
}

// A medium cannot make the program take memory: a root, a signature file,
// sums, a catalogue and a volume without end, or signatures without number.
func TestMemoryOfHostileMedia(t *testing.T) {
	s := carried(t)
	for name, spoil := range map[string]string{
		"root":       "truncate -s 3G medium/site-000002/bundle.json",
		"signature":  "truncate -s 3G medium/site-000002/bundle.0000000000000000.sigstore.json",
		"signatures": "cd medium/site-000002 && for i in $(seq 1000 1400); do echo $i >bundle.000000000000$i.sigstore.json; done",
		"sums":       "truncate -s 3G medium/site-000002/SHA256SUMS",
		"catalogue":  "truncate -s 3G medium/site-000002/catalog-01.tar.zst",
		"volume":     "truncate -s 3G medium/site-000002/volume-00001.tar.zst",
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: s.dir, env: s.env}
			s.copy("good", "medium")
			s.shell(spoil)
			r := s.run("verify", "medium", "--mirror", "mirror")
			if r.code != 0 && r.code != 3 && r.code != 4 {
				t.Errorf("exit %d\n%s", r.code, r.stderr)
			}
			if peak := r.usage.Maxrss << 10; peak > 160<<20 {
				t.Errorf("%d bytes of memory", peak)
			}
			if n := len(r.stdout) + len(r.stderr); n > 1<<20 {
				t.Errorf("%d bytes of output", n)
			}
			t.Logf("exit %d, %d MiB, %s", r.code, r.usage.Maxrss>>10, r.stderr)
		})
	}
}
