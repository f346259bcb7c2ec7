//go:build clients

package main

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bothArchitectures looks at the programs and packages of a release: each is of its architecture,
// links no library, and the packages of the two architectures have the same files.
func bothArchitectures(t *testing.T, dir string) {
	query := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), name, args...).Output()
		if err != nil {
			t.Fatalf("%s %v: %v", name, args, err)
		}
		return strings.TrimSpace(string(out))
	}
	single := func(pattern string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %q %v", pattern, found, err)
		}
		return found[0]
	}
	for _, name := range names() {
		files := map[string]bool{}
		for _, a := range []struct {
			goarch, rpm string
			machine     elf.Machine
		}{{"amd64", "x86_64", elf.EM_X86_64}, {"arm64", "aarch64", elf.EM_AARCH64}} {
			program, err := elf.Open(filepath.Join(dir, name+"_linux_"+a.goarch))
			if err != nil {
				t.Fatal(err)
			}
			if libraries, err := program.ImportedLibraries(); program.Machine != a.machine || len(libraries) != 0 || err != nil {
				t.Errorf("%s for %s: %v with the libraries %q, %v", name, a.goarch, program.Machine, libraries, err)
			}
			if err := program.Close(); err != nil {
				t.Error(err)
			}
			deb, rpm := single("apt/"+name+"_*_"+a.goarch+".deb"), single("rpm/"+name+"-[0-9]*."+a.rpm+".rpm")
			if got := query("dpkg-deb", "--field", deb, "Architecture"); got != a.goarch {
				t.Errorf("%s: architecture %s", deb, got)
			}
			if got := query("rpm", "-qp", "--nosignature", "--qf", "%{ARCH}", rpm); got != a.rpm {
				t.Errorf("%s: architecture %s", rpm, got)
			}
			for _, list := range []string{
				regexp.MustCompile(`(?m)^.* \.(/\S*)$`).ReplaceAllString(query("dpkg-deb", "--contents", deb), "$1"),
				query("rpm", "-qpl", "--nosignature", rpm),
			} {
				lines := slices.DeleteFunc(strings.Split(list, "\n"), func(s string) bool { return strings.HasSuffix(s, "/") || s == "/etc/gapbundle" })
				slices.Sort(lines)
				files[strings.Join(lines, "\n")] = true
			}
		}
		if len(files) != 1 {
			t.Errorf("%s: the packages have %d lists of files:\n%v", name, len(files), files)
		}
	}
}

// unattended runs the commands of the installed units, with the installed settings: an export,
// one that finds nothing new, an import that nobody has allowed, one that is allowed, and a second one of the
// same. Only the folders of the settings are moved to below root.
func unattended(t *testing.T, root string) {
	t.Helper()
	state, mirror := filepath.Join(root, "var/lib/gapbundle"), filepath.Join(root, "srv/mirror")
	moved := strings.NewReplacer("/var/lib/gapbundle", state, "/srv/mirror", mirror, "OPTIONS=", "OPTIONS=--json", "_PASSPHRASE=", "_PASSPHRASE=x")
	for _, name := range []string{"export.env", "import.env"} {
		file := filepath.Join(root, "etc/gapbundle", name)
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(moved.Replace(string(before))), 0o600); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := os.WriteFile(file, before, 0o600); err != nil {
				t.Error(err)
			}
		}()
	}
	for name, content := range map[string]string{
		"export/gapbundle.yaml": "version: 1\nname: tools\nsigning: {exporter: keys/exporter.key}\nsources: [{name: data, kind: files, dir: data}]\n",
		"export/data/one":       "carried by units", "incoming/.keep": "", "outgoing/.keep": "",
	} {
		file := filepath.Join(state, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(mirror, 0o755); err != nil { // as docs/install.md has it
		t.Fatal(err)
	}
	u := installedUnits{t, root}
	u.run(0, exec.CommandContext(t.Context(), filepath.Join(root, "usr/bin/gapbundle"), "keygen", "--out", filepath.Join(state, "export/keys")))
	first := u.start(0, "gapbundle-export.service")
	if first["set"] != "tools" || first["sequence"] != 1.0 {
		t.Errorf("the export prints %v", first)
	}
	if again := u.start(0, "gapbundle-export.service"); again["nothing"] != true {
		t.Errorf("the export of nothing new prints %v", again)
	}
	if err := os.Rename(filepath.Join(state, "outgoing/tools-000001"), filepath.Join(state, "incoming/tools-000001")); err != nil {
		t.Fatal(err)
	}
	u.start(4, "gapbundle-import.service")
	u.run(0, exec.CommandContext(t.Context(), filepath.Join(root, "usr/bin/gapbundle-inside"), "trust", "add", "--mirror", mirror,
		"--role", "exporter", "--set", "tools", "--yes", filepath.Join(state, "export/keys/exporter.pub")))
	u.start(0, "gapbundle-import.service")
	u.start(0, "gapbundle-import.service")
	if got, err := os.ReadFile(filepath.Join(mirror, "current/files/data/one")); err != nil || string(got) != "carried by units" {
		t.Errorf("the mirror has %q, %v", got, err)
	}
}

// installedUnits runs the commands of the units that are installed in a root, as systemd does it.
type installedUnits struct {
	t    *testing.T
	root string
}

// command returns the ExecStart of a unit: ${NAME} is one word, and $NAME as many as it has (systemd.service, "Command lines").
func (u installedUnits) command(name string) *exec.Cmd {
	u.t.Helper()
	unit, err := os.ReadFile(filepath.Join(u.root, "usr/lib/systemd/system", name))
	if err != nil {
		u.t.Fatal(err)
	}
	value := func(text []byte, key string) string {
		found := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindSubmatch(text)
		if found == nil {
			u.t.Fatalf("%s: no %s in\n%s", name, key, text)
		}
		return string(found[1])
	}
	settings, err := os.ReadFile(filepath.Join(u.root, value(unit, "EnvironmentFile")))
	if err != nil {
		u.t.Fatal(err)
	}
	var words []string
	for _, word := range strings.Fields(value(unit, "ExecStart")) {
		key, variable := strings.CutPrefix(word, "$")
		switch {
		case !variable:
			words = append(words, word)
		case strings.HasPrefix(key, "{"):
			words = append(words, value(settings, strings.Trim(key, "{}")))
		default:
			words = append(words, strings.Fields(value(settings, key))...)
		}
	}
	cmd := exec.CommandContext(u.t.Context(), filepath.Join(u.root, words[0]), words[1:]...)
	cmd.Dir = u.root
	cmd.Env = regexp.MustCompile(`(?m)^[A-Z_]+=.*$`).FindAllString(string(settings), -1)
	return cmd
}

// start runs a unit that ends, and returns the object that it prints on standard output, nil if there is none.
func (u installedUnits) start(code int, name string) (printed map[string]any) {
	u.t.Helper()
	out := u.run(code, u.command(name))
	if code != 0 {
		return nil
	}
	if err := json.Unmarshal(out, &printed); err != nil {
		u.t.Fatalf("%s prints %q: %v", name, out, err)
	}
	return printed
}

// run runs a command and compares its exit code.
func (u installedUnits) run(code int, cmd *exec.Cmd) []byte {
	u.t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.Env = append(cmd.Env, "HOME="+u.root, "GAPBUNDLE_PASSPHRASE=x")
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		u.t.Fatalf("%v: %v, want exit code %d\n%s%s", cmd.Args, err, code, out.Bytes(), stderr.Bytes())
	}
	return out.Bytes()
}
