//go:build clients

package all

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/systemtest"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// deb builds a package with a file of its own name and version, and more files. fields are
// further ones of its control file, the architecture among them.
func (w *internet) deb(dir, name, version, fields string, files map[string]string) {
	w.Helper()
	work := filepath.Join(w.TempDir(), "package")
	w.Write(filepath.Join(work, "DEBIAN/control"), fmt.Appendf(nil, "Package: %s\nVersion: %s\nMaintainer: Nobody <nobody@a.example>\nDescription: made for a test\n%s", name, version, fields))
	w.Write(filepath.Join(work, "usr/share/doc", name, "version"), []byte(version))
	var conffiles string
	for file, content := range files {
		w.Write(filepath.Join(work, file), []byte(content))
		if strings.HasPrefix(file, "etc/") {
			conffiles += "/" + file + "\n"
		}
	}
	if conffiles != "" {
		w.Write(filepath.Join(work, "DEBIAN/conffiles"), []byte(conffiles))
	}
	w.Check(os.MkdirAll(dir, 0o755))
	_, architecture, _ := strings.Cut(fields, "Architecture: ")
	architecture, _, _ = strings.Cut(architecture, "\n")
	w.Run(work, nil, "dpkg-deb", "--root-owner-group", "-Zgzip", "--build", ".", filepath.Join(dir, name+"_"+strings.ReplaceAll(version, ":", "%3a")+"_"+architecture+".deb"))
}

// release signs what is below a folder, as apt-ftparchive lists it.
func (w *internet) release(dir string, options ...string) {
	w.Helper()
	w.Check(os.RemoveAll(filepath.Join(dir, "InRelease")))
	text := w.Run(dir, nil, "apt-ftparchive", append(options, "release", ".")...)
	var b bytes.Buffer
	enc, err := clearsign.Encode(&b, w.signer.PrivateKey, &packet.Config{Time: signedAt})
	w.Check(err)
	_, err = enc.Write(text)
	w.Check(err)
	w.Check(enc.Close())
	w.Write(filepath.Join(dir, "InRelease"), append(b.Bytes(), '\n'))
}

// suite makes noble of an archive from its pool.
func (w *internet) suite(root, component string) {
	w.Helper()
	dir := filepath.Join(root, "dists/noble")
	packages := filepath.Join(dir, component, "binary-amd64/Packages")
	w.Write(packages, w.Run(root, nil, "apt-ftparchive", "packages", "pool"))
	w.Run(filepath.Dir(packages), nil, "xz", "--keep", "--force", "Packages")
	const of = "APT::FTPArchive::Release::"
	w.release(dir, "-o", of+"Suite=noble", "-o", of+"Codename=noble", "-o", of+"Origin=Upstream", "-o", of+"Label=Upstream", "-o", of+"Components="+component, "-o", of+"Architectures=amd64")
}

func (w *internet) plantDebs(month int) {
	version := fmt.Sprint(month, ".0")
	key := plantest.Armor(w, w.signer)
	for _, url := range []string{ubuntuKey, dockerURL + "/gpg", toolkitKey, cudaKey} {
		w.Write(w.static(url), key)
	}
	const binary = "Architecture: amd64\n"
	ubuntu := w.static(ubuntuURL)
	pool := filepath.Join(ubuntu, "pool")
	for _, p := range systemtest.Of(w).Minimal(version) {
		p.Build(w, filepath.Join(pool, p.Name), "amd64")
	}
	w.deb(pool, "ca-certificates", version, "Architecture: all\nPriority: standard\n", nil)
	w.deb(pool, "git", "1:"+version+"~rc1+b1", binary+"Priority: optional\nDepends: ca-certificates\n", nil)
	w.suite(ubuntu, "main")
	docker := w.static(dockerURL)
	w.deb(filepath.Join(docker, "pool"), "docker-ce", "5:"+version, binary, nil)
	w.suite(docker, "stable")
	toolkit, cuda := w.static(toolkitURL), w.static(cudaURL)
	w.deb(toolkit, "nvidia-container-toolkit", version, binary, nil)
	w.deb(cuda, "cuda-toolkit", version, binary, nil)
	w.deb(cuda, "cuda-keyring", "1.1-1", "Architecture: all\n", map[string]string{
		"etc/apt/sources.list.d/cuda-ubuntu2404-x86_64.list": "deb [signed-by=/usr/share/keyrings/cuda-archive-keyring.gpg] " + cudaURL + "/ /\n",
	})
	for _, dir := range []string{toolkit, cuda} {
		w.Write(filepath.Join(dir, "Packages"), w.Run(dir, nil, "apt-ftparchive", "packages", "."))
		w.release(dir)
	}
}

