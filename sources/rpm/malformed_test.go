package rpm

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// malformedIn changes one document of a repository: a type of metadata, or repomd.xml.
type malformedIn struct {
	document string
	edit     func(content string) string
	// files are what is published of it, unless it is upstream's.
	files map[string][]byte
}

// in makes one that replaces the first from in a document.
func in(document, from, to string) malformedIn {
	return malformedIn{document: document, edit: func(content string) string { return strings.Replace(content, from, to, 1) }}
}

// whole makes one that is called with a whole document.
func whole(document string, edit func(content string) string) malformedIn {
	return malformedIn{document: document, edit: edit}
}

// replaced makes one in which words of a whole document are replaced, in pairs.
func replaced(document string, pairs ...string) malformedIn {
	return malformedIn{document: document, edit: strings.NewReplacer(pairs...).Replace}
}

// after makes one that follows some text.
func after(document, text string) malformedIn {
	return malformedIn{document: document, edit: func(content string) string { return text + content }}
}

func emptied(string) string { return "" }

func cutOff(content string) string { return content[:len(content)*2/3] }

func doubled(content string) string { return content + content }

// Why a plan refuses what dnf takes.
const (
	unsized   = "how much is carried is known before it is downloaded, and bounded by what the index has"
	noVersion = "rpm makes no such package, and programs differ in how they read it"
	ofItself  = "a package that is not what the index has it for is not trusted"
	twice     = "programs differ in which one they take"
	unvouched = "nothing would tell what the metadata have to be"
)

const (
	malformedComps = `<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>greeters</id><name>Greeters</name><description>They greet</description><default>true</default><uservisible>true</uservisible><packagelist><packagereq type="mandatory">hello</packagereq></packagelist></group></comps>
`
	malformedUpdates = `<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="a@a.example" status="stable" type="security" version="2"><id>A-2026:1</id><title>hello</title><issued date="2026-10-01 00:00:00"/><updated date="2026-10-01 00:00:00"/><severity>Important</severity><description>About hello</description><references><reference href="https://a.example/1" id="CVE-2026-1" type="cve" title="CVE-2026-1"/></references><pkglist><collection short="a"><name>a</name><package name="hello" version="2.10" release="1.el9" epoch="0" arch="x86_64" src="hello-2.10-1.el9.src.rpm"><filename>hello-2.10-1.el9.x86_64.rpm</filename></package></collection></pkglist></update></updates>
`
	malformedModules = `---
document: modulemd
version: 2
data:
  name: nodejs
  stream: "20"
  version: 1
  context: a
  arch: x86_64
  summary: node
  description: It is there for a test.
  license: {module: [MIT]}
  profiles:
    common: {rpms: [node]}
  artifacts:
    rpms:
    - node-0:20.1-1.x86_64
...
`
)

