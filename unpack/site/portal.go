package site

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

//go:embed portal.html.tmpl
var portalTemplate string

// maxPortalClients bounds the client files that the portal names one by one;
// more are reached through their folder.
const maxPortalClients = 200

// maxPortalNames bounds the public names that the portal lists; hosts.json has all.
const maxPortalNames = 500

type portalData struct {
	*inventory
	Clients     []portalClients
	ClientsDir  string
	MoreClients bool
	// Public are the names that the mirror can answer for, MorePublic how many more there are.
	Public     []string
	MorePublic int
	Unanswered []Unanswered
	HostsPath  string
}

// portalClients are the client files of one folder.
type portalClients struct {
	Kind  string
	Files []string // relative to the web root
}

// portal writes /index.html: what is here and how to use it, for a person
// with a browser that may not load anything else.
func (w *writer) portal(inv *inventory) error {
	data := portalData{inventory: inv, ClientsDir: ClientsDir, Public: w.public.Hosts(), HostsPath: HostsPath}
	data.Unanswered = w.public.Unanswered[:min(len(w.public.Unanswered), maxPortalNames)]
	if more := len(data.Public) - maxPortalNames; more > 0 {
		data.Public, data.MorePublic = data.Public[:maxPortalNames], more
	}
	for i, p := range w.clients {
		if i == maxPortalClients {
			data.MoreClients = true
			break
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(p, ClientsDir+"/"), "/")
		if kind == AsideDir {
			kind = "of sets whose files have the names of others"
		}
		if n := len(data.Clients); n == 0 || data.Clients[n-1].Kind != kind {
			data.Clients = append(data.Clients, portalClients{Kind: kind})
		}
		last := &data.Clients[len(data.Clients)-1]
		last.Files = append(last.Files, p)
	}
	t, err := template.New("portal").Funcs(template.FuncMap{"bytes": sizeText, "time": timeText, "link": linkPath, "clientName": clientName}).Parse(portalTemplate)
	if err != nil {
		return err
	}
	return w.plainFile("index.html", func(out io.Writer) error { return t.Execute(out, data) })
}

// linkPath makes a web path relative, so that the portal also works below
// another address, behind a proxy. A first component with ':' would read as
// a scheme (RFC 3986 section 4.2), hence "./".
func linkPath(p string) string {
	return "./" + (&url.URL{Path: strings.TrimPrefix(p, "/")}).EscapedPath()
}

// sizeText returns n bytes for people.
func sizeText(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1000, 0
	for v >= 999.95 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	return fmt.Sprintf("%.1f %cB", v, units[i])
}

// clientName returns a client file's path below its kind's folder.
func clientName(p string) string {
	_, name, _ := strings.Cut(strings.TrimPrefix(p, ClientsDir+"/"), "/")
	return name
}

// plainFile writes a page for people of a few MiB at most. Whatever bundle.IsPlain refuses is
// written out: an older mirror may have names that a bundle may not have any more.
func (w *writer) plainFile(name string, write func(io.Writer) error) error {
	var page bytes.Buffer
	if err := write(&page); err != nil {
		return err
	}
	return w.file(name, func(out io.Writer) error {
		_, err := out.Write(bundle.Plain(page.Bytes(), "\n\t"))
		return err
	})
}
