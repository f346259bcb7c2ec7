package helm

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// malformedIndex is the index of a chart repository with the charts app and other, in which
// something is replaced; or, of what is published, that index as it is and the files next to it.
type malformedIndex struct {
	from, to string
	whole    func(index string) string
	files    map[string][]byte
}

// edited returns the index of upstream.
func (m malformedIndex) edited(index string) string {
	if m.whole != nil {
		return m.whole(index)
	}
	return strings.Replace(index, m.from, m.to, 1)
}

// Why a plan decides otherwise than helm.
const (
	mended  = "helm gives up the index or the entry; the index that is made here has of each entry that is chosen what helm knows, in its shape"
	named   = "a chart of another name is another chart, and would be published below that name"
	itself  = "the version in the package is another one: a package that is not what the index has it for is not trusted"
	checked = "helm pull does not compare the digest of the index; what is carried is compared with it"
)

const chartApp = "  app:\n  - name: app\n    version: 1.0.0\n"

// malformed returns indexes, and whether helm can pull the chart app of one.
func malformed() plantest.Table[malformedIndex] {
	type table = plantest.Table[malformedIndex]
	in := func(from, to string) malformedIndex { return malformedIndex{from: from, to: to} }
	all := func(f func(string) string) malformedIndex { return malformedIndex{whole: f} }
	app := func(to string) malformedIndex { return in(chartApp, "  app:\n  - "+to) }
	return table{
		"nothing":                                      {Document: in("x", "x"), Reads: true},
		"no apiVersion":                                {Document: in("apiVersion: v1\nentries", "entries"), Names: []string{"index.yaml", "apiVersion"}},
		"an empty apiVersion":                          {Document: in("apiVersion: v1\nentries", "apiVersion: \"\"\nentries"), Names: []string{"index.yaml", "apiVersion"}},
		"another apiVersion":                           {Document: in("apiVersion: v1\nentries", "apiVersion: v9\nentries"), Reads: true},
		"an apiVersion that is a number":               {Document: in("apiVersion: v1\nentries", "apiVersion: 1\nentries"), Reads: true},
		"an empty file":                                {Document: all(func(string) string { return "" }), Names: []string{"index.yaml"}},
		"a web page":                                   {Document: all(func(string) string { return "<html><body>Sign in</body></html>\n" }), Names: []string{"index.yaml"}},
		"no YAML":                                      {Document: all(func(s string) string { return s + "]\n" }), Names: []string{"index.yaml", "line 23"}},
		"cut off":                                      {Document: all(func(s string) string { return s[:len(s)*2/3] + "\"" }), Reads: true},
		"a tab":                                        {Document: in("  app:\n", "\tapp:\n"), Names: []string{"index.yaml"}},
		"a byte order mark":                            {Document: all(func(s string) string { return "\ufeff" + s }), Reads: true},
		"lines of Windows":                             {Document: all(func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }), Reads: true},
		"two documents":                                {Document: all(func(s string) string { return s + "---\n" + s }), Reads: true},
		"entries twice":                                {Document: in("generated:", "entries: {}\ngenerated:"), Names: []string{"\"entries\""}},
		"a chart twice":                                {Document: in("  other:\n", "  app: []\n  other:\n"), Names: []string{"\"app\""}},
		"an unknown field":                             {Document: in("generated:", "colour: red\ngenerated:"), Unlike: mended},
		"no generated":                                 {Document: all(func(s string) string { return s[:strings.Index(s, "generated:")] }), Reads: true},
		"generated that is no date":                    {Document: all(func(s string) string { return s[:strings.Index(s, "generated:")] + "generated: soon\n" }), Unlike: mended},
		"entries of a list":                            {Document: all(func(string) string { return "apiVersion: v1\nentries: [app]\n" }), Names: []string{"index.yaml"}},
		"a chart that is a mapping":                    {Document: in("  app:\n  - name", "  app:\n    name"), Names: []string{"chart app"}},
		"a chart of null":                              {Document: all(func(s string) string { return "apiVersion: v1\nentries:\n  app: null\n" }), Names: []string{"chart app"}},
		"an entry of null":                             {Document: in("  app:\n", "  app:\n  - null\n"), Reads: true},
		"an entry of text":                             {Document: in("  app:\n", "  app:\n  - text\n"), Unlike: mended},
		"no name":                                      {Document: app("version: 1.0.0\n"), Names: []string{"chart app"}},
		"an empty name":                                {Document: app("name: \"\"\n    version: 1.0.0\n"), Names: []string{"chart app"}},
		"another name":                                 {Document: app("name: tool\n    version: 1.0.0\n"), Reads: true, Unlike: named, Names: []string{"chart app", "tool"}},
		"a name that is a path":                        {Document: app("name: ../app\n    version: 1.0.0\n"), Names: []string{"chart app"}},
		"no version":                                   {Document: app("name: app\n"), Names: []string{"chart app"}},
		"an empty version":                             {Document: app("name: app\n    version: \"\"\n"), Names: []string{"chart app"}},
		"a version in words":                           {Document: app("name: app\n    version: latest\n"), Names: []string{"chart app"}},
		"a version of one number":                      {Document: app("name: app\n    version: 1\n"), Names: []string{"chart app"}},
		"a version of two numbers":                     {Document: app("name: app\n    version: \"1.0\"\n"), Reads: true, Unlike: itself, Names: []string{"want the chart app"}},
		"a version of two numbers, unquoted":           {Document: app("name: app\n    version: 1.0\n"), Names: []string{"chart app"}},
		"a version of four numbers":                    {Document: app("name: app\n    version: 1.0.0.0\n"), Names: []string{"chart app"}},
		"a version with v":                             {Document: app("name: app\n    version: v1.0.0\n"), Reads: true, Unlike: itself, Names: []string{"want the chart app"}},
		"a version with zeros":                         {Document: app("name: app\n    version: 01.0.0\n"), Reads: true, Unlike: itself, Names: []string{"want the chart app"}},
		"a version with a slash":                       {Document: app("name: app\n    version: 1.0.0/2\n"), Names: []string{"chart app"}},
		"a version twice":                              {Document: in("  other:\n", "  - name: app\n    version: 1.0.0\n    apiVersion: v2\n    urls: [nowhere.tgz]\n  other:\n"), Reads: true},
		"versions in no order":                         {Document: in(chartApp, "  app:\n  - name: app\n    version: 0.1.0\n    apiVersion: v2\n    urls: [app-0.1.0.tgz]\n  - name: app\n    version: 1.0.0\n"), Reads: true},
		"no apiVersion of the chart":                   {Document: in("    apiVersion: v2\n", ""), Reads: true},
		"an unknown apiVersion of the chart":           {Document: in("    apiVersion: v2\n", "    apiVersion: v9\n"), Reads: true},
		"no urls":                                      {Document: in("    urls:\n    - app-1.0.0.tgz\n", ""), Names: []string{"chart app"}},
		"empty urls":                                   {Document: in("    urls:\n    - app-1.0.0.tgz\n", "    urls: []\n"), Names: []string{"chart app"}},
		"urls of text":                                 {Document: in("    urls:\n    - app-1.0.0.tgz\n", "    urls: app-1.0.0.tgz\n"), Names: []string{"chart app"}},
		"a url of nothing":                             {Document: in("    - app-1.0.0.tgz\n", "    - \"\"\n"), Names: []string{"/charts/"}},
		"a url that is not there":                      {Document: in("    - app-1.0.0.tgz\n", "    - gone-1.0.0.tgz\n"), Names: []string{"gone-1.0.0.tgz"}},
		"a url of another scheme":                      {Document: in("    - app-1.0.0.tgz\n", "    - ftp://127.0.0.1/app-1.0.0.tgz\n"), Names: []string{"chart app"}},
		"a url that is no url":                         {Document: in("    - app-1.0.0.tgz\n", "    - \"http://[::1/app\"\n"), Names: []string{"chart app"}},
		"a url with ./":                                {Document: in("    - app-1.0.0.tgz\n", "    - ./app-1.0.0.tgz\n"), Reads: true},
		"a url from the root":                          {Document: in("    - app-1.0.0.tgz\n", "    - /charts/app-1.0.0.tgz\n"), Reads: true},
		"a second url":                                 {Document: in("    - app-1.0.0.tgz\n", "    - app-1.0.0.tgz\n    - elsewhere.tgz\n"), Reads: true},
		"no digest":                                    {Document: all(func(s string) string { return edited(s, func(string) string { return "" }) }), Reads: true},
		"an empty digest":                              {Document: all(func(s string) string { return edited(s, func(string) string { return "    digest: \"\"\n" }) }), Reads: true},
		"a digest with sha256:":                        {Document: in("    digest: ", "    digest: sha256:"), Reads: true},
		"a digest in large letters":                    {Document: all(func(s string) string { return edited(s, strings.ToUpper) }), Reads: true},
		"another digest":                               {Document: all(otherDigest), Reads: true, Unlike: checked, Names: []string{"app-1.0.0", "wrong-digests"}},
		"a digest that is short":                       {Document: all(func(s string) string { return edited(s, func(string) string { return "    digest: abc\n" }) }), Reads: true, Unlike: checked, Names: []string{"app-1.0.0", "abc"}},
		"no created":                                   {Document: in("    created: ", "    home: "), Reads: true},
		"created that is no date":                      {Document: in("    created: \"2026", "    created: \"soon"), Unlike: mended},
		"created that is a day":                        {Document: all(func(s string) string { return strings.Replace(s, "T10:00:00.5Z", "", 1) }), Unlike: mended},
		"an appVersion that is a number":               {Document: in(`appVersion: "1.10"`, "appVersion: 1.10"), Unlike: mended},
		"keywords of text":                             {Document: app("name: app\n    version: 1.0.0\n    keywords: one\n"), Unlike: mended},
		"maintainers of texts":                         {Document: app("name: app\n    version: 1.0.0\n    maintainers: [me]\n"), Unlike: mended},
		"a maintainer of null":                         {Document: app("name: app\n    version: 1.0.0\n    maintainers: [null]\n"), Unlike: mended},
		"deprecated in words":                          {Document: app("name: app\n    version: 1.0.0\n    deprecated: \"no\"\n"), Unlike: mended},
		"a description that is a number":               {Document: app("name: app\n    version: 1.0.0\n    home: 1\n"), Unlike: mended},
		"a field that is not known":                    {Document: app("name: app\n    version: 1.0.0\n    colour: red\n"), Unlike: mended},
		"a field twice":                                {Document: app("name: app\n    name: app\n    version: 1.0.0\n"), Names: []string{"chart app"}},
		"annotations with a number":                    {Document: app("name: app\n    version: 1.0.0\n    annotations: {a: 1}\n"), Unlike: mended},
		"annotations of text":                          {Document: app("name: app\n    version: 1.0.0\n    annotations: a\n"), Unlike: mended},
		"an unknown type":                              {Document: app("name: app\n    version: 1.0.0\n    type: thing\n"), Names: []string{"chart app", "want application or library"}},
		"a library":                                    {Document: app("name: app\n    version: 1.0.0\n    type: library\n"), Reads: true},
		"a kubeVersion in words":                       {Document: app("name: app\n    version: 1.0.0\n    kubeVersion: new\n"), Reads: true},
		"dependencies without name":                    {Document: app("name: app\n    version: 1.0.0\n    dependencies: [{version: 1.x}]\n"), Reads: true},
		"dependencies of text":                         {Document: app("name: app\n    version: 1.0.0\n    dependencies: db\n"), Unlike: mended},
		"another chart without version":                {Document: in("  - name: other\n    version: 1.0.0\n", "  - name: other\n"), Reads: true},
		"another chart with keywords of text":          {Document: in("  - name: other\n", "  - name: other\n    keywords: one\n"), Unlike: mended},
		"another chart with a field that is not known": {Document: in("  - name: other\n", "  - name: other\n    colour: red\n"), Unlike: mended},
		"another chart of null":                        {Document: in("  other:\n", "  third: null\n  other:\n"), Reads: true},
	}
}

