package galaxy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/requirements"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// index is what a web server answers with for a folder.
const index = "/index.html"

// made is why pages are in the mirror.
const made = "page of the API"

// Where archives are, below the mount.
func artifactPath(full, v string) string {
	return "artifacts/" + strings.Replace(full, ".", "-", 1) + "-" + v + ".tar.gz"
}

func rolePath(full, tag string) string { return "roles/" + full + "/" + tag + ".tar.gz" }

// collectionPage and rolePage are the folders of pages, below the mount.
func collectionPage(full string) string {
	return "v3/collections/" + strings.Replace(full, ".", "/", 1)
}

func versionPage(full, v string) string { return collectionPage(full) + "/versions/" + v }

func rolePage(full string) string { return "v1/roles/" + full + "/versions" }

func roleAnswer(owner, name string) string { return "v1/roles/by/" + owner + "/" + name + index }

type object = map[string]any

// press makes pages.
type press struct {
	base    string // address of the mount, with the word in place of the mirror's
	all     []sources.Artifact
	vouched map[string]string // how an archive is vouched for, by its path
	from    []string          // how those are that the next pages are made of
}

// of begins pages that are made of these archives; none: of all.
func (p *press) of(archives ...string) {
	p.from = nil
	if len(archives) == 0 {
		p.from = slices.Sorted(maps.Values(p.vouched))
	}
	for _, path := range archives {
		p.from = append(p.from, p.vouched[path])
	}
}

// put adds a page, which read reads back. Filled are those with addresses in them.
func (p *press) put(path string, filled bool, content any, read rebuild.Read) error {
	return p.putFrom("", path, filled, content, read)
}

// putFrom works like put, for a page that stands for one of the server's.
func (p *press) putFrom(origin, path string, filled bool, content any, read rebuild.Read) error {
	b, err := json.Marshal(content) // which also makes a page that cannot be taken for HTML
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if err := rebuild.ReadBack(path, b, read); err != nil {
		return err
	}
	a := sources.Made(path, b, made)
	a.File.Filled, a.Evidence.Origin, a.Evidence.Vouched = filled, origin, rebuild.Vouched(p.from...)
	p.all = append(p.all, a)
	return nil
}

// pages makes the pages, as a function of what was chosen: nothing else that the server states gets into them.
// A page is vouched for as the archives that it leads to.
func (c *chosen) pages(mount string, archives []sources.Artifact) ([]sources.Artifact, error) {
	p := &press{base: sources.BaseMark + "/" + mount + "/", vouched: map[string]string{}}
	for _, a := range archives {
		p.vouched[a.File.Path] = a.Evidence.Vouched
	}
	p.of()
	versions := object{"v3": "v3/"}
	if len(c.roles) > 0 { // of several servers, clients ask the first that has roles
		versions["v1"] = "v1/"
	}
	err := p.put("index.html", false, object{"available_versions": versions, "server_version": "gapbundle"}, readRoot(versions))
	if err != nil {
		return nil, err
	}
	for full, picks := range c.byCollection() {
		if err := p.collection(full, picks); err != nil {
			return nil, err
		}
	}
	if err := p.roles(c.roles); err != nil {
		return nil, err
	}
	p.of()
	return p.all, c.rewrite(p)
}

// byCollection returns the versions that are carried of each collection, the newest first.
func (c *chosen) byCollection() map[string][]*pick {
	all := map[string][]*pick{}
	for _, p := range c.collections {
		all[p.Name] = append(all[p.Name], p)
	}
	for _, picks := range all {
		slices.SortFunc(picks, func(a, b *pick) int { return version.Compare(b.Release.Version, a.Release.Version) })
	}
	return all
}

func (p *press) collection(full string, picks []*pick) error {
	namespace, name, _ := strings.Cut(full, ".")
	var entries, names []any
	created := ""
	var archives []string
	for _, pick := range picks {
		v := pick.Release.Version.String()
		archives = append(archives, artifactPath(full, v))
		p.of(artifactPath(full, v))
		entry := object{"version": v, "href": p.base + versionPage(full, v) + "/", "created_at": date(pick.Release.Created), "updated_at": date(pick.Release.Created), "requires_ansible": specifiers(pick.Release.RequiresAnsible), "marks": []any{}}
		entries, names, created = append(entries, entry), append(names, v), max(created, date(pick.Release.Created))
		if err := p.version(full, pick); err != nil {
			return err
		}
	}
	p.of(archives...)
	list := object{"meta": object{"count": len(entries)}, "links": object{"first": nil, "previous": nil, "next": nil, "last": nil}, "data": entries}
	if err := p.put(collectionPage(full)+"/versions"+index, true, list, readEntries("data", "version", names)); err != nil {
		return err
	}
	return p.put(collectionPage(full)+index, true, object{
		"href": p.base + collectionPage(full) + "/", "namespace": namespace, "name": name, "deprecated": false,
		"versions_url":    p.base + collectionPage(full) + "/versions/",
		"highest_version": object{"href": p.base + versionPage(full, picks[0].Release.Version.String()) + "/", "version": names[0]},
		"created_at":      created, "updated_at": selectionTime(created, names),
	}, readNamed(namespace, name))
}