// malformed returns documents of a repository, and whether dnf can use it: it makes its cache,
// and every package can be downloaded by its name.
func malformed() plantest.Table[malformedIn] {
	const hello = `<name>hello</name><arch>x86_64</arch><version epoch="0" ver="2.10" rel="1.el9"/>`
	return plantest.Table[malformedIn]{
		"nothing":                                {Document: in("primary", "x", "x"), Reads: true},
		"primary cut off":                        {Document: whole("primary", cutOff), Names: []string{"primary.xml", "unexpected end"}},
		"primary twice":                          {Document: whole("primary", doubled), Names: []string{"primary.xml"}},
		"primary of another root":                {Document: replaced("primary", "metadata", "metadatum"), Names: []string{"primary.xml", "<metadatum>"}},
		"primary with an element that is open":   {Document: in("primary", "</summary>", ""), Names: []string{"hello"}},
		"primary with an entity":                 {Document: in("primary", "It is hello", "&nbsp;It is hello"), Names: []string{"hello"}},
		"primary with a bare ampersand":          {Document: in("primary", "It is hello", "A & B"), Names: []string{"hello"}},
		"primary with a control character":       {Document: in("primary", "It is hello", "It is \x0b hello"), Names: []string{"hello"}},
		"primary with bytes that are no text":    {Document: in("primary", "It is hello", "It is \xff hello"), Names: []string{"hello"}},
		"primary with leading empty lines":       {Document: after("primary", "\n\n"), Names: []string{"primary.xml", "at the beginning"}},
		"primary with a byte order mark":         {Document: after("primary", "\ufeff"), Reads: true},
		"primary with another count":             {Document: in("primary", `packages="4"`, `packages="1"`), Reads: true},
		"primary without count":                  {Document: in("primary", ` packages="4"`, ``), Reads: true},
		"primary of nothing":                     {Document: whole("primary", emptied), Names: []string{"primary.xml"}},
		"no name":                                {Document: in("primary", "<name>hello</name>", ""), Names: []string{"primary", "-2.10-1.el9.x86_64", "without name"}},
		"an empty name":                          {Document: in("primary", "<name>hello</name>", "<name/>"), Names: []string{"primary", "-2.10-1.el9.x86_64", "without name"}},
		"no architecture":                        {Document: in("primary", "<arch>x86_64</arch>", ""), Reads: true, Unlike: noVersion, Names: []string{"hello"}},
		"no version":                             {Document: in("primary", `<version epoch="0" ver="2.10" rel="1.el9"/>`, ""), Reads: true, Unlike: noVersion, Names: []string{"hello"}},
		"no release":                             {Document: in("primary", `rel="1.el9"`, ""), Reads: true, Unlike: ofItself, Names: []string{"hello"}},
		"no epoch":                               {Document: in("primary", hello, strings.Replace(hello, `epoch="0" `, "", 1)), Reads: true},
		"an empty epoch":                         {Document: in("primary", hello, strings.Replace(hello, `epoch="0" `, `epoch="" `, 1)), Reads: true},
		"an epoch in words":                      {Document: in("primary", hello, strings.Replace(hello, `epoch="0" `, `epoch="none" `, 1)), Reads: true, Unlike: noVersion, Names: []string{"hello"}},
		"an epoch below 0":                       {Document: in("primary", hello, strings.Replace(hello, `epoch="0" `, `epoch="-1" `, 1)), Reads: true, Unlike: noVersion, Names: []string{"hello"}},
		"an epoch of too many digits":            {Document: in("primary", hello, strings.Replace(hello, `epoch="0" `, `epoch="99999999999" `, 1)), Reads: true, Unlike: noVersion, Names: []string{"hello"}},
		"a version with a dash":                  {Document: in("primary", hello, strings.Replace(hello, `"2.10"`, `"2-10"`, 1)), Reads: true, Unlike: ofItself, Names: []string{"hello"}},
		"a version with a blank":                 {Document: in("primary", hello, strings.Replace(hello, `"2.10"`, `"2 10"`, 1)), Reads: true, Unlike: noVersion, Names: []string{"hello"}},
		"a version with a colon":                 {Document: in("primary", hello, strings.Replace(hello, `"2.10"`, `"1:2.10"`, 1)), Reads: true, Unlike: ofItself, Names: []string{"hello"}},
		"two versions":                           {Document: in("primary", hello, hello+`<version epoch="0" ver="3" rel="1"/>`), Reads: true, Unlike: twice, Names: []string{"hello"}},
		"no checksum":                            {Document: in("primary", "<checksum", "<cheksum"), Names: []string{"hello"}},
		"a checksum of no digits":                {Document: in("primary", `pkgid="YES">`, `pkgid="YES">zz`), Names: []string{"hello"}},
		"a short checksum":                       {Document: whole("primary", shortSum), Names: []string{"hello"}},
		"an empty checksum":                      {Document: whole("primary", emptySum), Names: []string{"hello"}},
		"a checksum of an unknown type":          {Document: in("primary", `<checksum type="sha256"`, `<checksum type="crc"`), Names: []string{"hello"}},
		"a checksum without type":                {Document: in("primary", `<checksum type="sha256"`, `<checksum`), Names: []string{"hello"}},
		"a checksum of large letters":            {Document: whole("primary", largeSum), Reads: true},
		"a checksum of md5":                      {Document: in("primary", `<checksum type="sha256"`, `<checksum type="md5"`), Names: []string{"hello"}},
		"another checksum":                       {Document: whole("primary", otherSum), Names: []string{"hello"}},
		"no size":                                {Document: in("primary", `size package=`, `size other=`), Reads: true, Unlike: unsized, Names: []string{"hello"}},
		"a size below 0":                         {Document: in("primary", `size package="`, `size package="-`), Names: []string{"hello"}},
		"a size in words":                        {Document: in("primary", `size package="`, `size package="many`), Reads: true, Unlike: unsized, Names: []string{"hello"}},
		"another size":                           {Document: in("primary", `size package="`, `size package="1`), Names: []string{"hello"}},
		"a size of 0":                            {Document: in("primary", `<size package="`, `<size package="0" other="`), Reads: true, Unlike: unsized, Names: []string{"hello"}},
		"no location":                            {Document: in("primary", `<location href="Packages/hello-2.10-1.el9.x86_64.rpm"/>`, ""), Names: []string{"hello"}},
		"an empty location":                      {Document: in("primary", `href="Packages/hello-2.10-1.el9.x86_64.rpm"`, `href=""`), Names: []string{"hello"}},
		"an absolute location":                   {Document: in("primary", `href="Packages/hello-`, `href="/Packages/hello-`), Reads: true},
		"a location with ./":                     {Document: in("primary", `href="Packages/hello-`, `href="./Packages/hello-`), Reads: true},
		"a location with //":                     {Document: in("primary", `href="Packages/hello-`, `href="Packages//hello-`), Reads: true},
		"a location that climbs and comes back":  {Document: in("primary", `href="Packages/hello-`, `href="Packages/../Packages/hello-`), Reads: true},
		"an escaped location":                    {Document: in("primary", `href="Packages/hello-`, `href="Packages/%68ello-`), Names: []string{"%2568ello"}},
		"a location with a query":                {Document: in("primary", `hello-2.10-1.el9.x86_64.rpm"/>`, `hello-2.10-1.el9.x86_64.rpm?x"/>`), Names: []string{"hello"}},
		"a location that is not there":           {Document: in("primary", `href="Packages/hello-`, `href="Packages/gone-`), Names: []string{"gone-2.10-1"}},
		"two locations":                          {Document: in("primary", `<location href="Packages/hello-`, `<location href="x"/><location href="Packages/hello-`), Reads: true, Unlike: twice, Names: []string{"hello"}},
		"no format":                              {Document: whole("primary", withoutFormat), Reads: true},
		"a relation of unknown flags":            {Document: in("primary", `flags="EQ"`, `flags="NE"`), Reads: true},
		"a relation of flags in small letters":   {Document: in("primary", `flags="EQ"`, `flags="eq"`), Reads: true},
		"a relation without name":                {Document: in("primary", `<rpm:entry name="hello"`, `<rpm:entry`), Reads: true},
		"a relation with an empty name":          {Document: in("primary", `<rpm:entry name="hello"`, `<rpm:entry name=""`), Reads: true},
		"a relation with an epoch in words":      {Document: in("primary", `flags="EQ" epoch="0"`, `flags="EQ" epoch="x"`), Reads: true},
		"a relation with flags and no version":   {Document: in("primary", `flags="EQ" epoch="0" ver="2.10" rel="1.el9"`, `flags="EQ"`), Reads: true},
		"a relation with a version and no flags": {Document: in("primary", ` flags="EQ" epoch="0"`, ` epoch="0"`), Reads: true},
		"a rich relation that is open":           {Document: in("primary", `<rpm:requires><rpm:entry name="libhello.so"/>`, `<rpm:requires><rpm:entry name="(libhello.so and"/>`), Reads: true},
		"a rich relation of nonsense":            {Document: in("primary", `<rpm:requires><rpm:entry name="libhello.so"/>`, `<rpm:requires><rpm:entry name="(libhello.so xor other)"/>`), Reads: true},
		"a package of another type":              {Document: in("primary", `<package type="rpm">`, `<package type="deb">`), Reads: true},
		"one package twice":                      {Document: whole("primary", oneTwice), Reads: true},
		"attributes in single quotes":            {Document: replaced("primary", `"`, "'"), Reads: true},
		"an attribute twice":                     {Document: in("primary", `<version epoch="0"`, `<version epoch="0" epoch="0"`), Names: []string{"primary", "attribute epoch"}},
		"an attribute without quotes":            {Document: in("primary", `epoch="0"`, `epoch=0`), Names: []string{"primary", "attribute epoch"}},
		"another prefix of rpm":                  {Document: replaced("primary", "rpm:", "r:", ":rpm=", ":r="), Reads: true},

		"filelists cut off":                     {Document: whole("filelists", cutOff), Reads: true},
		"filelists twice":                       {Document: whole("filelists", doubled), Reads: true},
		"filelists of another root":             {Document: replaced("filelists", "filelists", "lists"), Reads: true},
		"filelists of nothing":                  {Document: whole("filelists", emptied), Reads: true},
		"filelists with a control character":    {Document: in("filelists", "/usr/bin/hello", "/usr/bin/\x0bhello"), Reads: true},
		"filelists with bytes that are no text": {Document: in("filelists", "/usr/share/hello/x", "/usr/share/hello/\xff"), Reads: true},
		"filelists with a bare ampersand":       {Document: in("filelists", "/usr/share/hello/x", "/usr/share/hello/a&b"), Reads: true},
		"filelists of another package":          {Document: in("filelists", `pkgid="`, `pkgid="0`), Reads: true},
		"filelists without a package":           {Document: whole("filelists", func(c string) string { return c[:strings.Index(c, "<package")] + "</filelists>\n" }), Reads: true},
		"filelists with another count":          {Document: in("filelists", `packages="4"`, `packages="9"`), Reads: true},
		"other cut off":                         {Document: whole("other", cutOff), Reads: true},
		"other with a control character":        {Document: in("other", "made", "\x0bmade"), Reads: true},

		"updateinfo cut off":                    {Document: whole("updateinfo", cutOff), Reads: true},
		"updateinfo of another root":            {Document: replaced("updateinfo", "updates>", "updated>"), Reads: true},
		"updateinfo of nothing":                 {Document: whole("updateinfo", emptied), Reads: true},
		"updateinfo with a control character":   {Document: in("updateinfo", "About", "\x0bAbout"), Reads: true},
		"updateinfo with a bare ampersand":      {Document: in("updateinfo", "About", "A & B"), Reads: true},
		"updateinfo without id":                 {Document: in("updateinfo", "<id>A-2026:1</id>", ""), Reads: true},
		"updateinfo without issued":             {Document: in("updateinfo", `<issued date="2026-10-01 00:00:00"/>`, ""), Reads: true},
		"updateinfo with a date of no form":     {Document: in("updateinfo", `<issued date="2026-10-01 00:00:00"/>`, `<issued date="yesterday"/>`), Reads: true},
		"updateinfo with an epoch in words":     {Document: in("updateinfo", `epoch="0"`, `epoch="x"`), Reads: true},
		"updateinfo without epoch":              {Document: in("updateinfo", ` epoch="0"`, ``), Reads: true},
		"updateinfo without a package's name":   {Document: in("updateinfo", `<package name="hello"`, `<package`), Reads: true},
		"updateinfo without a package's arch":   {Document: in("updateinfo", ` arch="x86_64"`, ``), Reads: true},
		"updateinfo without version":            {Document: in("updateinfo", ` version="2.10"`, ``), Reads: true},
		"updateinfo of an unknown type":         {Document: in("updateinfo", `type="security"`, `type="rumour"`), Reads: true},
		"updateinfo with two updates of one id": {Document: whole("updateinfo", updateTwice), Reads: true},

		"comps cut off":                  {Document: whole("group", cutOff), Reads: true},
		"comps of another root":          {Document: replaced("group", "comps>", "groups>"), Reads: true},
		"comps of nothing":               {Document: whole("group", emptied), Reads: true},
		"comps with a control character": {Document: in("group", "They greet", "\x0bThey greet"), Reads: true},
		"comps with a bare ampersand":    {Document: in("group", "They greet", "A & B"), Reads: true},
		"a group without id":             {Document: in("group", "<id>greeters</id>", ""), Reads: true},
		"a group without name":           {Document: in("group", "<name>Greeters</name>", ""), Reads: true},
		"a group of an unknown type":     {Document: in("group", `type="mandatory"`, `type="perhaps"`), Reads: true},

		"modules cut off":                   {Document: whole("modules", func(c string) string { return c[:strings.Index(c, "rpms:\n")] + "rp" }), Reads: true},
		"modules that are no YAML":          {Document: whole("modules", func(string) string { return "document: [\n" }), Names: []string{"modules.yaml", "document 1"}},
		"modules of nothing":                {Document: whole("modules", emptied), Reads: true},
		"a module of another document":      {Document: in("modules", "document: modulemd", "document: modulus"), Names: []string{"modules.yaml", "modulus"}},
		"a module of version 9":             {Document: in("modules", "version: 2", "version: 9"), Reads: true},
		"a module without name":             {Document: in("modules", "  name: nodejs\n", ""), Reads: true},
		"a module without stream":           {Document: in("modules", "  stream: \"20\"\n", ""), Reads: true},
		"a module without context":          {Document: in("modules", "  context: a\n", ""), Reads: true},
		"a module whose version is words":   {Document: in("modules", "  version: 1\n", "  version: one\n"), Reads: true},
		"a module without licence":          {Document: in("modules", "  license: {module: [MIT]}\n", ""), Reads: true},
		"a module without summary":          {Document: in("modules", "  summary: node\n", ""), Reads: true},
		"a module whose package is no name": {Document: in("modules", "node-0:20.1-1.x86_64", "node"), Reads: true},
		"a module with an unknown key":      {Document: in("modules", "  summary: node\n", "  summary: node\n  colour: red\n"), Reads: true},
		"modules with a tab":                {Document: in("modules", "  summary", "\tsummary"), Names: []string{"modules.yaml", "document 1"}},

		"repomd cut off":                                {Document: whole("repomd", cutOff), Names: []string{"repomd.xml"}},
		"repomd of another root":                        {Document: replaced("repomd", "repomd", "repmd"), Names: []string{"repomd.xml"}},
		"repomd of nothing":                             {Document: whole("repomd", emptied), Names: []string{"repomd.xml"}},
		"repomd without revision":                       {Document: in("repomd", "<revision>1790000000</revision>", ""), Reads: true},
		"repomd with leading empty lines":               {Document: after("repomd", "\n"), Names: []string{"repomd.xml"}},
		"repomd with a byte order mark":                 {Document: after("repomd", "\ufeff"), Reads: true},
		"repomd without checksums":                      {Document: replaced("repomd", "<checksum", "<cheksum", "</checksum", "</cheksum"), Reads: true, Unlike: unvouched, Names: []string{"repomd.xml", "filelists"}},
		"repomd without open-checksums":                 {Document: replaced("repomd", "open-checksum", "open-cheksum"), Reads: true},
		"repomd without sizes":                          {Document: replaced("repomd", "<size>", "<sized>", "</size>", "</sized>"), Reads: true},
		"repomd with a size in words":                   {Document: in("repomd", "<size>", "<size>x"), Reads: true},
		"repomd without timestamps":                     {Document: replaced("repomd", "<timestamp>1790000000</timestamp>", ""), Reads: true},
		"repomd with a timestamp in words":              {Document: in("repomd", "1790000000</timestamp>", "soon</timestamp>"), Reads: true},
		"repomd with primary twice":                     {Document: whole("repomd", primaryTwice), Reads: true, Unlike: twice, Names: []string{"repomd.xml", "primary"}},
		"repomd with a checksum of no kind":             {Document: replaced("repomd", `<checksum type="sha256"`, `<checksum type="crc"`), Names: []string{"repomd.xml", "crc"}},
		"repomd with an open-checksum of none":          {Document: replaced("repomd", `<open-checksum type="sha256"`, `<open-checksum type="crc"`), Names: []string{"repomd.xml", "crc"}},
		"repomd with another open-checksum":             {Document: in("repomd", `<open-checksum type="sha256">`, `<open-checksum type="sha256">0`), Names: []string{"repomd.xml", "filelists"}},
		"repomd with an open-checksum of other content": {Document: whole("repomd", otherOpenSum), Reads: true},
		"repomd with another open-size":                 {Document: in("repomd", `<open-size>`, `<open-size>9`), Reads: true},
		"repomd with a location that is /":              {Document: in("repomd", `href="repodata/`, `href="/repodata/`), Reads: true},
		"repomd with a location with ./":                {Document: in("repomd", `href="repodata/`, `href="./repodata/`), Reads: true},
		"repomd without a location":                     {Document: in("repomd", `<location href=`, `<location ref=`), Names: []string{"repomd.xml"}},
	}
}