func otherDigest(index string) string {
	return edited(index, func(string) string { return "    digest: " + strings.Repeat("1", 64) + "\n" })
}

// edited replaces the line of the first digest.
func edited(index string, line func(string) string) string {
	from := strings.Index(index, "    digest: ")
	to := from + strings.IndexByte(index[from:], '\n') + 1
	old := index[from:to]
	value := strings.TrimPrefix(line(strings.TrimPrefix(old, "    digest: ")), "    digest: ")
	if value == "" {
		return index[:from] + index[to:]
	}
	return index[:from] + "    digest: " + value + index[to:]
}

// malformedWorld returns a chart repository with that index.
func malformedWorld(t *testing.T, m malformedIndex) *world {
	t.Helper()
	w := newWorld(t, t.TempDir())
	if m.files != nil {
		for name, content := range m.files {
			w.server.Put(root+name, content)
		}
		return w
	}
	w.simple("app", "1.0.0", "quay.io/a/b:c")
	w.simple("other", "1.0.0", "quay.io/a/b:c")
	w.server.Put(root+"index.yaml", []byte(m.edited(strings.ReplaceAll(w.index(), "appVersion: 1.10", `appVersion: "1.10"`))))
	return w
}

// laidMalformed plans the chart app and reads everything of it; what is published is returned.
func laidMalformed(t *testing.T, m malformedIndex) (malformedIndex, error) {
	t.Helper()
	w := malformedWorld(t, m)
	r, err := plantest.Plan(t, Kind(), plantest.NewEnv(t, w.dir, nil), w.spec("charts: {repo: REPO, chart: app}", noImages))
	if err != nil {
		return m, err
	}
	tree, err := plantest.Collect(t, r)
	if err != nil {
		return m, err
	}
	return malformedIndex{files: tree.Contents["charts"]}, nil
}

