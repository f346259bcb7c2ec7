package handmade

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// File is a file of a repository.
type File struct {
	Path, Content, MediaType string
	Filled                   bool
}

// Repository is a repository with its content.
type Repository struct {
	Name, Mount, Kind string
	Files             []File
	// Keep leaves its lists out of the catalogue.
	Keep bool
}

// Files makes files of paths and contents, in the order of paths.
func Files(contents map[string]string) []File {
	var files []File
	for _, p := range slices.SortedFunc(maps.Keys(contents), PathOrder) {
		files = append(files, File{Path: p, Content: contents[p]})
	}
	return files
}

// PathOrder compares bytes, with '/' lower than every other byte.
func PathOrder(a, b string) int {
	lower := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	return strings.Compare(lower(a), lower(b))
}

// Bundle is one bundle. The zero values are a full bundle number 1 of the set "demo".
type Bundle struct {
	Set          string
	Sequence     int64
	Stream       string
	Created      time.Time
	Repositories []Repository
	// Leave are contents that no volume has: the bundle is a delta.
	Leave []string
	// Extra are contents in the volumes that no list names.
	Extra []string
	// Frame is the raw length of frames, 0: 64 KiB; Volume the raw length after which
	// another volume begins, 0: one volume.
	Frame, Volume int
	Keys          []Key
	Envelope      Envelope

	// The hooks change a piece before it is digested. Line is called for each line of
	// each list, by the member's name in the archive; Member gets the bytes of a whole
	// member, Tape the raw bytes of an archive, Packed its frames, Described a repository.
	Line      func(member string, i int, line Object)
	Member    func(name string, content []byte) []byte
	Tape      func(name string, raw []byte) []byte
	Packed    func(name string, frames []Frame) []Frame
	Volumes   func(lines []Object) []Object
	Described func(repository Object)
	Sums      func(text string) string
	Root      func(root Object)
	RootText  func(text []byte) []byte
	// Put gets each file before it is written; nil leaves it out.
	Put func(name string, content []byte) []byte
}

const noTime = "2006-01-02T15:04:05Z"

// Digest returns "sha256:" and the hex digits.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func descriptor(list string, content []byte) Object {
	return Object{"mediaType": "application/vnd.gapbundle." + list + ".v1+jsonl", "digest": Digest(content), "size": len(content)}
}

// writing is one run of Write.
type writing struct {
	t   Test
	b   *Bundle
	dir string
	// sums are the digests of the files that SHA256SUMS has.
	sums map[string]string
}

// Write makes the bundle below parent and returns its directory.
func (b Bundle) Write(t Test, parent string) string {
	t.Helper()
	if b.Set == "" {
		b.Set = "demo"
	}
	b.Sequence = max(b.Sequence, 1)
	if b.Stream == "" {
		b.Stream = strings.TrimPrefix(Digest([]byte(b.Set)), "sha256:")[:32]
	}
	if b.Created.IsZero() {
		b.Created = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	}
	if b.Frame == 0 {
		b.Frame = 64 << 10
	}
	w := &writing{t: t, b: &b, dir: filepath.Join(parent, fmt.Sprintf("%s-%06d", b.Set, b.Sequence)), sums: map[string]string{}}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.run()
	return w.dir
}

