package settings

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// yamlText returns a text as a double-quoted scalar of YAML. JSON's strings are such scalars; what
// YAML does not allow in a stream is written as an escape.
func yamlText(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // texts that are no UTF-8 are replaced, so there is none
	}
	var out strings.Builder
	for _, r := range string(b) {
		if r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// template is a text that Ansible evaluates; it is written in this package, and what a
// mirror chose is no part of it.
type template string

// ansibleText returns a text that Ansible takes as it is, whatever braces it has.
func ansibleText(s string) string {
	if strings.ContainsAny(s, "{}") {
		return "!unsafe " + yamlText(s)
	}
	return yamlText(s)
}

// yamlValue writes a value after its name: text, template, truth, list of texts, or list of maps.
func yamlValue(v any) string {
	switch v := v.(type) {
	case string:
		return " " + ansibleText(v)
	case template:
		return " " + yamlText(string(v))
	case bool:
		return fmt.Sprintf(" %t", v)
	case []string:
		var b strings.Builder
		for _, s := range v {
			b.WriteString("\n  - " + ansibleText(s))
		}
		return b.String()
	case map[string]string:
		var b strings.Builder
		for _, k := range sortedKeys(v) {
			b.WriteString("\n  " + yamlText(k) + ": " + ansibleText(v[k]))
		}
		return b.String()
	case unset:
		return " " + yamlText(string(v))
	case lines:
		return string(v)
	}
	return " null"
}

// unset is a value that is right for some sites only: its line is a comment.
type unset string

// lines are lines of YAML that were written already.
type lines string

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// shellText returns a word for a POSIX shell.
func shellText(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// oneLine returns a text that cannot end the comment that it is in.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}
