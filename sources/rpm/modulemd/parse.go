package modulemd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/foreignyaml"
)

const (
	// maxFile bounds a modules.yaml, which is held in memory, and next to it lists
	// of what it has, up to six times as large; RHEL 8's have 30 MB.
	maxFile = 96 << 20 // bytes
	// maxDocument bounds one document of it, maxDocuments how many there are.
	maxDocument  = 4 << 20 // bytes
	maxDocuments = 100_000
	// maxMarks bounds what may be a value or a key of a document: the parser
	// makes some 1,500 bytes of each, two characters long as it may be.
	maxMarks = 150_000
	// maxDepth bounds how deep values are nested: the parser goes into them by
	// recursion. In block style a column of depth is one blank at least.
	maxDepth = 64
)

// Index is a modules.yaml.
type Index struct {
	Streams  []*Stream
	Defaults map[string]Default // by module
	// Skipped are remarks on documents that libmodulemd passes over, and so are these: the
	// first few.
	Skipped []string
	docs    []*document
}

// Default is what a file states about a module.
type Default struct {
	Stream string // "": the module has none
	// Modified is a date as a number; of two files the later one counts.
	Modified uint64
	// Profiles are those of each stream.
	Profiles map[string][]string
}

// Stream is one build of a stream of a module.
type Stream struct {
	Module, Name, Context, Arch string
	Version                     uint64
	// Static means that the context is upstream's own name for this variant of
	// the stream. Otherwise it was made up, and variants are told apart by what
	// they require.
	Static bool
	// Artifacts are packages as "name-epoch:version-release.arch".
	Artifacts []string
	// Demodularized are names of packages that are no longer the module's: those
	// outside of it are seen again.
	Demodularized []string
	// Profiles are names of packages by profile.
	Profiles map[string][]string
	// Requires are the streams of other modules that are needed, one of each
	// list; none: any.
	Requires []map[string][]string
}

// document is one of the file, as it is there.
type document struct {
	raw    []byte
	kind   string
	module string
	stream string  // of obsoletes and translations; "": of all
	of     *Stream // of a stream
}

// Parse reads a modules.yaml as libmodulemd does. It gives up a file with a document that
// is no YAML, no mapping, or of a type that it does not know, and dnf with it. Any other fault
// makes it skip that document. Errors match bundle.ErrMalformed, or
// are those of r.
func Parse(r io.Reader) (*Index, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("more than %d bytes: %w", maxFile, bundle.ErrMalformed)
	}
	x := &Index{Defaults: map[string]Default{}}
	for number, raw := range split(text) {
		d, err := x.document(raw)
		var skipped *skippedError
		switch {
		case errors.As(err, &skipped):
			x.skip(number, err)
		case err != nil:
			return nil, fmt.Errorf("document %d: %w: %w", number+1, err, bundle.ErrMalformed)
		case d != nil:
			x.docs = append(x.docs, d)
		}
		if number == maxDocuments {
			return nil, fmt.Errorf("more than %d documents: %w", maxDocuments, bundle.ErrMalformed)
		}
	}
	return x, nil
}

// skippedError is what is wrong with a document that is passed over.
type skippedError struct{ error }

// maxSkipped bounds the remarks on documents that are passed over.
const maxSkipped = 5

func (x *Index) skip(number int, err error) {
	if len(x.Skipped) < maxSkipped {
		x.Skipped = append(x.Skipped, fmt.Sprintf("document %d is left out, as dnf does: %v", number+1, err))
	}
}

// otherTypes are types of documents that state nothing about packages.
var otherTypes = []string{"", "modulemd-packager"}

// split cuts a file at the lines that begin or end documents.
func split(text []byte) [][]byte {
	var all [][]byte
	start := 0
	cut := func(at int) {
		if len(bytes.TrimSpace(text[start:at])) > 0 {
			all = append(all, text[start:at])
		}
		start = at
	}
	for at := 0; at < len(text); {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			end = len(text) - at - 1
		}
		switch line := bytes.TrimRight(text[at:at+end+1], "\r\n \t"); {
		case bytes.Equal(line, []byte("---")):
			cut(at)
		case bytes.Equal(line, []byte("...")):
			cut(at + end + 1)
		}
		at += end + 1
	}
	cut(len(text))
	return all
}

// document reads one document. It returns nil for one that has nothing about packages.
func (x *Index) document(raw []byte) (*document, error) {
	docs, err := foreignyaml.Parse(raw, foreignyaml.Limits{Bytes: maxDocument, Marks: maxMarks, Depth: maxDepth, Tags: true})
	if err != nil || len(docs) == 0 {
		return nil, err
	}
	root, err := mapping(docs[0])
	if err != nil {
		return nil, err
	}
	d := &document{raw: raw, kind: text(root["document"])}
	if slices.Contains(otherTypes, d.kind) {
		return nil, nil
	}
	data, err := mapping(root["data"])
	switch d.kind {
	case "modulemd", "modulemd-stream":
		if err == nil {
			err = x.stream(d, data)
		}
	case "modulemd-defaults":
		d.module = text(data["module"])
		if err == nil {
			err = x.standard(d, data)
		}
	case "modulemd-obsoletes", "modulemd-translations":
		d.module, d.stream = text(data["module"]), text(data["stream"])
	default:
		return nil, fmt.Errorf("the type %.60q is not known", d.kind)
	}
	if err == nil && d.module == "" {
		err = fmt.Errorf("%s without the name of a module", d.kind)
	}
	if err != nil {
		return nil, &skippedError{err}
	}
	return d, nil
}