// checksumAt returns where the first checksum of primary begins and ends.
func checksumAt(content string) (from, to int) {
	from = strings.Index(content, `pkgid="YES">`) + len(`pkgid="YES">`)
	return from, from + strings.IndexByte(content[from:], '<')
}

func changedSum(content string, change func(string) string) string {
	from, to := checksumAt(content)
	return content[:from] + change(content[from:to]) + content[to:]
}

func shortSum(content string) string {
	return changedSum(content, func(s string) string { return s[:10] })
}

func emptySum(content string) string { return changedSum(content, func(string) string { return "" }) }

func largeSum(content string) string { return changedSum(content, strings.ToUpper) }

func otherSum(content string) string {
	return changedSum(content, func(s string) string { return strings.Repeat("1", len(s)) })
}

func otherOpenSum(repomd string) string {
	from := strings.Index(repomd, `<open-checksum type="sha256">`) + len(`<open-checksum type="sha256">`)
	return repomd[:from] + strings.Repeat("1", 64) + repomd[from+64:]
}

func withoutFormat(content string) string {
	from, to := strings.Index(content, "<format>"), strings.Index(content, "</format>")
	return content[:from] + content[to+len("</format>"):]
}

func oneTwice(content string) string {
	from, to := strings.Index(content, "<package "), strings.Index(content, "</package>")+len("</package>\n")
	return content[:from] + content[from:to] + content[from:]
}

