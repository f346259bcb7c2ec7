package lockfile

import (
	"errors"
	"fmt"
	"strings"
)

// option is an option of pip with its value, under its long name.
type option struct{ name, value string }

// takesValue has the options of a requirements file by name; false: a flag.
var takesValue = map[string]bool{
	"--requirement": true, "--constraint": true, "--editable": true, "--index-url": true, "--extra-index-url": true,
	"--find-links": true, "--trusted-host": true, "--no-binary": true, "--only-binary": true, "--hash": true,
	"--no-index": false, "--pre": false, "--prefer-binary": false, "--require-hashes": false,
	"--config-settings": true, "--global-option": true, "--use-feature": true,
}

var shortNames = map[string]string{
	"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-i": "--index-url", "-f": "--find-links", "-C": "--config-settings",
}

// readOptions reads words; values follow "=", a space, or a short name.
func readOptions(words []string) ([]option, error) {
	var all []option
	for i := 0; i < len(words); i++ {
		name, value, has := strings.Cut(words[i], "=")
		if !strings.HasPrefix(name, "--") && len(words[i]) > 1 {
			name, value = words[i][:2], strings.TrimPrefix(words[i][2:], "=")
			has = value != ""
			if long, ok := shortNames[name]; ok {
				name = long
			}
		}
		if name == "--pypi-url" {
			name = "--index-url"
		}
		wants, known := takesValue[name]
		switch {
		case !known:
			return nil, fmt.Errorf("%.100q: an option that is not known here", words[i])
		case !wants && has:
			return nil, fmt.Errorf("%s: has no value", name)
		case wants && !has:
			if i++; i == len(words) {
				return nil, fmt.Errorf("%s: lacks its value", name)
			}
			value = words[i]
		}
		all = append(all, option{name, value})
	}
	return all, nil
}

// split takes a line apart: the requirement is everything before the first
// word that begins with "-".
func split(line string) (requirement string, options []string, err error) {
	words := strings.Split(line, " ")
	at := 0
	for at < len(words) && !strings.HasPrefix(words[at], "-") {
		at++
	}
	options, err = shellWords(strings.Join(words[at:], " "))
	return strings.TrimSpace(strings.Join(words[:at], " ")), options, err
}

// shellWords splits as a shell does, with quotes and backslashes.
func shellWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0 && (c != '\\' || quote == '\''):
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == '\\' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
			inWord = true
		case c == ' ' || c == '\t':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("no closing quote")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
