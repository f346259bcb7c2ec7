package simple

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"path"
	"strings"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
)

// Bounds of what is read.
const (
	MaxPage  = 64 << 20 // bytes of a page
	MaxFiles = 100_000  // of a project
)

// Media types of a page.
const (
	JSONType = "application/vnd.pypi.simple.v1+json"
	HTMLType = "application/vnd.pypi.simple.v1+html"
	TextHTML = "text/html"
	// Accept asks for JSON first, as pip does.
	Accept = JSONType + ", " + HTMLType + "; q=0.1, " + TextHTML + "; q=0.01"
)

// ErrInvalid is matched by errors about content that is not what it has to be.
var ErrInvalid = errors.New("not valid")

// Page is a project's page.
type Page struct {
	Name  string // as the page has it; "": not there
	Files []File
	// Status of the project (PEP 792): "", active, archived, quarantined or
	// deprecated; Reason is for people.
	Status, Reason string
	// Tracks and Alternates are project pages of other indexes that this one
	// states belong to the same project (PEP 708).
	Tracks, Alternates []string
}

// File is a file on a page.
type File struct {
	Name string
	URL  string // whole, without a fragment
	// SHA256 is in hexadecimal; "": the index names none.
	SHA256 string
	Size   int64 // -1: not known
	// RequiresPython is as written.
	RequiresPython string
	Yanked         bool
	YankedReason   string
	// HasMetadata means that URL with ".metadata" is there, of the digest
	// MetadataSHA256 if that is not "".
	HasMetadata    bool
	MetadataSHA256 string
}

// Parse reads a page. where is the URL that it came from, which its links are
// relative to.
func Parse(contentType, where string, content []byte) (*Page, error) {
	base, err := url.Parse(where)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && media == "" {
		media = contentType
	}
	var p *Page
	switch media {
	case JSONType:
		p, err = parseJSON(base, content)
	case HTMLType, TextHTML:
		p, err = parseHTML(base, content)
	default:
		return nil, fmt.Errorf("content type %q: want %s or %s: %w", contentType, JSONType, TextHTML, ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	return p, nil
}

// digests is a bool, or digests by algorithm: core-metadata of a file.
type digests struct {
	present bool
	sha256  string
}

func (d *digests) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return json.Unmarshal(b, &d.present)
	}
	var hashes map[string]string
	if err := json.Unmarshal(b, &hashes); err != nil {
		return err
	}
	d.present, d.sha256 = true, hashes["sha256"]
	return nil
}

// yanked is a bool, or a reason.
type yanked struct {
	is     bool
	reason string
}

func (y *yanked) UnmarshalJSON(b []byte) error {
	if b[0] != '"' {
		return json.Unmarshal(b, &y.is)
	}
	y.is = true
	return json.Unmarshal(b, &y.reason)
}

func parseJSON(base *url.URL, content []byte) (*Page, error) {
	var top struct {
		Meta struct {
			Version string   `json:"api-version"`
			Tracks  []string `json:"tracks"`
			Status  string   `json:"project-status"`
			Reason  string   `json:"project-status-reason"`
		} `json:"meta"`
		Name   string `json:"name"`
		Status struct {
			Status string `json:"status"`
			Reason string `json:"reason"`
		} `json:"project-status"`
		Alternates []string `json:"alternate-locations"`
		Files      []struct {
			Name           string            `json:"filename"`
			URL            string            `json:"url"`
			Hashes         map[string]string `json:"hashes"`
			Size           *int64            `json:"size"`
			RequiresPython *string           `json:"requires-python"`
			Yanked         yanked            `json:"yanked"`
			Core           *digests          `json:"core-metadata"`
			Dist           *digests          `json:"dist-info-metadata"`
		} `json:"files"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(content, []byte("\ufeff")), &top); err != nil {
		return nil, err
	}
	if err := checkVersion(top.Meta.Version); err != nil {
		return nil, err
	}
	p := &Page{Name: top.Name, Tracks: top.Meta.Tracks, Alternates: top.Alternates, Status: top.Status.Status, Reason: top.Status.Reason}
	if p.Status == "" {
		p.Status, p.Reason = top.Meta.Status, top.Meta.Reason
	}
	for _, f := range top.Files {
		file := File{Name: f.Name, SHA256: f.Hashes["sha256"], Size: -1, Yanked: f.Yanked.is, YankedReason: f.Yanked.reason}
		if f.Size != nil {
			file.Size = *f.Size
		}
		if f.RequiresPython != nil {
			file.RequiresPython = *f.RequiresPython
		}
		metadata := f.Core
		if metadata == nil {
			metadata = f.Dist
		}
		if metadata != nil {
			file.HasMetadata, file.MetadataSHA256 = metadata.present, metadata.sha256
		}
		if err := p.add(base, f.URL, file); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// checkVersion refuses another major version than 1; pages from before PEP 629
// have none.
func checkVersion(version string) error {
	if major, _, _ := strings.Cut(version, "."); version != "" && major != "1" {
		return fmt.Errorf("version %.20q of the index API, want 1", version)
	}
	return nil
}

// add puts a file on the page. A link that no client could follow is left out.
func (p *Page) add(base *url.URL, link string, f File) error {
	if len(p.Files) >= MaxFiles {
		return fmt.Errorf("more than %d files", MaxFiles)
	}
	u, _ := base.Parse(strings.TrimSpace(link))
	if u == nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil
	}
	if f.Name == "" {
		f.Name = path.Base(u.Path)
	}
	if sum := u.Fragment; f.SHA256 == "" && sum != "" {
		for part := range strings.SplitSeq(sum, "&") {
			if digest, ok := strings.CutPrefix(part, "sha256="); ok {
				f.SHA256 = digest
			}
		}
	}
	u.Fragment, u.RawFragment = "", ""
	f.URL, f.SHA256, f.MetadataSHA256 = u.String(), strings.ToLower(f.SHA256), strings.ToLower(f.MetadataSHA256)
	for _, digest := range []string{f.SHA256, f.MetadataSHA256} {
		if digest != "" && !isDigest(digest) {
			return fmt.Errorf("%.200q: sha256 %.100q: want 64 hexadecimal digits", f.Name, digest)
		}
	}
	p.Files = append(p.Files, f)
	return nil
}

func isDigest(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// ParseRoot reads the names of a list of projects as JSON.
func ParseRoot(content []byte) ([]string, error) {
	var root struct {
		Projects []struct {
			Name string `json:"name"`
		} `json:"projects"`
	}
	if err := json.Unmarshal(content, &root); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	names := make([]string, len(root.Projects))
	for i, p := range root.Projects {
		if names[i] = p.Name; marker.CheckName(p.Name) != nil || marker.NormalName(p.Name) != p.Name {
			return nil, fmt.Errorf("%.200q is no name of a project in normal form: %w", p.Name, ErrInvalid)
		}
	}
	return names, nil
}