// TestMalformed: an index from which helm can pull no chart is refused, and the chart named.
func TestMalformed(t *testing.T) {
	malformed().Plan(t, func(t *testing.T, m malformedIndex) error {
		_, err := laidMalformed(t, m)
		return err
	})
}

// TestAbsent: charts that helm cannot use are an error, which is upstream's fault, and are left
// out by name where the spec wants that. If no chart is left, it is an error all the same.
func TestAbsent(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.chart("renamed", "1.0.0", w.simple("app", "1.0.0", "quay.io/a/b:c"))
	w.chart("broken", "1.0.0", []byte("<html>Sign in</html>"))
	w.simple("other", "1.0.0", "quay.io/a/b:c")
	w.edit("other-1.0.0", "version: 1.0.0", "version: latest")
	collected := func(chart string, lines ...string) (*plantest.Tree, []string, error) {
		charts := "charts: [{repo: REPO, chart: app}, {repo: REPO, chart: " + chart + "}]"
		r, err := plantest.Plan(t, Kind(), plantest.NewEnv(t, w.dir, nil), w.spec(append(lines, charts, noImages)...))
		if err != nil {
			return nil, nil, err
		}
		tree, err := plantest.Collect(t, r)
		return tree, r.Repositories[0].Notes, err
	}
	for chart, names := range map[string]string{"renamed": "want the chart renamed", "broken": "broken-1.0.0", "other": "latest"} {
		if _, _, err := collected(chart); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: %v", chart, err)
		}
		tree, notes, err := collected(chart, "absent: skip")
		if err != nil {
			t.Errorf("%s, left out: %v", chart, err)
			continue
		}
		published := tree.Contents["charts"]
		if len(published["app-1.0.0.tgz"]) == 0 || published[chart+"-1.0.0.tgz"] != nil || strings.Contains(string(published["index.yaml"]), chart) {
			t.Errorf("%s: publishes %v with\n%s", chart, slices.Sorted(maps.Keys(published)), published["index.yaml"])
		}
		if text := strings.Join(notes, "\n"); !strings.Contains(text, "left out: ") || !strings.Contains(text, "chart "+chart) {
			t.Errorf("%s: notes %q", chart, notes)
		}
		only := w.spec("charts: {repo: REPO, chart: "+chart+"}", "absent: skip", noImages)
		if _, err := plantest.Plan(t, Kind(), plantest.NewEnv(t, w.dir, nil), only); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "none of its charts") {
			t.Errorf("%s alone: %v", chart, err)
		}
	}
}
