package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// Annotations that the client file of a repository is made from:
// formKey is an annotation of a repository, originKey one of a file whose URL
// does not follow from its path.
const (
	formKey    = "form"
	formFolder = "folder"
	originKey  = "origin"
)

// check has little to do: clients of single files ask for what the list
// names, and that the listed content is there is checked for every kind.
// It checks that each entry is one that can be asked for.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	var count int64
	var errs []error
	for _, r := range t.Repositories() {
		var order bundle.PathOrder
		var listed int64
		for f, err := range t.Files(r.Name) {
			if err == nil {
				err = errors.Join(order.Next(f.Path), ctx.Err())
			}
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", r.Name, err)
			}
			if f.Digest.IsZero() || f.Size < 0 {
				errs = append(errs, fmt.Errorf("source %s, %s: without digest or size: %w", r.Name, f.Path, bundle.ErrIncomplete))
			}
			listed++
		}
		if r.Count != 0 && listed != r.Count {
			errs = append(errs, fmt.Errorf("source %s: %s listed, want %d: %w", r.Name, bundle.Count(listed, "file"), r.Count, bundle.ErrIncomplete))
		}
		count += listed
	}
	return []bundle.CheckCount{{Name: "files", Count: count}}, errors.Join(errs...)
}

// clients writes for each source which URL of the mirror replaces which
// original one: a line for each file, or one line for a folder.
func clients(ctx context.Context, repos []bundle.Repository, t sources.Tree) ([]sources.ClientFile, error) {
	var all []sources.ClientFile
	for _, r := range repos {
		var b bytes.Buffer
		fmt.Fprintf(&b, "# source %s: original URL, URL in the mirror\n", r.Name)
		if r.Annotations[formKey] == formFolder {
			fmt.Fprintf(&b, "- %s\n", mirrorURL(r.Mount, r.Name+"/"))
		} else {
			for f, err := range t.Files(r.Name) {
				if err := errors.Join(err, ctx.Err()); err != nil {
					return nil, fmt.Errorf("source %s: %w", r.Name, err)
				}
				fmt.Fprintf(&b, "%s %s\n", originalURL(f), mirrorURL(r.Mount, f.Path))
			}
		}
		all = append(all, sources.ClientFile{Path: r.Name + ".txt", Content: b.Bytes()})
	}
	return all, nil
}

func mirrorURL(mount, p string) string {
	u := url.URL{Path: "/" + mount + "/" + p}
	return sources.BaseMark + u.EscapedPath()
}

// originalURL returns where a file came from: an annotation, otherwise https and its path.
func originalURL(f bundle.File) string {
	if origin, ok := f.Annotations[originKey]; ok {
		return origin
	}
	return impliedURL(f.Path)
}

// impliedURL returns the URL for which mirrorPath returns p, by https and without a port.
func impliedURL(p string) string {
	host, rest, _ := strings.Cut(p, "/")
	u := url.URL{Scheme: "https", Host: host, Path: "/" + rest}
	return u.String()
}
