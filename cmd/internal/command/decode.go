package command

import (
	"regexp"
	"strings"
)

// goType matches the name of a type of Go as reflect writes it. Nothing follows the last
// brace of a struct that could be one of its own.
const goType = `(?:\[\]|\*|map\[\w+\])*(?:struct \{.*\}|[\w./]+)`

// Packages encoding/json and yaml name types of this program in their errors, which mean
// nothing to a reader.
var (
	jsonMismatch = regexp.MustCompile(`json: cannot unmarshal (number [^ ]+|\w+) into Go (?:struct field \w*\.([^ ]+)|value) of type ` + goType)
	yamlMismatch = regexp.MustCompile("cannot unmarshal !!(\\w+)( `[^`]*`)? into " + goType)
	yamlHeading  = regexp.MustCompile(`yaml: unmarshal errors:\s*`)
)

// yamlKinds are what a reader calls the kinds of values that YAML has tags for (YAML 1.2.2,
// section 10).
var yamlKinds = map[string]string{"str": "text", "seq": "list", "map": "mapping", "int": "number", "float": "number", "bool": "true or false", "null": "empty value"}

// withoutTypes returns the text of an error in which a document's value has another kind
// than it should: "JSON: field layers: unexpected string".
func withoutTypes(text string) string {
	if !strings.Contains(text, "cannot unmarshal") {
		return text
	}
	text = jsonMismatch.ReplaceAllStringFunc(text, func(found string) string {
		part := jsonMismatch.FindStringSubmatch(found)
		if part[2] == "" {
			return "JSON: unexpected " + part[1]
		}
		return "JSON: field " + part[2] + ": unexpected " + part[1]
	})
	text = yamlMismatch.ReplaceAllStringFunc(text, func(found string) string {
		part := yamlMismatch.FindStringSubmatch(found)
		return "unexpected " + FirstOf(yamlKinds[part[1]], part[1]) + part[2]
	})
	return yamlHeading.ReplaceAllString(text, "YAML: ")
}