// selectionTime returns a time that differs where the versions do: a client that keeps the list of versions
// asks for it again if this time is another one.
func selectionTime(created string, names []any) string {
	return fmt.Sprintf("%s.%06dZ", strings.TrimSuffix(created, "Z"), crc32.ChecksumIEEE(fmt.Append(nil, names...))%1_000_000)
}

// date returns a time to whole seconds, in UTC as Galaxy has them.
func date(created string) string {
	if len(created) < len("2006-01-02T15:04:05") {
		return "2000-01-01T00:00:00Z"
	}
	return created[:len("2006-01-02T15:04:05")] + "Z"
}

var specifierForm = regexp.MustCompile(`^[0-9A-Za-z<>=!~.,* +-]+$`)

// maxSpecifier bounds what a collection states about ansible-core, in bytes.
const maxSpecifier = 256

// specifiers returns what a collection states about ansible-core, if that is its form.
func specifiers(text string) any {
	if len(text) > maxSpecifier || !specifierForm.MatchString(text) {
		return nil
	}
	return text
}

func (p *press) version(full string, pick *pick) error {
	r := pick.Release
	namespace, name, _ := strings.Cut(full, ".")
	dependencies := map[string]string{}
	for on, within := range r.Dependencies {
		dependencies[on] = within.String()
	}
	signatures := []any{}
	for _, text := range pick.signatures {
		if strings.Contains(text, "@") && (strings.Contains(text, sources.BaseMark) || strings.Contains(text, sources.HostMark) || strings.Contains(text, sources.InsecureMark)) {
			return fmt.Errorf("collection %s %s: a signature has a word in it that import replaces: %w", full, r.Version, fetch.ErrUpstream)
		}
		signatures = append(signatures, object{"signature": text, "pubkey_fingerprint": "", "signing_service": nil, "pulp_created": date(r.Created)})
	}
	file := artifactPath(full, r.Version.String())
	artifact := object{"filename": path.Base(file), "sha256": r.Digest.Hex()}
	if r.Size >= 0 {
		artifact["size"] = r.Size
	}
	origin := fetch.Redact(r.Page)
	if r.URL == "" { // it is on disk
		origin = ""
	}
	return p.putFrom(origin, versionPage(full, r.Version.String())+index, true, object{
		"href": p.base + versionPage(full, r.Version.String()) + "/", "version": r.Version.String(), "namespace": object{"name": namespace},
		"collection": object{"name": name, "href": p.base + collectionPage(full) + "/"}, "name": name,
		"created_at": date(r.Created), "updated_at": date(r.Created), "requires_ansible": specifiers(r.RequiresAnsible), "marks": []any{},
		"download_url": p.base + file, "artifact": artifact,
		"metadata": object{"dependencies": dependencies, "authors": []any{}, "contents": []any{}, "tags": []any{}}, "signatures": signatures,
	}, readRelease(full, r, len(signatures)))
}

// roles makes the answers for roles. Which of them a query means, the web server has to see: see docs/serving.md.
func (p *press) roles(all map[string]*rolePick) error {
	if len(all) == 0 {
		return nil
	}
	by := map[string][]*rolePick{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		by[all[key].full()] = append(by[all[key].full()], all[key])
	}
	p.of()
	if err := p.put("v1/roles"+index, false, listOf(nil), readEntries("results", "name", nil)); err != nil {
		return err
	}
	for full, picks := range by {
		r := picks[0].role
		answer := object{
			"id": full, "name": r.Name, "username": r.Owner, "github_user": cmp.Or(r.User, r.Owner), "github_repo": cmp.Or(r.Repository, r.Name),
			"github_branch": r.Branch, "summary_fields": object{"namespace": object{"name": r.Owner}},
		}
		var versions, tags []any
		var archives []string
		for _, pick := range picks {
			archives = append(archives, rolePath(full, pick.tag))
			needs := []string{}
			for _, n := range pick.needs {
				if n.Type == requirements.Galaxy {
					needs = append(needs, n.Name+","+n.Version)
				}
			}
			versions = append(versions, object{"name": pick.tag, "version": pick.tag, "download_url": p.base + rolePath(full, pick.tag), "dependencies": needs})
			tags = append(tags, pick.tag)
		}
		p.of(archives...)
		if err := p.put(roleAnswer(r.Owner, r.Name), false, listOf([]any{answer}), readEntries("results", "name", []any{r.Name})); err != nil {
			return err
		}
		if err := p.put(rolePage(full)+index, true, listOf(versions), readEntries("results", "name", tags)); err != nil {
			return err
		}
	}
	return nil
}

func listOf(all []any) object {
	return object{"count": len(all), "next": nil, "next_link": nil, "previous": nil, "results": append([]any{}, all...)}
}
