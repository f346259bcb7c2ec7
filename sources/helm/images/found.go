package images

import (
	"cmp"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// Rule states how an image was found.
type Rule string

// The rules in their order: an image that several of them find is reported by the first.
const (
	RulePod       Rule = "pod"
	RuleReference Rule = "reference"
	RuleKey       Rule = "key"
	RuleFields    Rule = "fields"
	RuleList      Rule = "list"
	RuleValues    Rule = "values"
)

func (r Rule) rank() int {
	return slices.Index([]Rule{RulePod, RuleReference, RuleKey, RuleFields, RuleList, RuleValues}, r)
}

// Found is an image that a chart names.
type Found struct {
	// Image is the reference with its registry ("docker.io/library/nginx:1.29");
	// of a maybe it may lack tag and digest, or hold a template.
	Image string `json:"image"`
	Rule  Rule   `json:"rule"`
	// Where are the places that name it: kind, name, and path in the document.
	Where []string `json:"where"`
	// Maybe is why it is not certain that a cluster pulls the image; "": it does.
	Maybe string `json:"maybe,omitempty"`
	// NodeOS means that an operator appends "-" and the system of the node to
	// the tag: the image as it is written does not exist.
	NodeOS bool `json:"nodeOS,omitempty"`
}

// maxWhere bounds the places that are reported of one image.
const maxWhere = 8

// add records one finding.
func (s *Scanner) add(f Found) {
	have := s.found[f.Image]
	if have == nil {
		s.found[f.Image] = &f
		return
	}
	where := slices.Concat(have.Where, f.Where)
	if better(f, *have) {
		where = slices.Concat(f.Where, have.Where)
		*have = f
	}
	have.Where = where[:0:0]
	for _, w := range where {
		if !slices.Contains(have.Where, w) && len(have.Where) < maxWhere {
			have.Where = append(have.Where, w)
		}
	}
}

// better reports whether a states more about an image than b: certain before maybe, then the order of the rules.
func better(a, b Found) bool {
	if (a.Maybe == "") != (b.Maybe == "") {
		return a.Maybe == ""
	}
	if a.NodeOS != b.NodeOS {
		return a.NodeOS
	}
	return a.Rule.rank() < b.Rule.rank()
}

// Found returns what was found, sorted by image. A maybe without tag and
// digest is left out where an image of the same repository is certain.
func (s *Scanner) Found() []Found {
	certain := map[string]bool{}
	for _, f := range s.found {
		if f.Maybe == "" {
			certain[repositoryOf(f.Image)] = true
		}
	}
	var all []Found
	for _, f := range s.found {
		if f.Maybe != "" && repositoryOf(f.Image) == f.Image && certain[f.Image] {
			continue
		}
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b Found) int { return cmp.Compare(a.Image, b.Image) })
	return all
}

// repositoryOf returns an image without tag and digest.
func repositoryOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

// normalize returns a reference in full: with registry, and with library/ where
// docker.io's names lack it. whole means that it has a tag or a digest.
func normalize(text string) (full string, whole, ok bool) {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return "", false, false
	}
	if digested, ok := named.(reference.Digested); ok && digested.Digest().Algorithm() != "sha256" {
		return "", false, false
	}
	return named.String(), !reference.IsNameOnly(named), true
}

// hasHost reports whether a reference begins with a registry's host.
func hasHost(text string) bool {
	host, _, ok := strings.Cut(text, "/")
	return ok && (strings.ContainsAny(host, ".:") || host == "localhost")
}