func (w *internet) plantRPMs(month int) {
	dir := w.static(epelURL)
	work := w.TempDir()
	w.Write(filepath.Join(work, "tool.spec"), fmt.Appendf(nil, "Name: rpm-tool\nVersion: %d\nRelease: 1\nLicense: MIT\nSummary: a tool\nBuildArch: noarch\nAutoReqProv: no\n%%description\nA tool.\n%%install\nmkdir -p %%{buildroot}/usr/share/rpm-tool\necho %[1]d >%%{buildroot}/usr/share/rpm-tool/version\n%%files\n/usr/share/rpm-tool\n", month))
	w.Run(work, nil, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+work+"/top", "--define", "_rpmdir "+dir, "--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "tool.spec")
	w.Run(dir, nil, "createrepo_c", "--quiet", ".")
	w.Write(filepath.Join(dir, "repodata/repomd.xml.asc"), plantest.Detach(w, w.read(filepath.Join(dir, "repodata/repomd.xml")), w.signer))
	w.Write(w.static(epelKey), plantest.Armor(w, w.signer))
}

func (w *internet) plantCharts(month int) {
	dir := w.static(chartsURL)
	version := fmt.Sprint("v26.3.", month+1)
	chart := helmtest.Simple(w, "gpu-operator", version, "nvcr.io/nvidia/gpu-operator:v26.3.3")
	w.Write(filepath.Join(dir, "charts/gpu-operator-"+version+".tgz"), chart)
	w.Write(filepath.Join(dir, "index.yaml"), fmt.Appendf(nil, "apiVersion: v1\nentries:\n  gpu-operator:\n  - {name: gpu-operator, version: %[1]s, apiVersion: v2, urls: [charts/gpu-operator-%[1]s.tgz], digest: %[2]s}\n", version, digest(string(chart))))
}

// plantWheels has an index of Python packages whose files are at another host.
func (w *internet) plantWheels(month int) {
	dir := w.static(indexURL)
	page := "<!DOCTYPE html><html><body>\n"
	for m := range month {
		wheel := piptest.Wheel{Name: "demo-tool", Version: fmt.Sprint("1.", m+1)}.Build(w)
		url := fmt.Sprintf(wheelURL, m+1)
		w.Write(w.static(url), wheel.Content)
		w.wheel = wheel.Digest()
		page += fmt.Sprintf("<a href=\"%s#sha256=%s\">%s</a>\n", url, w.wheel, wheel.Name)
	}
	w.Write(filepath.Join(w.Dir, "requirements.txt"), fmt.Appendf(nil, "demo-tool==1.%d --hash=sha256:%s\n", month, w.wheel))
	w.Write(filepath.Join(dir, "demo-tool/index.html"), []byte(page+"</body></html>\n"))
}

func (w *internet) plantStreams(month int) {
	dir := filepath.Dir(filepath.Dir(filepath.Dir(w.static(streamsURL))))
	content := fmt.Sprint("a kernel of month ", month)
	write := func(name string, value any) {
		text, err := json.Marshal(value)
		w.Check(err)
		w.Write(filepath.Join(dir, name), text)
	}
	type object = map[string]any
	updated := fmt.Sprintf("Thu, %02d Oct 2026 10:00:00 +0000", 1+7*(month-1))
	version := fmt.Sprint("2026100", month)
	w.Write(filepath.Join(dir, "noble", version, "boot-kernel"), []byte(content))
	write("streams/v1/index.json", object{"format": "index:1.0", "updated": updated, "index": object{"com.ubuntu.maas:stable": object{
		"datatype": "image-downloads", "format": "products:1.0", "path": "streams/v1/products.json", "products": []string{"noble"}, "updated": updated,
	}}})
	write("streams/v1/products.json", object{"content_id": "com.ubuntu.maas:stable", "datatype": "image-downloads", "format": "products:1.0", "updated": updated, "products": object{"noble": object{
		"arch": "amd64", "os": "ubuntu", "release": "noble", "version": "24.04",
		"versions": object{version: object{"items": object{"boot-kernel": object{"ftype": "boot-kernel", "path": "noble/" + version + "/boot-kernel", "size": len(content), "sha256": digest(content)}}}},
	}}})
}
