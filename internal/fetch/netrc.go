package fetch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func (k kept) netrcCredential(name, port string) (*credential, error) {
	file := k.env("NETRC")
	if file == "" {
		file = filepath.Join(k.home, ".netrc")
	}
	source := "netrc " + file
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("netrc: %w: %w", ErrConfig, err)
	}
	login, ok := readNetrc(string(text), name, port)
	if !ok {
		return nil, fmt.Errorf("%s: no login for machine %s: %w", source, name, ErrConfig)
	}
	return fixed(source, basic(login.user, login.password)), nil
}

type login struct{ user, password string }

// readNetrc finds the first entry for a machine, written "name:port" or
// "name", or the default entry after them, as ftp(1) and curl read the file.
func readNetrc(text, name, port string) (login, bool) {
	tokens := netrcTokens(text)
	var found login
	best, here := 0, 0 // 0: another machine, 1: default, 2: the name, 3: with port
	for i := 0; i < len(tokens); i++ {
		next := ""
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		switch tokens[i] {
		case "default":
			here = 1
		case "machine":
			i++
			switch {
			case port != "" && strings.EqualFold(next, mapKey(name, port)):
				here = 3
			case strings.EqualFold(next, name):
				here = 2
			default:
				here = 0
			}
		case "login", "password", "account":
			i++
			if here < best || here == 0 {
				continue
			}
			if here > best {
				found, best = login{}, here
			}
			if tokens[i-1] == "login" && found.user == "" {
				found.user = next
			} else if tokens[i-1] == "password" && found.password == "" {
				found.password = next
			}
		}
	}
	return found, best > 0 && found.user != ""
}

// netrcTokens splits at white space and leaves out macro definitions, which
// reach to the next empty line, and lines that begin with '#'.
func netrcTokens(text string) []string {
	var tokens []string
	macro := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case macro:
			macro = line != ""
			continue
		case strings.HasPrefix(line, "#"):
			continue
		}
		fields := strings.Fields(line)
		for i, f := range fields {
			if f == "macdef" && (i == 0 || fields[i-1] != "password" && fields[i-1] != "login") {
				fields, macro = fields[:i], true
				break
			}
		}
		tokens = append(tokens, fields...)
	}
	return tokens
}