func updateTwice(content string) string {
	from, to := strings.Index(content, "<update "), strings.Index(content, "</updates>")
	return content[:to] + content[from:]
}

func primaryTwice(content string) string {
	from := strings.Index(content, `<data type="primary">`)
	to := from + strings.Index(content[from:], "</data>") + len("</data>")
	return content[:from] + content[from:to] + content[from:]
}

// malformedArchive returns a repository with one document that is malformed.
func malformedArchive(t *testing.T, m malformedIn) *archive {
	t.Helper()
	a := newArchive(t, t.TempDir())
	a.Signer = nil
	a.Extra = map[string]string{"group": malformedComps, "updateinfo": malformedUpdates, "modules": malformedModules}
	if m.document == "repomd" {
		a.Change = m.edit
	} else {
		a.Edit = func(kind, content string) string {
			if kind == m.document {
				return m.edit(content)
			}
			return content
		}
	}
	return a
}

// malformedSite is one site key for all rows: making one takes its time.
var malformedSite = func() func(t testing.TB) *openpgp.Entity {
	var key *openpgp.Entity
	return func(t testing.TB) *openpgp.Entity {
		if key == nil {
			key = siteKey(t)
		}
		return key
	}
}()

// planMalformed plans a repository with a malformed document and reads everything of it, as
// an export does.
func planMalformed(t *testing.T, m malformedIn, more ...string) (*collect.Resolved, error) {
	t.Helper()
	a := malformedArchive(t, m)
	a.publish()
	env := newEnv(t, a.dir, nil)
	env.Site = malformedSite(t)
	r, err := plan(t, env, a.spec(more...))
	if err == nil {
		_, err = r.Survey(collect.SurveyOptions{})
	}
	if err != nil {
		return nil, err
	}
	_, err = plantest.Collect(t, r)
	return r, err
}