func (w *writing) put(name string, content []byte) {
	w.t.Helper()
	if w.b.Put != nil {
		if content = w.b.Put(name, content); content == nil {
			return
		}
	}
	if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writing) run() {
	b := w.b
	w.listed("README.txt", []byte("read me\n"))
	w.put("MEDIUM.txt", []byte("medium 1\n"))
	table, tables := w.volumes()
	repositories, files, evidence := w.lists()
	volumes := w.member("volumes.jsonl", table)
	archives := []*archive{{}}
	add := func(name string, content []byte) {
		last := archives[len(archives)-1]
		if last.raw.Len() >= 1<<30 {
			last = &archive{}
			archives = append(archives, last)
		}
		last.add(name, content)
	}
	add("volumes.jsonl", volumes)
	for _, m := range slices.Concat(tables, files, evidence) {
		add(m.name, m.content)
	}
	catalog := Array{}
	for i, a := range archives {
		name := fmt.Sprintf("catalog-%02d.tar.zst", i+1)
		file, frames := w.pack(name, a.end())
		w.listed(name, file)
		list := Array{}
		for _, f := range frames {
			list = append(list, f.object())
		}
		catalog = append(catalog, Object{"name": name, "digest": Digest(file), "size": len(file), "frames": list})
	}
	sums := ""
	for _, name := range slices.Sorted(maps.Keys(w.sums)) {
		sums += w.sums[name] + "  " + name + "\n"
	}
	if b.Sums != nil {
		sums = b.Sums(sums)
	}
	w.put("SHA256SUMS", []byte(sums))
	root := Object{
		"format": 1, "set": b.Set, "sequence": b.Sequence, "stream": b.Stream, "created": b.Created.UTC().Format(noTime),
		"tool": "handmade", "full": len(b.Leave) == 0, "repositories": repositories, "state": state(repositories), "catalog": catalog,
		"sums":    Object{"mediaType": "text/plain; charset=utf-8", "digest": Digest([]byte(sums)), "size": len(sums)},
		"volumes": descriptor("volumes", volumes),
	}
	if len(b.Leave) > 0 {
		root["base"] = Object{"sequence": b.Sequence - 1, "state": Digest([]byte("base"))}
	}
	if b.Root != nil {
		b.Root(root)
	}
	text := Canonical(root)
	if b.RootText != nil {
		text = b.RootText(text)
	}
	w.put("bundle.json", text)
	for _, k := range b.Keys {
		w.put(k.SignatureName(), b.Envelope.Sign(w.t, k, text))
	}
}

// listed writes a file that SHA256SUMS has.
func (w *writing) listed(name string, content []byte) {
	w.sums[name] = strings.TrimPrefix(Digest(content), "sha256:")
	w.put(name, content)
}

// state returns the digest over the mounts and the digests of the file lists.
func state(repositories Array) string {
	var lines []string
	for _, r := range repositories {
		r, _ := r.(Object)
		files, _ := r["files"].(Object)
		lines = append(lines, fmt.Sprintf("%s\x00%s\n", r["mount"], files["digest"]))
	}
	slices.Sort(lines)
	return Digest([]byte(strings.Join(lines, "")))
}

// list writes lines, each changed by the hook before.
func (w *writing) list(name string, lines []Object) []byte {
	var out bytes.Buffer
	for i, line := range lines {
		if w.b.Line != nil {
			w.b.Line(name, i, line)
		}
		out.Write(Canonical(line))
		out.WriteByte('\n')
	}
	return out.Bytes()
}

func (w *writing) member(name string, lines []Object) []byte {
	content := w.list(name, lines)
	if w.b.Member != nil {
		content = w.b.Member(name, content)
	}
	return content
}

type namedMember struct {
	name    string
	content []byte
}

// lists describes the repositories, sorted by name, and writes their lists.
func (w *writing) lists() (described Array, files, evidence []namedMember) {
	described = Array{}
	repositories := slices.Clone(w.b.Repositories)
	slices.SortFunc(repositories, func(a, b Repository) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range repositories {
		var fileLines, evidenceLines []Object
		size := 0
		for _, f := range r.Files {
			line := Object{"path": f.Path, "digest": Digest([]byte(f.Content)), "size": len(f.Content)}
			if f.MediaType != "" {
				line["mediaType"] = f.MediaType
			}
			if f.Filled {
				line["filled"] = true
			}
			fileLines = append(fileLines, line)
			evidenceLines = append(evidenceLines, Object{"path": f.Path, "vouched": "pinned"})
			size += len(f.Content)
		}
		fileList, evidenceList := w.member("files/"+r.Name+".jsonl", fileLines), w.member("evidence/"+r.Name+".jsonl", evidenceLines)
		kind := r.Kind
		if kind == "" {
			kind = "files"
		}
		o := Object{
			"name": r.Name, "mount": r.Mount, "kind": kind, "count": len(r.Files), "bytes": size,
			"files": descriptor("files", fileList), "evidence": descriptor("evidence", evidenceList),
		}
		if !r.Keep {
			o["carried"] = Array{"evidence", "files"}
			files = append(files, namedMember{"files/" + r.Name + ".jsonl", fileList})
			evidence = append(evidence, namedMember{"evidence/" + r.Name + ".jsonl", evidenceList})
		}
		if w.b.Described != nil {
			w.b.Described(o)
		}
		described = append(described, o)
	}
	return described, files, evidence
}
