package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed files
var files embed.FS

// content is a file of a package, as nfpm's configuration has it.
type content struct {
	Source string `json:"src,omitempty"`
	Target string `json:"dst"`
	Type   string `json:"type,omitempty"`
	Info   *info  `json:"file_info,omitempty"`
}

type info struct {
	Mode int `json:"mode"`
}

// installed returns the files of internal/release/files that a package has, and where it
// has them.
func installed() map[string]map[string]string {
	const units = "/usr/lib/systemd/system/"
	return map[string]map[string]string{
		"gapbundle": {
			"gapbundle-export.service": units, "gapbundle-export.timer": units, "export.env": "/etc/gapbundle/",
		},
		"gapbundle-inside": {
			"gapbundle-serve.service": units, "gapbundle-import.service": units, "gapbundle-import.path": units,
			"serve.env": "/etc/gapbundle/", "import.env": "/etc/gapbundle/",
		},
	}
}

// packages makes a deb and an rpm package of each program for Linux.
func (r *release) packages(ctx context.Context, systems []string) error {
	for _, system := range systems {
		goos, goarch, _ := strings.Cut(system, "/")
		if goos != "linux" {
			continue
		}
		for _, name := range names() {
			config, err := r.config(ctx, name, goarch)
			if err != nil {
				return err
			}
			for _, format := range []string{"deb", "rpm"} {
				fmt.Fprintln(r.log, "packing", name, goarch, format)
				dir := filepath.Join(r.dir, map[string]string{"deb": "apt", "rpm": "rpm"}[format])
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return err
				}
				env := []string{"SOURCE_DATE_EPOCH=" + fmt.Sprint(r.date.Unix()), "NFPM_RPM_PASSPHRASE=" + r.passphrase}
				if _, err := output(ctx, env, tool("nfpm"), "package", "--config", config, "--packager", format, "--target", dir+"/"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// config writes the configuration of a package, and the files that it names.
func (r *release) config(ctx context.Context, name, goarch string) (string, error) {
	work := filepath.Join(r.work, name+"_"+goarch)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return "", err
	}
	contents, err := r.contents(ctx, name, goarch, work)
	if err != nil {
		return "", err
	}
	scripts := map[string]string{}
	for script, key := range map[string]string{"postinst.sh": "postinstall", "postrm.sh": "postremove"} {
		if scripts[key], err = unpackFile(work, script); err != nil {
			return "", err
		}
	}
	what := "It gathers what a disconnected site needs into signed volumes on removable media."
	if name == "gapbundle-inside" {
		what = "It verifies what arrived on removable media and publishes it as a static mirror."
	}
	rpm := map[string]any{"summary": "repositories, images and files for machines without Internet"}
	if r.signer != nil {
		key, err := filepath.Abs(r.key)
		if err != nil {
			return "", err
		}
		rpm["signature"] = map[string]string{"key_file": key}
	}
	config, err := json.MarshalIndent(map[string]any{
		"name": name, "arch": goarch, "platform": "linux",
		// A dash ends the version of a package, and a tilde sorts before a release.
		"version": strings.ReplaceAll(r.version, "-", "~"), "version_schema": "none", "release": "1",
		"maintainer": "the gapbundle developers <gapbundle@gapbundle.example>", "vendor": "gapbundle", "homepage": "https://github.com/gapbundle/gapbundle",
		"description": "repositories, images and files for machines without Internet\n" + what,
		"license":     "Apache-2.0", "section": "admin", "priority": "optional", "mtime": r.date.Format("2006-01-02T15:04:05Z"),
		"contents": contents, "rpm": rpm, "overrides": map[string]any{"deb": map[string]any{"scripts": scripts}},
	}, "", "  ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(work, "nfpm.yaml")
	return file, os.WriteFile(file, config, 0o600)
}

// contents returns the files of a package: the program, its manual page and completions,
// which it prints itself, its units with their settings, and the licence.
func (r *release) contents(ctx context.Context, name, goarch, work string) ([]content, error) {
	man, err := r.print(ctx, name, "man")
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level exists
	if _, err := z.Write(man); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	made := map[string][]byte{"/usr/share/man/man1/" + name + ".1.gz": packed.Bytes()}
	for shell, target := range map[string]string{
		"bash": "/usr/share/bash-completion/completions/" + name,
		"fish": "/usr/share/fish/vendor_completions.d/" + name + ".fish",
		"zsh":  "/usr/share/zsh/site-functions/_" + name,
	} {
		if made[target], err = r.print(ctx, name, "completion", shell); err != nil {
			return nil, err
		}
		made[target] = bytes.ReplaceAll(made[target], []byte("gapbundle"), []byte(name))
	}
	all := []content{
		{r.program(name, "linux", goarch), "/usr/bin/" + name, "", &info{0o755}},
		{"LICENSE", "/usr/share/doc/" + name + "/copyright", "", &info{0o644}},
		{"", "/etc/gapbundle", "dir", &info{0o755}},
	}
	for target, text := range made {
		file := filepath.Join(work, strings.ReplaceAll(target, "/", "_"))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		all = append(all, content{file, target, "", &info{0o644}})
	}
	for file, folder := range installed()[name] {
		path, err := unpackFile(work, file)
		if err != nil {
			return nil, err
		}
		c := content{path, folder + file, "", &info{0o644}}
		if strings.HasSuffix(file, ".env") {
			c.Type = "config|noreplace"
		}
		if file == "export.env" { // it has passphrases
			c.Info = &info{0o600}
		}
		all = append(all, c)
	}
	for file, target := range map[string]string{"sysusers.conf": "/usr/lib/sysusers.d/" + name + ".conf", "tmpfiles.conf": "/usr/lib/tmpfiles.d/" + name + ".conf"} {
		path, err := unpackFile(work, file)
		if err != nil {
			return nil, err
		}
		all = append(all, content{path, target, "", &info{0o644}})
	}
	return all, nil
}

// print returns what the program of this machine prints.
func (r *release) print(ctx context.Context, name string, args ...string) ([]byte, error) {
	out, err := output(ctx, []string{"GOFLAGS="}, "go", append([]string{"run", "-trimpath", "-ldflags", "-s -w", "./cmd/" + name}, args...)...)
	return []byte(out), err
}

// unpackFile writes a file of internal/release/files into a folder.
func unpackFile(dir, name string) (string, error) {
	b, err := files.ReadFile("files/" + name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, b, 0o600)
}
