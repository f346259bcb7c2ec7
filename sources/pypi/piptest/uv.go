package piptest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// UVPlatforms returns uv's names of the platforms that tests use.
func UVPlatforms() map[string]string {
	return map[string]string{
		"manylinux_2_28_x86_64": "x86_64-manylinux_2_28", "manylinux_2_28_aarch64": "aarch64-manylinux_2_28", "manylinux2014_x86_64": "x86_64-manylinux2014",
		"manylinux2014_aarch64": "aarch64-manylinux2014", "musllinux_1_2_x86_64": "x86_64-unknown-linux-musl",
	}
}

// CompileOptions are a question for uv.
type CompileOptions struct {
	Index string
	// Python is a version, Platform one of uv's names of platforms.
	Python, Platform          string
	PreReleases               bool
	Requirements, Constraints []string
	// Cache is a folder where what was read is kept; "": none, the index is read again.
	Cache string
}

// Compile returns the versions that "uv pip compile" chooses of wheels, "name==version"
// sorted and divided by blanks.
func Compile(t testing.TB, o CompileOptions) (chosen, output string) {
	t.Helper()
	args := []string{
		"pip", "compile", "--no-header", "--no-annotate", "--strip-extras", "--only-binary", ":all:", "--color", "never", "--quiet", "--system-certs",
		"--python", Python(t, "uv"), "--default-index", o.Index, "--python-version", o.Python, "--python-platform", o.Platform, "-",
	}
	if o.Cache != "" {
		args = append(args, "--cache-dir", o.Cache)
	} else {
		args = append(args, "--no-cache")
	}
	if o.PreReleases {
		args = append(args, "--prerelease", "allow")
	}
	if len(o.Constraints) > 0 {
		file := filepath.Join(t.TempDir(), "constraints.txt")
		if err := os.WriteFile(file, []byte(strings.Join(o.Constraints, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--constraints", file)
	}
	cmd := exec.Command(Program(t, "uv", "uv"), args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr, cmd.Env = strings.NewReader(strings.Join(o.Requirements, "\n")), &stderr, Clean(t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		return "", stderr.String()
	}
	names := strings.Fields(string(out))
	slices.Sort(names)
	return strings.Join(names, " "), stderr.String()
}