// stream adds the stream of a document.
func (x *Index) stream(d *document, data map[string]ast.Node) (err error) {
	if d.of, err = stream(data); err != nil {
		return err
	}
	if i := slices.IndexFunc(d.of.Artifacts, isNoNEVRA); i >= 0 {
		return fmt.Errorf("%.60s:%.60s: %.100q is no package", d.of.Module, d.of.Name, d.of.Artifacts[i])
	}
	if d.module = d.of.Module; d.module != "" {
		x.Streams = append(x.Streams, d.of)
	}
	return nil
}

// standard adds what a document of defaults states.
func (x *Index) standard(d *document, data map[string]ast.Node) error {
	of, err := standard(data)
	if err == nil && d.module != "" {
		x.Defaults[d.module] = of
	}
	return err
}

// standard returns what a document of defaults states.
func standard(data map[string]ast.Node) (d Default, err error) {
	d = Default{Stream: text(data["stream"]), Profiles: map[string][]string{}}
	if v := text(data["modified"]); v != "" {
		if d.Modified, err = strconv.ParseUint(v, 10, 64); err != nil {
			return d, fmt.Errorf("modified %.30q: not a number", v)
		}
	}
	profiles, err := mapping(data["profiles"])
	for stream, names := range profiles {
		var listErr error
		d.Profiles[stream], listErr = list(names)
		err = errors.Join(err, listErr)
	}
	return d, err
}

func stream(data map[string]ast.Node) (*Stream, error) {
	s := &Stream{
		Module: text(data["name"]), Name: text(data["stream"]), Context: text(data["context"]), Arch: text(data["arch"]),
		Static: text(data["static_context"]) == "true", Profiles: map[string][]string{},
	}
	if v := text(data["version"]); v != "" {
		var err error
		if s.Version, err = strconv.ParseUint(v, 10, 64); err != nil {
			return nil, fmt.Errorf("module %.60s: version %.30q: not a number", s.Module, v)
		}
	}
	artifacts, err := mapping(data["artifacts"])
	if err != nil {
		return nil, err
	}
	if s.Artifacts, err = list(artifacts["rpms"]); err != nil {
		return nil, err
	}
	gone, err := mapping(data["demodularized"])
	if err != nil {
		return nil, err
	}
	if s.Demodularized, err = list(gone["rpms"]); err != nil {
		return nil, err
	}
	profiles, err := mapping(data["profiles"])
	if err != nil {
		return nil, err
	}
	for name, node := range profiles {
		one, err := mapping(node)
		if err != nil {
			return nil, err
		}
		if s.Profiles[name], err = list(one["rpms"]); err != nil {
			return nil, err
		}
	}
	s.Requires, err = requires(data["dependencies"])
	return s, err
}

// requires returns the requirements at run time: a list of alternatives, of version
// 1 a single mapping of modules to streams.
func requires(node ast.Node) ([]map[string][]string, error) {
	items := []ast.Node{node}
	if s, ok := node.(*ast.SequenceNode); ok {
		items = s.Values
	}
	var all []map[string][]string
	for _, item := range items {
		one, err := mapping(item)
		if err != nil {
			return nil, err
		}
		modules, err := mapping(one["requires"])
		if err != nil {
			return nil, err
		}
		needs := map[string][]string{}
		for module, streams := range modules {
			if name := text(streams); name != "" {
				needs[module] = []string{name}
			} else if needs[module], err = list(streams); err != nil {
				return nil, err
			}
		}
		if len(needs) > 0 {
			all = append(all, needs)
		}
	}
	return all, nil
}

// isNoNEVRA: anything but "name-epoch:version-release.arch".
func isNoNEVRA(artifact string) bool {
	name := nameOf(artifact)
	evr, ok := strings.CutPrefix(artifact, name+"-")
	epoch, _, hasEpoch := strings.Cut(evr, ":")
	return !ok || !hasEpoch || strings.Trim(epoch, "0123456789") != "" || epoch == "" || !strings.Contains(evr, ".")
}

// mapping returns the values of a mapping by their keys; nothing for a value that
// is not there.
func mapping(node ast.Node) (map[string]ast.Node, error) {
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, fmt.Errorf("line %d: not a mapping", node.GetToken().Position.Line)
	}
	all := make(map[string]ast.Node, len(values))
	for _, v := range values {
		key := text(v.Key)
		if _, ok := all[key]; ok {
			return nil, fmt.Errorf("line %d: %.60s occurs twice", v.Key.GetToken().Position.Line, key)
		}
		all[key] = v.Value
	}
	return all, nil
}

func list(node ast.Node) ([]string, error) {
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.SequenceNode:
		all := make([]string, len(n.Values))
		for i, v := range n.Values {
			s, ok := element(v)
			if !ok {
				return nil, fmt.Errorf("line %d: a list of something else than texts", v.GetToken().Position.Line)
			}
			all[i] = strings.Clone(s)
		}
		return all, nil
	}
	return nil, fmt.Errorf("line %d: not a list", node.GetToken().Position.Line)
}

// element returns a text in a list. The parser takes a:b in brackets within braces
// for a mapping, which it is not without a blank.
func element(node ast.Node) (string, bool) {
	pair, ok := node.(*ast.MappingValueNode)
	if m, isMapping := node.(*ast.MappingNode); isMapping && len(m.Values) == 1 {
		pair, ok = m.Values[0], true
	}
	if !ok {
		s := text(node)
		return s, s != ""
	}
	key, value := pair.Key.GetToken(), pair.Value.GetToken()
	s := text(pair.Key) + ":" + text(pair.Value)
	return s, key.Position.Line == value.Position.Line && value.Position.Column == key.Position.Column+len(text(pair.Key))+1
}

// text returns a plain value as it is written: a stream called 1.10 is not 1.1.
func text(node ast.Node) string {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return strings.TrimSpace(n.GetToken().Value)
	}
	return ""
}
