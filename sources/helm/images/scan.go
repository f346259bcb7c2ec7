package images

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxValues bounds how many values of one chart's documents are looked at,
	// those that aliases repeat included, and long texts counted as several: a
	// YAML document of 1 KB can stand for billions.
	MaxValues = 1 << 20
	// textOfOne is how much text counts as one value.
	textOfOne = 256 // bytes
	// maxDepth bounds nesting, which recursion follows; an alias may even
	// contain itself.
	maxDepth = 500
	// MaxDocuments bounds the documents of one chart.
	MaxDocuments = 50_000
	// maxFound bounds the different images of one chart.
	maxFound = 20_000
)

// ErrTooMuch is the class of errors about documents that are out of all bounds.
var ErrTooMuch = errors.New("out of bounds")

// Scanner collects the images of one chart.
type Scanner struct {
	// Tests takes in hooks of type test, which "helm test" runs.
	Tests bool

	found     map[string]*Found
	documents int
	values    int
}

// NewScanner returns a scanner that has seen nothing.
func NewScanner() *Scanner { return &Scanner{found: map[string]*Found{}} }

// document is what the rules know about where they are.
type document struct {
	group string // of apiVersion, without the version
	kind  string
	label string // kind and name, for people
	// values: these are a chart's values, of which nothing is certain.
	values bool
}

// Documents reads rendered YAML documents; source is the template they are of.
func (s *Scanner) Documents(source string, content []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		if s.documents++; s.documents > MaxDocuments {
			return fmt.Errorf("%s: more than %d documents: %w", source, MaxDocuments, ErrTooMuch)
		}
		if len(n.Content) != 1 {
			continue
		}
		if err := s.object(source, n.Content[0], 0); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
	}
}

// object looks at one object of a cluster, or at those in a List.
func (s *Scanner) object(source string, n *yaml.Node, depth int) error {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	fields := fieldsOf(n)
	version, kind := text(fields["apiVersion"]), text(fields["kind"])
	if kind == "CustomResourceDefinition" {
		return nil // its schema describes images and names none
	}
	if items := resolve(fields["items"]); strings.HasSuffix(kind, "List") && items != nil && items.Kind == yaml.SequenceNode && depth == 0 {
		var errs []error
		for _, item := range items.Content {
			errs = append(errs, s.object(source, item, depth+1))
		}
		return errors.Join(errs...)
	}
	meta := fieldsOf(resolve(fields["metadata"]))
	if !s.Tests && isTest(fieldsOf(resolve(meta["annotations"]))) {
		return nil
	}
	group, _, _ := strings.Cut(version, "/")
	d := document{group: group, kind: kind, label: strings.Trim(kind+"/"+text(meta["name"]), "/")}
	if d.label == "" {
		d.label = source
	}
	return s.walk(d, n, nil, "", 0)
}

// isTest reports whether annotations make an object a hook that only "helm test" runs.
func isTest(annotations map[string]*yaml.Node) bool {
	hooks := strings.Split(text(annotations["helm.sh/hook"]), ",")
	for _, h := range hooks {
		switch strings.ToLower(strings.TrimSpace(h)) {
		case "test", "test-success", "test-failure":
		default:
			return false
		}
	}
	return true
}

// Values looks at the values of a chart, those of its subcharts included,
// whether these are on or off.
func (s *Scanner) Values(values map[string]any) error {
	var n yaml.Node
	if err := n.Encode(values); err != nil {
		return fmt.Errorf("values: %w", err)
	}
	return s.walk(document{label: "values", values: true}, &n, nil, "", 0)
}

// resolve follows an alias; nil stays nil.
func resolve(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		if n == nil || n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return nil
}

// fieldsOf returns the entries of a mapping, the first of each key.
func fieldsOf(n *yaml.Node) map[string]*yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	fields := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := resolve(n.Content[i]); k != nil && k.Kind == yaml.ScalarNode {
			if _, twice := fields[k.Value]; !twice {
				fields[k.Value] = n.Content[i+1]
			}
		}
	}
	return fields
}

// text returns a scalar as it is written; "" for anything else, null included.
func text(n *yaml.Node) string {
	n = resolve(n)
	if n == nil || n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return ""
	}
	return n.Value
}

// walk applies the rules to a value and to all that is in it. at is the path
// to it, key what rule 3 is told that it is called.
func (s *Scanner) walk(d document, n *yaml.Node, at []string, key string, depth int) error {
	n = resolve(n)
	if n != nil {
		s.values += 1 + len(n.Value)/textOfOne
	}
	if s.values > MaxValues || depth > maxDepth {
		return fmt.Errorf("%s: more than %d values, or nested deeper than %d: %w", d.label, MaxValues, maxDepth, ErrTooMuch)
	}
	if len(s.found) > maxFound {
		return fmt.Errorf("%s: more than %d images: %w", d.label, maxFound, ErrTooMuch)
	}
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.ScalarNode:
		if n.ShortTag() == "!!str" {
			s.references(d, at, n.Value)
			if isImageKey(key) {
				s.keyed(d, at, n.Value)
			}
		}
		return nil
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			if err := s.walk(d, item, with(at, fmt.Sprintf("[%d]", i)), "", depth+1); err != nil {
				return err
			}
		}
		return nil
	case n.Kind == yaml.MappingNode:
		return s.mapping(d, n, at, depth)
	}
	return nil
}

