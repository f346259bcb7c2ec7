package site

import (
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"text/template"
	"unicode"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
)

// ServersDir holds the configuration of web servers.
const ServersDir = Dir + "/servers"

// ContentPolicy is the Content-Security-Policy of every answer of every server: whatever is
// in a file that somebody else wrote, a browser runs nothing of it, and treats it as of no origin.
// Downloads are what a page of links is for. Pages of gapbundle's own need no more.
const ContentPolicy = "sandbox allow-downloads"

//go:embed servers/*.tmpl
var serverFiles embed.FS

// serverData is what the templates of the configurations are filled with.
type serverData struct {
	Dir         string // the mirror, checked by checkDir
	Typed       string // TypedDir with a '/' before it, as all of these
	Digests     string // DigestsDir
	DigestLink  string
	Ping        string // PingPath
	NoReferrers string // NoReferrersPath
	Own         string // Dir with '/' around it
	IndexType   string // of NoReferrers
	JSONType    string // of Ping
	Types       []Type
	Extensions  []extensionType
	Default     string
	RoleQuery   string // RoleQuery
	Policy      string // ContentPolicy
	hostData
}

// RoleQuery is the form of a query that asks for one role of Ansible, as
// ansible-galaxy writes it. Below galaxy/<source>/v1/roles/ the answer is the
// index.html of by/<owner>/<name>/. Nothing else becomes part of a path.
const RoleQuery = `^owner__username=([A-Za-z0-9_][A-Za-z0-9_.-]*)&name=([A-Za-z0-9_][A-Za-z0-9_-]*)$`

// checkDir allows paths that mean themselves between quotes in every
// server's configuration. Errors match bundle.ErrUsage.
func checkDir(dir string) error {
	if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" {
		return fmt.Errorf("mirror path %q: want an absolute, clean path below /: %w", dir, bundle.ErrUsage)
	}
	for _, r := range dir {
		if r == unicode.ReplacementChar || !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+~@:,= ", r) {
			return fmt.Errorf("mirror path %q: %q cannot be in a web server's configuration: %w", dir, r, bundle.ErrUsage)
		}
	}
	return nil
}

// servers writes what operators include in the configuration of their server.
func (w *writer) servers() error {
	data := serverData{
		Dir: w.in.Dir, Typed: "/" + TypedDir, Digests: "/" + DigestsDir, DigestLink: DigestLink, Ping: "/" + PingPath, NoReferrers: "/" + NoReferrersPath, Own: "/" + Dir + "/",
		IndexType: v1.MediaTypeImageIndex, JSONType: jsonType,
		Types: w.sortedTypes(), Extensions: extensionTypes(), Default: OctetStream, RoleQuery: RoleQuery, Policy: ContentPolicy,
		hostData: hostData{HostsPath: HostsPath, Private: "/" + PrivateDir, Hosts: w.public.rules(), GitFiles: GitFiles, RawGitFiles: strings.ReplaceAll(GitFiles, ".", "[^?]")},
	}
	t, err := template.New("").Funcs(template.FuncMap{"fields": strings.Fields, "compact": compactType, "prefix": caddyPrefix, "apache": apacheText}).ParseFS(serverFiles, "servers/*.tmpl")
	if err != nil {
		return err
	}
	for _, name := range []string{"Caddyfile", "apache.conf", "hosts-Caddyfile", "hosts-apache.conf", "hosts-nginx.conf", "nginx.conf"} {
		err := w.file(ServersDir+"/"+name, func(out io.Writer) error { return t.ExecuteTemplate(out, name+".tmpl", data) })
		if err != nil {
			return err
		}
	}
	return w.file(TypesPath, func(out io.Writer) error { return json.NewEncoder(out).Encode(data.Types) })
}

// compactType takes the spaces out of a media type: they mean nothing there
// (RFC 9110 section 5.6.6) and end an argument in Apache's configuration.
func compactType(mediaType string) string { return strings.ReplaceAll(mediaType, " ", "") }