// TestMalformed: a repository that dnf cannot use is refused, and named.
func TestMalformed(t *testing.T) {
	malformed().Plan(t, func(t *testing.T, m malformedIn) error {
		_, err := planMalformed(t, m)
		return err
	})
}

// Why a rebuilt repository refuses what dnf takes.
const (
	partGone = "dnf takes the repository without what the document has; what is made of it here would lack that without a word"
	relation = "a choice depends on it"
)

// malformedRebuilt returns the rows of malformed for a rebuilt repository: what is made here is
// made of more documents, and read further.
func malformedRebuilt() plantest.Table[malformedIn] {
	all := malformed()
	unlike := func(why, named string, names ...string) {
		for _, name := range names {
			row, ok := all[name]
			if !ok || row.Unlike != "" {
				panic(name)
			}
			row.Unlike, row.Names = why, []string{named}
			all[name] = row
		}
	}
	unlike(partGone, "filelists.xml", "filelists of another root", "filelists twice", "filelists cut off", "filelists of nothing", "filelists of another package", "filelists with a bare ampersand", "filelists without a package")
	unlike(partGone, "other.xml", "other cut off")
	unlike(partGone, "group.xml", "comps of another root", "comps cut off", "comps of nothing", "comps with a bare ampersand")
	unlike(partGone, "updateinfo.xml", "updateinfo of nothing", "updateinfo with a bare ampersand", "updateinfo of another root", "updateinfo cut off")
	other := all["another checksum"]
	other.Names = []string{"has 3 of 4 chosen packages"}
	all["another checksum"] = other
	unlike(relation, "hello", "a rich relation that is open", "a rich relation of nonsense", "a relation of unknown flags", "a relation without name", "a relation of flags in small letters", "a relation with an epoch in words", "a relation with an empty name")
	return all
}

