package promises

import (
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
)

// P17: expiry is judged by the later of the local clock and the set's floor;
// neither a clock nor a bundle from the future blocks a set for ever, and
// when a bundle says it was made refuses nothing.
func TestClocks(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	s := &site{t: t, dir: t.TempDir()}
	e := bundletest.New(t, "site")
	s.write("exporter.pub", string(e.Signer.PublicPEM()))
	export := func(medium, content string, created time.Time, lasts time.Duration) string {
		s.shell("mkdir -p " + medium)
		e.Created = created
		expires := created.Add(lasts)
		made := e.Export(t, []bundletest.Repository{{Name: "data", Mount: "data", Files: map[string]string{"index": content}}},
			bundletest.Options{Targets: []string{s.path(medium)}, Expires: &expires, Full: true})
		return made.Dirs[0]
	}
	const day = 24 * time.Hour
	expired := export("a", "1", now.Add(-10*day), 9*day)
	old := export("b", "2", now.Add(-3000*day), 4000*day)
	future := export("c", "3", now.Add(20*365*day), day)
	soon := export("d", "4", now, 200*day)
	late := export("e", "5", now, 30*day)

	s.ok("trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", "site", "--yes", "exporter.pub")
	s.fails(4, []string{"expired", "judged at", "--accept-expired"}, "import", expired, "--to", "mirror")
	s.ok("import", expired, "--to", "mirror", "--accept-expired")
	if r := s.ok("history", "mirror"); !strings.Contains(r.stdout, "expired") {
		t.Errorf("the override is not in the journal:\n%s", r.stdout)
	}
	s.ok("import", old, "--to", "mirror") // made long ago, and valid

	// From twenty years ahead: shown, accepted, and the floor moves by 90 days
	// at most, so that what is made today still passes.
	r := s.ok("verify", future, "--mirror", "mirror")
	if !strings.Contains(r.stdout, "clock") && !strings.Contains(r.stdout, "made ") {
		t.Errorf("the difference is not shown:\n%s", r.stdout)
	}
	s.ok("import", future, "--to", "mirror")
	s.ok("import", soon, "--to", "mirror")
	if got := s.read("mirror/current/data/index"); got != "4" {
		t.Errorf("served is %q", got)
	}

	// A local clock that lags helps nobody: the floor that the operator set counts.
	s.ok("trust", "set-time", "--mirror", "mirror", now.Add(60*day).Format(time.RFC3339))
	s.fails(4, []string{"expired", "judged at " + now.Add(60*day).Format(time.RFC3339)}, "import", late, "--to", "mirror")
	if got := s.read("mirror/current/data/index"); got != "4" {
		t.Errorf("served is %q", got)
	}
}

// P22: every name and size that is written to a medium fits FAT32, exFAT and
// UDF, whatever the set and the files are called.
func TestNamesAndSizesOfMedia(t *testing.T) {
	s := newSite(t, map[string]string{"CON": "a", "a:b*c?\"<>|": "b", strings.Repeat("n", 255): "c", "trailing.": "d", "trailing ": "e", "A": "upper", "a": "lower"})
	set := strings.Repeat("s", 64)
	spec := strings.Replace(s.read("gapbundle.yaml"), "name: site", "name: "+set, 1)
	for bundle.CheckLabel(set) != nil {
		set = set[1:]
	}
	s.write("gapbundle.yaml", strings.Replace(spec, "name: "+strings.Repeat("s", 64), "name: "+set, 1))
	s.export("usb", "--volume-size", "1MiB")
	for name, content := range s.contents("usb") {
		if int64(len(content)) >= bundle.MaxFileSize {
			t.Errorf("%s: %d bytes", name, len(content))
		}
		if depth := strings.Count(name, "/"); depth != 2 {
			t.Errorf("%s: %d levels", name, depth)
		}
		for part := range strings.SplitSeq(name[1:], "/") {
			plain := strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
			if !plain || len(part) > 127 || strings.HasSuffix(part, ".") || reserved(part) {
				t.Errorf("%q is no name for FAT32, exFAT and UDF", part)
			}
		}
	}
	seen := map[string]string{}
	for name := range s.contents("usb") {
		if other := seen[strings.ToLower(name)]; other != "" {
			t.Errorf("%s and %s are one where case does not count", name, other)
		}
		seen[strings.ToLower(name)] = name
	}
	// The largest file that a volume may be asked for, and one more.
	s.ok("export", "--to", "usb", "--full", "--dry-run", "--volume-size", "4294967295")
	s.fails(2, []string{"volume size"}, "export", "--to", "usb", "--full", "--dry-run", "--volume-size", "4294967296")
	s.fails(2, []string{"volume size"}, "export", "--to", "usb", "--full", "--dry-run", "--volume-size", "1048575")
	for _, name := range []string{"con", "nul", "com1", "UPPER", "a/b", "a b", ".hidden", "dot.", "ü"} {
		s.write("gapbundle.yaml", strings.Replace(spec, "name: "+strings.Repeat("s", 64), "name: '"+name+"'", 1))
		if name == "con" || name == "nul" || name == "com1" {
			continue // never alone: a number follows
		}
		s.fails(2, []string{"name"}, "plan")
	}
}

// reserved reports whether Windows keeps the name for a device.
func reserved(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	switch stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT")) && stem[3] >= '0' && stem[3] <= '9'
}
