package kubespray

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/complete"
	"github.com/gapbundle/gapbundle/sources/kubespray/checksums"
)

// check asks of the lists what the playbook asks: each file is pinned or named as not
// pinned, and kubeadm's own images are there in the version of its binaries. That the
// files and images themselves are there is checked by the kinds that carry them.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	var deployments, files, images, notPinned, pinned int64
	err := complete.Walk(ctx, t, func(ctx context.Context, r *complete.Repo) error {
		own, refs, err := readOwn(ctx, r)
		if err != nil {
			return err
		}
		for _, f := range own.Files {
			files++
			if f.Sum == "" {
				notPinned++
			} else {
				pinned++
			}
		}
		deployments++
		images += int64(len(refs))
		return kubeadm(r, own, refs)
	})
	return []bundle.CheckCount{
		{Name: "deployments", Count: deployments}, {Name: "files", Count: files}, {Name: "images", Count: images},
		{Name: "not pinned", Count: notPinned}, {Name: "pinned", Count: pinned},
	}, err
}

// readOwn reads the lists and the pins, and compares them with each other.
func readOwn(ctx context.Context, r *complete.Repo) (own pins, images []imageRef, err error) {
	read := func(name string) []byte {
		content, readErr := r.Read(ctx, name, maxList*4)
		err = errors.Join(err, r.Corrupt(name, readErr))
		return content
	}
	listed, content, refs := read(filesName), read(pinsName), read(imagesName)
	if err != nil {
		return own, nil, err
	}
	if own, err = parsePins(content); err != nil {
		return own, nil, r.Corrupt(pinsName, err)
	}
	urls, err := parseList(filesName, listed)
	if err != nil {
		return own, nil, r.Corrupt(filesName, err)
	}
	if !slices.EqualFunc(urls, own.Files, func(l line, p pin) bool { return l.text == p.URL }) {
		return own, nil, r.Corrupt(pinsName, fmt.Errorf("its URLs are not those of %s", filesName))
	}
	for _, p := range own.Files {
		if p.Sum == "" {
			continue
		}
		if _, err := checksums.ParseSum(p.Sum); err != nil {
			return own, nil, r.Corrupt(pinsName, fmt.Errorf("%s: %w", p.URL, err))
		}
	}
	lines, err := parseList(imagesName, refs)
	errs := []error{err}
	for _, l := range lines {
		ref, err := parseImage(l)
		images, errs = append(images, ref), append(errs, err)
	}
	return own, images, r.Corrupt(imagesName, strictyaml.Join(errs...))
}

// kubeadm checks that the images which kubeadm pulls are those of its version. Images that
// the spec drops by name are not looked for; lists of files alone have no images to look at.
func kubeadm(r *complete.Repo, own pins, images []imageRef) error {
	versions := map[string][]string{}
	for _, f := range own.Files {
		if name := path.Base(f.URL); slices.Contains([]string{"kubelet", "kubectl", "kubeadm"}, name) {
			if v := versionOf(f.URL); v != "" && !slices.Contains(versions[v], name) {
				versions[v] = append(versions[v], name)
			}
		}
	}
	if len(versions) > 1 {
		var parts []string
		for v, names := range versions {
			parts = append(parts, fmt.Sprintf("%s of %s", strings.Join(names, ", "), v))
		}
		slices.Sort(parts)
		return fmt.Errorf("%s: %s: Kubespray installs one version: %w", r.Where(filesName), strings.Join(parts, "; "), bundle.ErrIncomplete)
	}
	if len(images) == 0 {
		return nil
	}
	var errs []error
	want := func(name, tag string) {
		found := func(ref imageRef) bool { return path.Base(ref.name) == name && (tag == "" || ref.tag == tag) }
		dropped := func(text string) bool {
			ref, err := parseImage(line{text: text})
			return err == nil && path.Base(ref.name) == name
		}
		if !slices.ContainsFunc(images, found) && !slices.ContainsFunc(own.Dropped, dropped) {
			errs = append(errs, r.Missing(imagesName+": "+strings.TrimSuffix(name+":"+tag, ":"), "kubeadm"))
		}
	}
	for v := range versions {
		for _, name := range kubeImages {
			want(name, v)
		}
		for _, name := range otherImages {
			want(name, "")
		}
	}
	return errors.Join(errs...)
}

// versionOf returns the version in the URL of one of Kubernetes' own binaries, as in
// .../release/v1.35.4/bin/linux/amd64/kubelet.
func versionOf(url string) string {
	parts := strings.Split(url, "/")
	if len(parts) < 5 || parts[len(parts)-4] != "bin" {
		return ""
	}
	return parts[len(parts)-5]
}