// TestMalformedRebuilt: the same for a repository that is made here.
func TestMalformedRebuilt(t *testing.T) {
	malformedRebuilt().Plan(t, func(t *testing.T, m malformedIn) error {
		_, err := planMalformed(t, m, "mode: rebuilt", "architectures: [x86_64]")
		return err
	})
}

// TestLeftOut: absent: skip leaves out what cannot be read of a package, by name; what is
// wrong with the whole document is refused all the same.
func TestLeftOut(t *testing.T) {
	for name, row := range malformedRebuilt() {
		ofPackage := row.Document.document == "primary" && row.Names != nil && !strings.HasPrefix(name, "primary") && !strings.HasPrefix(name, "an attribute") && !strings.Contains(name, "that is not there") &&
			!slices.Contains([]string{"an escaped location", "another checksum", "another size", "a size of 0", "no checksum", "no release", "a version with a dash", "a version with a colon"}, name)
		if !ofPackage {
			continue
		}
		t.Run(name, func(t *testing.T) {
			r, err := planMalformed(t, row.Document, "mode: rebuilt", "architectures: [x86_64]", "absent: skip")
			if err != nil {
				t.Fatal(err)
			}
			files := artifacts(t, r, "epel")
			if _, ok := files["Packages/hello-2.10-1.el9.x86_64.rpm"]; ok || files["Packages/other-1-1.el9.x86_64.rpm"].Open == nil {
				t.Errorf("carried: %q", pathsOf(files))
			}
			_, missing := planMalformed(t, row.Document, "mode: rebuilt", "architectures: [x86_64]", "packages: [hello]", "absent: skip")
			if !errors.Is(missing, bundle.ErrUsage) || !strings.Contains(missing.Error(), "package hello: in no index") || !strings.Contains(missing.Error(), "left out: ") {
				t.Errorf("asked for by name: %v", missing)
			}
			notes := strings.Join(r.Repositories[0].Notes, "\n")
			for _, word := range append([]string{"left out: "}, row.Names...) {
				if !strings.Contains(notes, word) {
					t.Errorf("notes do not have %q:\n%s", word, notes)
				}
			}
		})
	}
}
