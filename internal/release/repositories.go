package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
)

// aptRepository makes a flat repository of the deb packages: its suite is "./".
func (r *release) aptRepository(ctx context.Context, _ []string) error {
	dir := filepath.Join(r.dir, "apt")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil // no system of the release has packages
	}
	packages, err := outputIn(ctx, dir, nil, "apt-ftparchive", "packages", ".")
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, packages); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	var release bytes.Buffer
	fmt.Fprintf(&release, "Origin: gapbundle\nLabel: gapbundle\nSuite: stable\nCodename: stable\nArchitectures: amd64 arm64\nDate: %s\nSHA256:\n", r.date.Format("Mon, 02 Jan 2006 15:04:05 UTC"))
	for name, content := range map[string][]byte{"Packages": []byte(packages), "Packages.gz": packed.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"Packages", "Packages.gz"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&release, " %x %d %s\n", sha256.Sum256(content), len(content), name)
	}
	if err := os.WriteFile(filepath.Join(dir, "Release"), release.Bytes(), 0o644); err != nil || r.signer == nil {
		return err
	}
	signer, err := pgpkeys.NewSigner(r.signer)
	if err != nil {
		return err
	}
	signed, err := signer.ClearSign(release.Bytes(), r.date)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "InRelease"), signed, 0o644)
}

// rpmRepository makes the repodata of the rpm packages.
func (r *release) rpmRepository(ctx context.Context, _ []string) error {
	dir := filepath.Join(r.dir, "rpm")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	revision := fmt.Sprint(r.date.Unix())
	_, err := output(ctx, []string{"SOURCE_DATE_EPOCH=" + revision}, "createrepo_c", "--quiet", "--no-database", "--simple-md-filenames",
		"--set-timestamp-to-revision", "--revision", revision, dir)
	if err != nil || r.signer == nil {
		return err
	}
	return r.detach(filepath.Join(dir, "repodata", "repomd.xml"))
}

// detach writes an armored signature next to a file.
func (r *release) detach(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	signer, err := pgpkeys.NewSigner(r.signer)
	if err != nil {
		return err
	}
	signature, err := signer.Detach(content, r.date)
	if err != nil {
		return err
	}
	return os.WriteFile(file+".asc", signature, 0o644)
}

// sums writes SHA256SUMS of everything, and signs it.
func (r *release) sums(context.Context, []string) error {
	if r.signer != nil {
		public, err := pgpkeys.Armor(openpgp.EntityList{r.signer})
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.dir, r.keyName), public, 0o644); err != nil {
			return err
		}
	}
	var lines []string
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(r.dir, path)
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(content), filepath.ToSlash(name)))
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	file := filepath.Join(r.dir, "SHA256SUMS")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o644); err != nil || r.signer == nil {
		return err
	}
	return r.detach(file)
}