func (s *Scanner) mapping(d document, n *yaml.Node, at []string, depth int) error {
	fields := fieldsOf(n)
	s.pod(d, at, fields)
	s.variable(d, at, fields)
	s.fields(d, at, fields)
	part := text(fields["repository"]) != ""
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := text(n.Content[i])
		rule := key
		if part && key == "image" {
			rule = "" // rule 4 has it: a part of a name
		}
		if err := s.walk(d, n.Content[i+1], with(at, key), rule, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// with returns a path and one element more; it shares nothing with its siblings.
func with(at []string, element string) []string { return append(at[:len(at):len(at)], element) }

// place returns where an image is named, for people.
func (d document) place(at []string) string {
	path := strings.ReplaceAll(strings.Join(at, "."), ".[", "[")
	if len(path) > 200 {
		path = path[:200] + "..."
	}
	return strings.TrimSpace(d.label + " " + path)
}

// Reasons of a maybe.
const (
	maybeOff      = "enabled: false"
	maybeNoTag    = "neither tag nor digest"
	maybeTemplate = "a template is left in the name"
	maybeValues   = "only in the values"
)

// report records an image that a rule found at a place.
func (s *Scanner) report(d document, at []string, rule Rule, image, maybe string) {
	if d.values {
		if rule = RuleValues; maybe == "" {
			maybe = maybeValues
		}
	}
	s.add(Found{Image: image, Rule: rule, Where: []string{d.place(at)}, Maybe: maybe})
}

// containerLists are the keys of a pod that hold containers.
var containerLists = []string{"containers", "initContainers", "ephemeralContainers"}

// pod applies rule 1.
func (s *Scanner) pod(d document, at []string, fields map[string]*yaml.Node) {
	isPod := false
	for _, list := range containerLists {
		containers := resolve(fields[list])
		if containers == nil || containers.Kind != yaml.SequenceNode {
			continue
		}
		for i, c := range containers.Content {
			container := fieldsOf(resolve(c))
			isPod = isPod || container != nil && list == "containers"
			s.pulled(d, with(with(at, list), fmt.Sprintf("[%d].image", i)), text(container["image"]))
		}
	}
	volumes := resolve(fields["volumes"])
	if !isPod || volumes == nil || volumes.Kind != yaml.SequenceNode {
		return
	}
	for i, v := range volumes.Content {
		image := fieldsOf(resolve(fieldsOf(resolve(v))["image"]))
		s.pulled(d, with(with(at, "volumes"), fmt.Sprintf("[%d].image.reference", i)), text(image["reference"]))
	}
}

// pulled records what a kubelet has to pull: without tag and digest it is latest.
func (s *Scanner) pulled(d document, at []string, written string) {
	full, whole, ok := normalize(written)
	switch {
	case strings.Contains(written, "{{"):
		s.report(d, at, RulePod, written, maybeTemplate)
	case ok && whole:
		s.report(d, at, RulePod, full, "")
	case ok:
		s.report(d, at, RulePod, full+":latest", "")
	}
}

// wholeReference matches what has the form of a reference; what is before
// and after it is looked at by references.
var wholeReference = regexp.MustCompile(`[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?` + // registry
	`(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)+` + // name
	`(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?`)

// references applies rule 2.
func (s *Scanner) references(d document, at []string, value string) {
	if !strings.Contains(value, "/") {
		return
	}
	for _, m := range wholeReference.FindAllStringIndex(value, -1) {
		candidate, before, after := value[m[0]:m[1]], value[:m[0]], value[m[1]:]
		if !hasHost(candidate) || !mayFollow(before) {
			continue
		}
		if len(after) > 0 && strings.HasPrefix(after, ":{{") {
			expression, _, _ := strings.Cut(after, "}}")
			if full, whole, ok := normalize(candidate); ok && !whole && len(expression) < 100 {
				s.report(d, at, RuleReference, full+expression+"}}", maybeTemplate)
			}
			continue
		}
		if after != "" && (strings.ContainsRune("/@:%{$", rune(after[0])) || isWord(after[0])) {
			continue
		}
		if candidate != value {
			candidate = strings.TrimRight(candidate, ".") // the end of a sentence
		}
		if full, whole, ok := normalize(candidate); ok && whole {
			s.report(d, at, RuleReference, full, "")
		}
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// mayFollow reports whether a reference may begin after this text: not in the
// middle of a word, a path or a URL, but in "docker://".
func mayFollow(before string) bool {
	if before == "" || strings.HasSuffix(before, "docker://") {
		return true
	}
	last := before[len(before)-1]
	return !isWord(last) && !strings.ContainsRune("./@:%-}", rune(last))
}

// isImageKey reports whether a key is one of rule 3.
func isImageKey(key string) bool {
	return key == "image" || strings.HasSuffix(key, "Image") || strings.HasSuffix(key, "_IMAGE") || strings.HasPrefix(key, "RELATED_IMAGE_")
}

// variable applies the part of rule 3 about lists of environment variables.
func (s *Scanner) variable(d document, at []string, fields map[string]*yaml.Node) {
	if name := text(fields["name"]); isImageKey(name) && name != "image" {
		s.keyed(d, with(at, name), text(fields["value"]))
	}
}

// keyed applies rule 3.
func (s *Scanner) keyed(d document, at []string, value string) {
	full, whole, ok := normalize(value)
	switch {
	case strings.Contains(value, "{{"):
		s.report(d, at, RuleKey, value, maybeTemplate)
	case ok && whole:
		s.report(d, at, RuleKey, full, "")
	case ok:
		s.report(d, at, RuleKey, full, maybeNoTag)
	}
}
