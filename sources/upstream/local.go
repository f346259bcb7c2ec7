package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// localScheme begins the address of a folder of this machine, such as a DVD that is mounted.
const localScheme = "file://"

// IsLocalAddress reports whether an address is a folder of this machine.
func IsLocalAddress(raw string) bool { return strings.HasPrefix(raw, localScheme) }

// CheckAddress returns the address of a repository that a person wrote, in its plain form: a
// URL that sources.CheckBaseURL accepts, or a folder of this machine, file:///mnt/dvd, which apt
// also takes as file:/mnt/dvd. An address that an upstream names is never one of this machine: for that
// there is fetch.CheckURL. Errors match fetch.ErrConfig.
func CheckAddress(raw string) (string, error) {
	rest, isFile := strings.CutPrefix(raw, "file:")
	if !isFile {
		if u, err := url.Parse(raw); err == nil && u.Scheme != "http" && u.Scheme != "https" { // copy:, cdrom:, a path
			return raw, fmt.Errorf("URL %.200q: scheme %.20q, want http or https, or file:///mnt/dvd for a folder of this machine: %w", fetch.Redact(raw), u.Scheme, fetch.ErrConfig)
		}
		return raw, sources.CheckBaseURL(raw)
	}
	if strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, "//") {
		rest = "//" + rest
	}
	u, err := url.Parse("file:" + rest)
	switch {
	case err != nil || u.Host != "" || !path.IsAbs(u.Path) || u.User != nil:
		return raw, fmt.Errorf("URL %.200q: want an absolute path, as file:///mnt/dvd: %w", fetch.Redact(raw), fetch.ErrConfig)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return raw, fmt.Errorf("URL %.200q: a folder has no query and no fragment: %w", fetch.Redact(raw), fetch.ErrConfig)
	}
	return "file:" + rest, nil
}

// content is what an address has, from byte At on.
type content struct {
	io.ReadCloser
	Meta fetch.Meta
	At   int64
}

// openURL opens an address from byte at on, if it still has the version that validator names.
func openURL(ctx context.Context, env *sources.Env, raw string, at int64, validator string, want Want) (*content, error) {
	if IsLocalAddress(raw) {
		return openLocal(raw, at, validator)
	}
	body, err := env.Fetch.OpenWanted(ctx, raw, nil, at, validator, want.fetched())
	if err != nil {
		return nil, err
	}
	return &content{body, body.Meta, body.At}, nil
}

// readURL returns the content of an address, at most limit bytes.
func readURL(ctx context.Context, env *sources.Env, raw string, limit int64) ([]byte, *fetch.Meta, error) {
	if !IsLocalAddress(raw) {
		return env.Fetch.ReadAll(ctx, raw, limit)
	}
	c, err := openLocal(raw, 0, "")
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(c, limit+1))
	if err = errors.Join(err, c.Close()); err != nil {
		return nil, nil, err
	}
	if int64(len(text)) > limit {
		return nil, nil, &fault{fmt.Sprintf("%s: more than %s", c.Meta.URL, bundle.Count(limit, "byte")), fetch.ErrUpstream}
	}
	return text, &c.Meta, nil
}

// statURL returns what an address reports without its content.
func statURL(ctx context.Context, env *sources.Env, raw string) (*fetch.Meta, error) {
	if !IsLocalAddress(raw) {
		return env.Fetch.Stat(ctx, raw)
	}
	c, err := openLocal(raw, 0, "")
	if err != nil {
		return nil, err
	}
	return &c.Meta, c.Close()
}

// openLocal opens a plain file of this machine. Anything but a plain file counts as missing: a device
// or a pipe would be waited for. Whatever else is wrong with a file is its upstream's fault,
// the medium's, and not that of the exporter's own disk.
func openLocal(raw string, at int64, validator string) (*content, error) {
	c := &content{Meta: fetch.Meta{URL: fetch.Redact(raw)}}
	failed := func(err error) (*content, error) {
		return nil, &fault{c.Meta.URL + ": " + err.Error(), fetch.ErrUpstream}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return failed(err)
	}
	f, err := os.OpenFile(filepath.FromSlash(path.Clean(u.Path)), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, &fetch.StatusError{URL: c.Meta.URL, Status: http.StatusNotFound}
	}
	if err != nil {
		return failed(err)
	}
	c.ReadCloser = &localFile{f, c.Meta.URL}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		return nil, errors.Join(&fetch.StatusError{URL: c.Meta.URL, Status: http.StatusNotFound}, f.Close())
	default:
		c.Meta.Size, c.Meta.LastModified = info.Size(), info.ModTime().UTC().Format(http.TimeFormat)
		if at > 0 && at <= info.Size() && validator == c.Meta.Validator() {
			c.At, err = f.Seek(at, io.SeekStart)
		}
	}
	if err != nil {
		_ = f.Close() // the first error explains more
		return failed(err)
	}
	return c, nil
}

// localFile is a file whose errors are its upstream's fault.
type localFile struct {
	*os.File
	where string
}

func (f *localFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &fault{f.where + ": " + err.Error(), fetch.ErrUpstream}
	}
	return n, err
}
